/**
 * Stores blobs: cut, compared with what is stored, framed, packed, recorded. Promises: a receipt means durable, hashed and recorded;
 * a file that is not what was announced leaves no record; the same file twice at a time is stored once; memory is bounded.
 */
import type { Backend } from '../backend/backend.ts';
import type { Digest } from '../digest.ts';
import { DatamonError } from '../errors.ts';
import {
  type ReadChunk,
  readChunks,
  SMALL_BLOB_SIZE_MAX_BYTES,
  verifySource,
} from './blob-reading.ts';
import { type BlobSource, EMPTY_RECEIPT, type PutOptions, type Receipt } from './blob-store.ts';
import type { Chunker } from './chunker.ts';
import type { Committer } from './committer.ts';
import type { Condemned } from './condemned.ts';
import { framedSize, RunBuilder } from './frame-handle.ts';
import { FrameSink } from './frame-sink.ts';
import type { Holdings } from './holdings.ts';
import type { KnownChunks } from './known-chunks.ts';
import { PackWriter, type PackWriterOptions } from './pack-writer.ts';
import { RecipeWriter } from './recipe-writer.ts';
import type { Resumption } from './resumption.ts';
import type { FoundRecord, SegmentIndex } from './segment-index.ts';
import { type RecordDraft, waitingBytes } from './segment-publisher.ts';
import type { Touch } from './touch.ts';

export interface BlobWriterOptions extends PackWriterOptions {
  readonly backend: Backend;
  readonly chunker: Chunker;
  readonly known: KnownChunks;
  readonly index: SegmentIndex;
  readonly condemned: Condemned;
  readonly holdings: Holdings;
  readonly committer: Committer;
  /** Takes up what interrupted puts stored; null: nobody notes it. */
  readonly resumption: Resumption | null;
  readonly touch: Touch;
}

/** A blob whose frames were handed to a sink. */
export interface SunkBlob {
  readonly draft: RecordDraft;
  readonly newBytes: number;
  /** Of these, in packs of an interrupted put. */
  readonly resumedBytes: number;
  /** New frames, recipes included, with their headers. */
  readonly frameBytes: number;
}

type Chunks = AsyncIterable<ReadChunk> | Iterable<ReadChunk>;

export class BlobWriter {
  readonly #options: BlobWriterOptions;
  readonly #underWay = new Map<Digest, Promise<Receipt>>();

  constructor(options: BlobWriterOptions) {
    this.#options = options;
  }

  async put(source: BlobSource, options: PutOptions = {}): Promise<Receipt> {
    if (await this.isStored(source.oid)) {
      await verifySource(source, options);
      if (await this.isCounted(source.oid)) return reused(source);
    }
    const other = this.#underWay.get(source.oid);
    if (other !== undefined && options.meanwhile !== 'store-too') {
      return this.#shareOther(source, other, options);
    }
    return this.#putFirst(source, this.chunksOf(source, options));
  }

  /** Others that come with the same file meanwhile wait for this one. */
  async #putFirst(source: BlobSource, chunks: Chunks): Promise<Receipt> {
    const storing = this.#putAlone(source, chunks);
    this.#underWay.set(source.oid, storing);
    try {
      return await storing;
    } finally {
      if (this.#underWay.get(source.oid) === storing) this.#underWay.delete(source.oid);
    }
  }

