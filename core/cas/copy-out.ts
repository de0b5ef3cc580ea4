/**
 * Gives records that lean on doomed containers their own copy of the bytes, while those containers still read. Promises: each frame is
 * verified as it is copied, and stored once however many records have it; a blob's recipe goes with its chunks.
 */
import { DatamonError, hasCode } from '../errors.ts';
import type { ContainerId } from '../keys.ts';
import { encodedOf, framesOf, openRange } from './container-reader.ts';
import { type FrameHandle, RunBuilder, storedHandle } from './frame-handle.ts';
import { FrameSink } from './frame-sink.ts';
import type { RecipeChunk } from './ingest.ts';
import { PackWriter, type PackWriterOptions } from './pack-writer.ts';
import { RecipeWriter } from './recipe-writer.ts';
import type { RecordDraft } from './segment-publisher.ts';
import type { PlacedRun } from './segment-tables.ts';

/** A record as it stands, its containers named. */
export interface StandingRecord extends Omit<RecordDraft, 'runs'> {
  readonly runs: readonly PlacedRun[];
}

export class CopyOut {
  readonly #options: PackWriterOptions;
  readonly #isDoomed: (id: ContainerId) => boolean;
  readonly #packs: PackWriter;
  readonly #sink: FrameSink;
  /** Before compression. */
  copiedBytes = 0;

  constructor(options: PackWriterOptions, isDoomed: (id: ContainerId) => boolean) {
    this.#options = options;
    this.#isDoomed = isDoomed;
    this.#packs = new PackWriter(options);
    this.#sink = new FrameSink(this.#packs);
  }

  /** Sizes in sum of the packs written so far. */
  get storedBytes(): number {
    return this.#packs.storedBytes;
  }

  /** CORRUPT or NOT_FOUND where a frame to be copied does not read; nothing is recorded then. */
  async add(record: StandingRecord): Promise<RecordDraft> {
    const runs = new RunBuilder();
    const chunks: RecipeChunk[] = [];
    for (const run of record.runs) await this.#addRun(run, runs, chunks);
    if (record.kind === 'blob') await this.#writeRecipe(record, chunks);
    return { ...record, runs };
  }

  /** Makes what was copied durable, except for the frames that are few enough to be inlined. */
  finish(): Promise<FrameHandle[]> {
    return this.#sink.finish();
  }

  dispose(): Promise<void> {
    return this.#packs.dispose();
  }

  async #addRun(run: PlacedRun, into: RunBuilder, chunks: RecipeChunk[]): Promise<void> {
    const { backend, containers } = this.#options;
    const { container, offset, storedLength } = run;
    if (!this.#isDoomed(container.id)) {
      into.add(storedHandle(run));
      chunks.push(...(await this.#chunksOf(run)));
      return;
    }
    const key = containers.keyOf(container);
    const stream = openRange(backend, key, offset, offset + storedLength);
    let rawBytes = 0;
    for await (const frame of framesOf(stream, container.id, offset, key)) {
      rawBytes += frame.rawLength;
      chunks.push({ digest: frame.digest, sizeBytes: frame.rawLength });
      into.add(
        this.#sink.find(frame.kind, frame.digest) ?? (await this.#sink.add(encodedOf(frame))),
      );
    }
    if (rawBytes !== run.rawLength) {
      throw new DatamonError('CORRUPT', `${key} holds other frames than its record says`);
    }
    this.copiedBytes += rawBytes;
  }

  /** What a container's tables say of a run; nothing where they do not read, for a recipe only saves what is lost otherwise. */
  async #chunksOf({ container, offset, frameCount }: PlacedRun): Promise<RecipeChunk[]> {
    try {
      const { frames } = await this.#options.containers.tables(container);
      const first = frames.indexAt(offset);
      if (first < 0 || first + frameCount > frames.count) return [];
      return Array.from({ length: frameCount }, (_, index) => {
        const { digest, rawLength } = frames.frame(first + index);
        return { digest, sizeBytes: rawLength };
      });
    } catch (error) {
      if (!hasCode(error, 'CORRUPT') && !hasCode(error, 'NOT_FOUND')) throw error;
      return [];
    }
  }

  async #writeRecipe(
    { oid, sizeBytes }: StandingRecord,
    chunks: readonly RecipeChunk[],
  ): Promise<void> {
    if (chunks.reduce((sum, chunk) => sum + chunk.sizeBytes, 0) !== sizeBytes) return;
    const recipe = new RecipeWriter({ oid, sizeBytes }, this.#sink);
    for (const chunk of chunks) await recipe.add(chunk);
    await recipe.finish();
  }
}
