/**
 * Copies what still reads out of containers that are to go. Promises: what it counts as moved is published and leans on none of them
 * any more; a record of which one frame does not read is left as it is and named; memory is bounded.
 */
import type { Digest } from '../digest.ts';
import { DatamonError, hasCode } from '../errors.ts';
import type { ContainerId } from '../keys.ts';
import { encodedOf, framesOf, openRange } from './container-reader.ts';
import type { DirectParts } from './direct-store.ts';
import { RunBuilder, storedHandle } from './frame-handle.ts';
import type { FrameSink } from './frame-sink.ts';
import { RecipeWriter } from './recipe-writer.ts';
import type { FoundRecord } from './segment-index.ts';
import type { RecordDraft } from './segment-publisher.ts';
import type { PlacedRun } from './segment-tables.ts';

/** Records of one published segment. */
export const EVACUATED_RECORD_COUNT_MAX = 20_000;
/** Bytes copied before they are published. */
export const EVACUATED_SIZE_MAX_BYTES = 256 * 1024 * 1024;

export type EvacuateOptions = Pick<DirectParts, 'backend' | 'containers' | 'committer' | 'writer'>;

export interface Evacuated {
  readonly recordCount: number;
  readonly copiedBytes: number;
  /** Records that do not read, with the reason. */
  readonly left: readonly { readonly oid: Digest; readonly error: DatamonError }[];
}

/** `leaves` tells which containers are to go. Records that stand in a segment which is to go are to be passed too. */
export async function evacuate(
  options: EvacuateOptions,
  records: AsyncIterable<FoundRecord>,
  leaves: (id: ContainerId) => boolean,
): Promise<Evacuated> {
  const left: { oid: Digest; error: DatamonError }[] = [];
  let recordCount = 0;
  let copiedBytes = 0;
  let batch = new Batch(options, leaves);
  try {
    for await (const record of records) {
      try {
        await batch.add(record);
      } catch (error) {
        if (!hasCode(error, 'CORRUPT') && !hasCode(error, 'NOT_FOUND')) throw error;
        left.push({ oid: record.oid, error });
        continue;
      }
      recordCount += 1;
      if (!batch.isFull) continue;
      copiedBytes += await batch.publish();
      batch = new Batch(options, leaves);
    }
    copiedBytes += await batch.publish();
  } finally {
    await batch.dispose();
  }
  return { recordCount, copiedBytes, left };
}

class Batch {
  readonly #options: EvacuateOptions;
  readonly #leaves: (id: ContainerId) => boolean;
  readonly #sunk: ReturnType<DirectParts['writer']['newSink']>;
  readonly #records: RecordDraft[] = [];
  #copiedBytes = 0;

  constructor(options: EvacuateOptions, leaves: (id: ContainerId) => boolean) {
    this.#options = options;
    this.#leaves = leaves;
    this.#sunk = options.writer.newSink();
  }

  get isFull(): boolean {
    return (
      this.#records.length >= EVACUATED_RECORD_COUNT_MAX ||
      this.#copiedBytes >= EVACUATED_SIZE_MAX_BYTES
    );
  }

  async add({ oid, sizeBytes, kind, state, runs }: FoundRecord): Promise<void> {
    const builder = new RunBuilder();
    // The old recipe lies outside of runs, beside the chunks that go: it is written anew.
    const recipe = kind === 'blob' ? new RecipeWriter({ oid, sizeBytes }, this.#sunk.sink) : null;
    for (const run of runs) {
      if (this.#leaves(run.container.id)) await this.#copy(run, builder, recipe);
      else {
        builder.add(storedHandle(run));
        if (recipe !== null) await this.#list(run, recipe);
      }
    }
    await recipe?.finish();
    this.#records.push({ oid, sizeBytes, kind, state, runs: builder });
  }

  /** Makes what was added durable and known. Bytes copied. */
  async publish(): Promise<number> {
    if (this.#records.length === 0) return 0;
    const waiting = await this.#sunk.sink.finish();
    await this.#options.committer.commit({ records: this.#records, waiting });
    await this.dispose();
    return this.#copiedBytes;
  }

  async dispose(): Promise<void> {
    await this.#sunk.packs.dispose();
  }

  async #copy(run: PlacedRun, builder: RunBuilder, recipe: RecipeWriter | null): Promise<void> {
    const { backend, containers } = this.#options;
    const { container, offset, storedLength } = run;
    const sink: FrameSink = this.#sunk.sink;
    const key = containers.keyOf(container);
    const stream = openRange(backend, key, offset, offset + storedLength);
    let rawBytes = 0;
    for await (const frame of framesOf(stream, container.id, offset, key)) {
      builder.add(sink.find(frame.kind, frame.digest) ?? (await sink.add(encodedOf(frame))));
      await recipe?.add({ digest: frame.digest, sizeBytes: frame.rawLength });
      rawBytes += frame.rawLength;
    }
    if (rawBytes !== run.rawLength) {
      throw new DatamonError('CORRUPT', `${key} holds other frames than its record says`);
    }
    this.#copiedBytes += rawBytes;
  }

  /** The chunks of a run that stays, as its container's table has them. */
  async #list(run: PlacedRun, recipe: RecipeWriter): Promise<void> {
    const { frames } = await this.#options.containers.tables(run.container);
    const first = frames.indexAt(run.offset);
    for (let index = first; first >= 0 && index < first + run.frameCount; index += 1) {
      const { digest, rawLength } = frames.frame(index);
      await recipe.add({ digest, sizeBytes: rawLength });
    }
  }
}
