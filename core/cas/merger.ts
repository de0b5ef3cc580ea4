/**
 * Keeps the number of segments small: many of one tier become one of the next, their inlined frames a pack. Promises: no record is
 * dropped, nothing is deleted, what a failed or repeated merge leaves behind is harmless.
 */
import { DatamonError, hasCode } from '../errors.ts';
import { type ContainerId, SEGMENT_TIER_MAX } from '../keys.ts';
import type { Condemned } from './condemned.ts';
import { CONTAINER_HEADER_SIZE_BYTES } from './container-format.ts';
import { encodedOf, framesOf, openRange } from './container-reader.ts';
import { CopyOut, type StandingRecord } from './copy-out.ts';
import { type FrameHandle, RunBuilder, storedHandle, waitingHandle } from './frame-handle.ts';
import { PackWriter } from './pack-writer.ts';
import type { Segment } from './segment-index.ts';
import {
  type Publication,
  type PublisherOptions,
  publishSegment,
  type RecordDraft,
} from './segment-publisher.ts';
import type { PlacedRun } from './segment-tables.ts';

/** Segments of a tier that become one. */
export const MERGE_SEGMENT_COUNT = 16;
/** Inlined bytes that one merge moves at most; more are left where they are. */
export const MERGE_MOVED_SIZE_MAX_BYTES = 80 * 1024 * 1024;
/** Segments with larger tables (some 45,000 records) stay: sixteen more of them would be read whole into memory. */
export const MERGE_TABLES_SIZE_MAX_BYTES = 4 * 1024 * 1024;

export interface MergerOptions extends PublisherOptions {
  readonly condemned: Condemned;
  readonly tablesSizeMaxBytes?: number;
}

export class Merger {
  readonly #options: MergerOptions;
  /** Segments that did not read when they were to be merged; left alone from then on. */
  readonly #unreadable = new Set<ContainerId>();
  #running: Promise<void> | null = null;

  constructor(options: MergerOptions) {
    this.#options = options;
  }

  /** Begins merging in the background, unless it is under way. Failures leave everything as it was. */
  start(): void {
    this.#running ??= this.#mergeAll()
      .catch(() => {
        // Merging only saves reads. The next commit begins anew.
      })
      .finally(() => {
        this.#running = null;
      });
  }

  async settled(): Promise<void> {
    await this.#running;
  }

  /** Merges until no tier has too many. */
  async #mergeAll(): Promise<void> {
    for (let group = this.#due(); group !== null; group = this.#due()) await this.#merge(group);
  }

  /** The segments to merge next, the same ones for everybody who sees the same segments. */
  #due(): readonly Segment[] | null {
    const { index, tablesSizeMaxBytes = MERGE_TABLES_SIZE_MAX_BYTES } = this.#options;
    const live = withoutTwins(index.segments());
    for (let tier = 0; tier < SEGMENT_TIER_MAX; tier += 1) {
      const group = live
        .filter(({ ref }) => ref.tier === tier && !this.#unreadable.has(ref.id))
        .filter(({ ref }) => ref.tablesLength <= tablesSizeMaxBytes)
        .sort((a, b) => (a.ref.id < b.ref.id ? -1 : 1))
        .slice(0, MERGE_SEGMENT_COUNT);
      const moved = group.reduce((sum, { ref }) => sum + inlinedBytes(ref), 0);
      if (group.length === MERGE_SEGMENT_COUNT && moved <= MERGE_MOVED_SIZE_MAX_BYTES) return group;
    }
    return null;
  }