  /** Reads what the repo has by now, for `isKnown`. */
  async learn(): Promise<void> {
    await Promise.all([this.#options.index.refresh(), this.look()]);
  }

  /** Reads what was condemned by now. What is known and counted on is looked at again after it. */
  look(): Promise<void> {
    return this.#options.condemned.look();
  }

  /** As `isStored`, without asking the store whether a miss is still one. */
  async isKnown(oid: Digest): Promise<boolean> {
    const { index, holdings } = this.#options;
    return (await holdings.sound((await index.peek([oid], 'blob')).get(oid))) !== undefined;
  }

  /** Whether a record says so that leans on nothing condemned, as far as known; for who stores the file where none does. */
  async isStored(oid: Digest): Promise<boolean> {
    const { index, holdings } = this.#options;
    return (await holdings.sound((await index.findToStore([oid], 'blob')).get(oid))) !== undefined;
  }

  /** As `isStored`, for who says so to somebody: looked at after it was found, and kept from being collected soon. */
  async isCounted(oid: Digest): Promise<boolean> {
    return (await this.countedOf([oid])).has(oid);
  }

  /** As `isCounted`, with one look for all, and without asking the store whether a miss is still one. */
  async countedOf(oids: readonly Digest[]): Promise<ReadonlySet<Digest>> {
    const sound = await this.counted(await this.#options.index.peek(oids, 'blob'));
    return new Set(sound.map(({ oid }) => oid));
  }

  /**
   * Of the records found, one each that a writer may count on. Looked at now: one of them may be that of a writer who has published
   * and not looked yet. What a policy may take away soon is published again.
   */
  async counted(
    found: ReadonlyMap<Digest, readonly FoundRecord[]>,
  ): Promise<readonly FoundRecord[]> {
    if (found.size === 0) return [];
    const { holdings, touch } = this.#options;
    await this.look();
    const sound: FoundRecord[] = [];
    for (const records of found.values()) {
      const record = await holdings.sound(records);
      if (record !== undefined) sound.push(record);
    }
    await touch.keep(sound);
    return sound;
  }

  /** The chunks of a file, those known marked as such. */
  async *chunksOf(source: BlobSource, options: PutOptions): AsyncIterable<ReadChunk> {
    const { chunker, known, resumption } = this.#options;
    await resumption?.adopt();
    if (source.sizeBytes > chunker.minBytes) {
      await known.prepare(source.sizeBytes, source.basis ?? []);
    }
    yield* readChunks(source, { ...options, chunker, known });
  }

  /** Hands chunks to a sink, in order, and their recipe after them. Nothing is recorded yet. */
  async sink(
    source: BlobSource,
    chunks: AsyncIterable<ReadChunk> | Iterable<ReadChunk>,
    into: FrameSink,
  ): Promise<SunkBlob> {
    const runs = new RunBuilder();
    const recipe = new RecipeWriter(source, into);
    const { known } = this.#options;
    let newBytes = 0;
    let resumedBytes = 0;
    let frameBytes = 0;
    for await (const chunk of chunks) {
      const stored = chunk.known ?? into.find('chunk', chunk.digest);
      if (stored) {
        runs.add(stored);
        resumedBytes += known.sparedBytes(stored);
      } else {
        const frame = await (chunk.encoding ?? this.#lost(chunk));
        newBytes += frame.rawLength;
        frameBytes += framedSize(frame);
        runs.add(await into.add(frame));
      }
      await recipe.add(chunk);
    }
    await recipe.finish();
    frameBytes += recipe.frameBytes;
    const { oid, sizeBytes } = source;
    const draft = { oid, sizeBytes, kind: 'blob', runs } as const;
    return { draft, newBytes: newBytes + resumedBytes, resumedBytes, frameBytes };
  }

  newSink(): { readonly packs: PackWriter; readonly sink: FrameSink } {
    const { resumption } = this.#options;
    const packs = new PackWriter({
      ...this.#options,
      ...(resumption && { onStored: (pack) => resumption.note(pack) }),
    });
    return { packs, sink: new FrameSink(packs) };
  }

  /** What was stored for a put that failed is there for the next one. */
  failed(): void {
    this.#options.resumption?.failed();
  }

  #lost(chunk: ReadChunk): never {
    throw new DatamonError('CORRUPT', `the chunk ${chunk.digest} was neither known nor read`);
  }

  async #putAlone(source: BlobSource, chunks: Chunks): Promise<Receipt> {
    const { committer } = this.#options;
    const { packs, sink } = this.newSink();
    try {
      const { draft, newBytes, resumedBytes } = await this.sink(source, chunks, sink);
      const waiting = await sink.finish();
      const inlineBytes = waitingBytes(waiting);
      const cost = await committer.commit({ records: [draft], waiting });
      return {
        fileCount: 1,
        logicalBytes: source.sizeBytes,
        newBytes: newBytes - cost.sharedRawBytes,
        resumedBytes,
        storedBytes: packs.storedBytes + inlineBytes + cost.overheadBytes - cost.sharedStoredBytes,
        packCount: packs.packCount + cost.packCount,
        requestCount: packs.packCount + cost.requestCount,
      };
    } catch (error) {
      await packs.dispose();
      this.failed();
      throw error;
    } finally {
      await packs.dispose();
    }
  }

  /** Somebody is storing the same blob. Our bytes are checked all the same, and stored should the other one fail. */
  async #shareOther(
    source: BlobSource,
    other: Promise<Receipt>,
    options: PutOptions,
  ): Promise<Receipt> {
    if (source.sizeBytes > SMALL_BLOB_SIZE_MAX_BYTES) {
      await verifySource(source, options);
      const done = await other.then(() => true).catch(() => false);
      return done ? reused(source) : this.put(source, options);
    }
    // A small file is kept until it is clear whether it is needed: its source may not open twice.
    const chunks: ReadChunk[] = [];
    for await (const chunk of this.chunksOf(source, options)) chunks.push(chunk);
    // Of those that waited for one who failed, one is the next to be waited for.
    for (let first = other; ; ) {
      if (await first.then(() => true).catch(() => false)) return reused(source);
      const next = this.#underWay.get(source.oid);
      if (next === undefined || next === first) return this.#putFirst(source, chunks);
      first = next;
    }
  }
}

/** Nothing was new. */
export const reused = (source: BlobSource): Receipt => ({
  ...EMPTY_RECEIPT,
  fileCount: 1,
  logicalBytes: source.sizeBytes,
});
