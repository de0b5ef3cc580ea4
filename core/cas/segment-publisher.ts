/** Writes one segment: inlines the frames that are given along or, where they are too many, packs them first; then tells the index. */
import type { Digest } from '../digest.ts';
import type { ContainerId } from '../keys.ts';
import { openTables } from './container-reader.ts';
import { createContainerWriter } from './container-writer.ts';
import { type ContainerRef, refOf } from './containers.ts';
import {
  type ContainerCell,
  type FrameHandle,
  framedSize,
  type RunBuilder,
  settle,
} from './frame-handle.ts';
import { INLINE_SIZE_MAX_BYTES } from './frame-sink.ts';
import { PackWriter, type PackWriterOptions } from './pack-writer.ts';
import type { SegmentIndex } from './segment-index.ts';
import {
  encodeSegmentTables,
  type PlacedRun,
  type RecordKind,
  type RecordState,
  type SegmentRecord,
} from './segment-tables.ts';
import { storeContainer } from './store-container.ts';

export interface PublisherOptions extends PackWriterOptions {
  readonly index: SegmentIndex;
}

/** A record whose frames are stored or waiting. */
export interface RecordDraft {
  readonly oid: Digest;
  readonly sizeBytes: number;
  readonly kind: RecordKind;
  readonly runs: RunBuilder;
  /** Default: verified, since nobody drafts a record of bytes he did not hash. Merging keeps what it finds. */
  readonly state?: RecordState;
}

export interface Publication {
  readonly segment: ContainerRef;
  /** Runs of each record, in the order of the records; the containers are named. */
  readonly runs: readonly (readonly PlacedRun[])[];
  /** Sizes in sum of the containers written. */
  readonly storedBytes: number;
  readonly packCount: number;
}

export interface SegmentContent {
  readonly tier: number;
  readonly records: readonly RecordDraft[];
  readonly waiting: readonly FrameHandle[];
  readonly replaces: readonly ContainerId[];
  readonly inlineMaxBytes?: number;
}

export async function publishSegment(
  options: PublisherOptions,
  content: SegmentContent,
): Promise<Publication> {
  const packs = new PackWriter(options);
  const writer = createContainerWriter({ ...options, kind: 'segment' });
  const self: ContainerCell = { id: writer.id, ref: null };
  try {
    const { unique, twins } = findTwins(content.waiting);
    const inline = waitingBytes(unique) <= (content.inlineMaxBytes ?? INLINE_SIZE_MAX_BYTES);
    for (const handle of unique) {
      if (!inline) await packs.add(handle);
      else if (handle.waiting) settle(handle, self, await writer.addEncoded(handle.waiting));
    }
    for (const { handle, first } of twins) {
      handle.location = first.location;
      handle.waiting = null;
    }
    await packs.finish();
    const records = content.records.map((draft) => recordOf(draft, self));
    const sealed = await writer.seal(encodeSegmentTables(records, content.replaces));
    const key = options.containers.keyOf({ kind: 'segment', id: sealed.id, tier: content.tier });
    await storeContainer(options.backend, key, sealed.body, sealed.trailer);
    const tables = openTables(sealed.trailer, sealed.tables, sealed.sizeBytes, key);
    const segment = refOf(tables, content.tier);
    self.ref = segment;
    options.index.add(segment, tables);
    const runs = records.map((record) =>
      record.runs.map((run) => ({ ...run, container: run.container ?? segment })),
    );
    const storedBytes = packs.storedBytes + sealed.sizeBytes;
    return { segment, runs, storedBytes, packCount: packs.packCount };
  } finally {
    await packs.dispose();
    await writer.dispose();
  }
}

/** Handles of equal frames: the first is written, its twins take its place for theirs. */
export function findTwins(handles: readonly FrameHandle[]): {
  readonly unique: readonly FrameHandle[];
  readonly twins: readonly { readonly handle: FrameHandle; readonly first: FrameHandle }[];
} {
  const firsts = new Map<string, FrameHandle>();
  const twins: { handle: FrameHandle; first: FrameHandle }[] = [];
  for (const handle of handles) {
    if (handle.waiting === null) continue;
    const name = handle.waiting.kind + handle.waiting.digest;
    const first = firsts.get(name);
    if (first === undefined) firsts.set(name, handle);
    else if (first !== handle) twins.push({ handle, first });
  }
  return { unique: [...firsts.values()], twins };
}

export function waitingBytes(handles: readonly FrameHandle[]): number {
  let sum = 0;
  for (const { waiting } of handles) if (waiting !== null) sum += framedSize(waiting);
  return sum;
}

function recordOf(draft: RecordDraft, self: ContainerCell): SegmentRecord {
  const { oid, sizeBytes, kind, state = 'verified' } = draft;
  return { oid, sizeBytes, kind, state, runs: draft.runs.runs(self) };
}