  /** Whether somebody else merged some of them meanwhile: everybody begins with the same ones, and one merge of them is enough. */
  async #wasFaster(ids: readonly ContainerId[]): Promise<boolean> {
    const { index } = this.#options;
    await index.refresh();
    const live = new Set(index.segments().map(({ ref }) => ref.id));
    return ids.some((id) => !live.has(id));
  }

  async #merge(group: readonly Segment[]): Promise<void> {
    const replaces = group.map(({ ref }) => ref.id);
    if (await this.#wasFaster(replaces)) return;
    const packs = new PackWriter(this.#options);
    try {
      const moved = new MovedFrames();
      for (const segment of group) await this.#move(segment, moved, packs);
      await packs.finish();
      const records: RecordDraft[] = [];
      for (const segment of group) {
        for await (const record of this.#options.index.records(segment)) {
          const { oid, sizeBytes, kind, state, runs } = record;
          records.push({ oid, sizeBytes, kind, state, runs: moved.rebuild(runs) });
        }
      }
      const tier = (group[0]?.ref.tier ?? 0) + 1;
      if (await this.#wasFaster(replaces)) return;
      const merged = await publishSegment(this.#options, { tier, records, waiting: [], replaces });
      await this.#copyOutDoomed(records, merged);
    } finally {
      await packs.dispose();
    }
  }

  /**
   * Looks, as everybody who publishes does: the merged segment stands for those it replaces, so what leans on condemned containers gets
   * a record that does not.
   */
  async #copyOutDoomed(
    records: readonly RecordDraft[],
    { segment, runs }: Publication,
  ): Promise<void> {
    const { condemned } = this.#options;
    await condemned.look();
    const doomed = records
      .map((record, index): StandingRecord => ({ ...record, runs: runs[index] ?? [] }))
      .filter(
        (record) =>
          condemned.has(segment.id) ||
          record.runs.some(({ container }) => condemned.has(container.id)),
      );
    if (doomed.length === 0) return;
    const copy = new CopyOut(this.#options, (id) => condemned.has(id));
    try {
      const copies: RecordDraft[] = [];
      for (const record of doomed) {
        try {
          copies.push(await copy.add(record));
        } catch (error) {
          // Gone already: a collector copied out what had to live, the rest was to go.
          if (!hasCode(error, 'CORRUPT') && !hasCode(error, 'NOT_FOUND')) throw error;
        }
      }
      const waiting = await copy.finish();
      await publishSegment(this.#options, { tier: 0, records: copies, waiting, replaces: [] });
    } finally {
      await copy.dispose();
    }
  }

  async #move({ ref }: Segment, moved: MovedFrames, packs: PackWriter): Promise<void> {
    const { backend, containers } = this.#options;
    if (inlinedBytes(ref) === 0) return;
    const key = containers.keyOf(ref);
    const start = CONTAINER_HEADER_SIZE_BYTES;
    try {
      const stream = openRange(backend, key, start, ref.tablesOffset);
      for await (const frame of framesOf(stream, ref.id, start, key)) {
        const handle = moved.twin(frame.kind + frame.digest) ?? waitingHandle(encodedOf(frame));
        await packs.add(handle);
        moved.note(ref.id, frame.offset, frame.kind + frame.digest, handle);
      }
    } catch (error) {
      if (hasCode(error, 'CORRUPT') || hasCode(error, 'NOT_FOUND')) this.#unreadable.add(ref.id);
      throw error;
    }
  }
}

/** Segments that replace the very same ones hold the same records: merging one of them on is enough. */
function withoutTwins(segments: readonly Segment[]): Segment[] {
  const firsts = new Map<string, Segment>();
  for (const segment of segments) {
    const { ref, replaces } = segment;
    const name = replaces.length === 0 ? ref.id : [...replaces].sort().join();
    const first = firsts.get(name);
    if (first === undefined || ref.id < first.ref.id) firsts.set(name, segment);
  }
  return [...firsts.values()];
}

const inlinedBytes = (ref: Segment['ref']): number =>
  ref.tablesOffset - CONTAINER_HEADER_SIZE_BYTES;

interface MovedFrame {
  /** Where it was. */
  readonly offset: number;
  readonly handle: FrameHandle;
}

/** Where each inlined frame of the merged segments went. */
class MovedFrames {
  /** Per segment, in the order of their offsets. */
  readonly #frames = new Map<ContainerId, MovedFrame[]>();
  readonly #twins = new Map<string, FrameHandle>();

  /** An equal frame that went before. */
  twin(name: string): FrameHandle | undefined {
    return this.#twins.get(name);
  }

  note(id: ContainerId, offset: number, name: string, handle: FrameHandle): void {
    this.#twins.set(name, handle);
    const frames = this.#frames.get(id) ?? [];
    frames.push({ offset, handle });
    this.#frames.set(id, frames);
  }

  /** The same bytes, those in merged segments at their new place. */
  rebuild(runs: readonly PlacedRun[]): RunBuilder {
    const builder = new RunBuilder();
    for (const run of runs) {
      const frames = this.#frames.get(run.container.id);
      if (frames === undefined) builder.add(storedHandle(run));
      else for (const { handle } of framesOfRun(frames, run)) builder.add(handle);
    }
    return builder;
  }
}

function framesOfRun(frames: readonly MovedFrame[], run: PlacedRun): readonly MovedFrame[] {
  let low = 0;
  let high = frames.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((frames[middle]?.offset ?? 0) < run.offset) low = middle + 1;
    else high = middle;
  }
  const found = frames.slice(low, low + run.frameCount);
  if (found.length === run.frameCount && found[0]?.offset === run.offset) return found;
  throw new DatamonError('CORRUPT', `a run does not fit the segment ${run.container.id}`);
}
