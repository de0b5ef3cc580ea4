/**
 * Stores many blobs in one pipeline: small ones are read ahead, all share packs and segments. Promises: one failed file fails no other;
 * an outcome is told once that file is durable; what is under way is bounded in number and bytes.
 */
import type { Digest } from '../digest.ts';
import { type ReadChunk, SMALL_BLOB_SIZE_MAX_BYTES, verifySource } from './blob-reading.ts';
import type { BlobSource, PutOptions, PutOutcome, Receipt } from './blob-store.ts';
import { type BlobWriter, reused, type SunkBlob } from './blob-writer.ts';
import { type Committer, GROUP_DELAY_MS } from './committer.ts';
import { asDatamonError } from './failure.ts';
import type { FrameSink } from './frame-sink.ts';
import type { PackWriter } from './pack-writer.ts';
import { waitingBytes } from './segment-publisher.ts';

/** Small files read ahead of the one being packed. */
const READ_AHEAD_COUNT = 6;
/** A batch is recorded once it has so many new bytes or files; this much is sent again after a crash. */
export const BATCH_SIZE_MAX_BYTES = 256 * 1024 * 1024;
export const BATCH_FILE_COUNT_MAX = 4096;

export interface BatchWriterOptions {
  readonly writer: BlobWriter;
  readonly committer: Committer;
  readonly schedule: (delayMs: number, run: () => void) => void;
}

/** A file whose reading has begun. */
interface Begun {
  readonly source: BlobSource;
  /** A small file's chunks, read and checked; null for a large one, which is read when its turn comes. */
  readonly chunks: Promise<readonly ReadChunk[]> | null;
  readonly stored: Promise<boolean>;
}

interface Batched {
  readonly source: BlobSource;
  /** Null for what is stored already or comes twice in the batch. */
  readonly sunk: SunkBlob | null;
  /** It was found in the store when its reading began. */
  readonly wasKnown: boolean;
}

/** One call of `putMany`. */
export class BatchWriter {
  readonly #options: BatchWriterOptions;
  readonly #put: PutOptions;
  #packs: PackWriter;
  #sink: FrameSink;
  #batch: Batched[] = [];
  #oids = new Set<Digest>();
  #newBytes = 0;

  constructor(options: BatchWriterOptions, put: PutOptions) {
    this.#options = options;
    this.#put = put;
    const { packs, sink } = options.writer.newSink();
    this.#packs = packs;
    this.#sink = sink;
  }

  async *run(sources: Iterable<BlobSource> | AsyncIterable<BlobSource>): AsyncIterable<PutOutcome> {
    const begun: Begun[] = [];
    try {
      // Once is enough: what somebody else stores from now on may be stored twice, which costs bytes and nothing else.
      await this.#options.writer.learn();
      for await (const source of pausable(sources, this.#options.schedule)) {
        if (source !== PAUSE) begun.push(this.#begin(source));
        yield* this.#takeDownTo(source === PAUSE ? 0 : READ_AHEAD_COUNT - 1, begun);
        // In a pause nobody is waiting for more files, but somebody may be waiting for outcomes.
        if (source === PAUSE) yield* this.#flush();
      }
      yield* this.#takeDownTo(0, begun);
      yield* this.#flush();
    } finally {
      await Promise.allSettled(begun.flatMap(({ chunks, stored }) => [chunks, stored]));
      await this.#packs.dispose();
    }
  }

  async *#takeDownTo(count: number, begun: Begun[]): AsyncIterable<PutOutcome> {
    while (begun.length > count) {
      yield* this.#take(begun.shift() as Begun);
      if (this.#isFull()) yield* this.#flush();
    }
  }

  #isFull(): boolean {
    return this.#newBytes >= BATCH_SIZE_MAX_BYTES || this.#batch.length >= BATCH_FILE_COUNT_MAX;
  }

  #begin(source: BlobSource): Begun {
    const { writer } = this.#options;
    const stored = writer.isKnown(source.oid);
    const small = source.sizeBytes <= SMALL_BLOB_SIZE_MAX_BYTES;
    const chunks = small ? stored.then(() => gather(writer.chunksOf(source, this.#put))) : null;
    // Both are awaited when the file's turn comes.
    stored.catch(() => {});
    chunks?.catch(() => {});
    return { source, chunks, stored };
  }

  /** Adds a file to the batch; yields its outcome at once only where it failed. */
  async *#take({ source, chunks, stored }: Begun): AsyncIterable<PutOutcome> {
    try {
      const { writer } = this.#options;
      const wasKnown = await stored;
      if (wasKnown || this.#oids.has(source.oid)) {
        if (chunks === null) await verifySource(source, this.#put);
        else await chunks;
        this.#batch.push({ source, sunk: null, wasKnown });
        return;
      }
      const read = chunks === null ? writer.chunksOf(source, this.#put) : await chunks;
      const sunk = await writer.sink(source, read, this.#sink);
      this.#newBytes += sunk.newBytes;
      this.#oids.add(source.oid);
      this.#batch.push({ source, sunk, wasKnown });
    } catch (error) {
      this.#options.writer.failed();
      yield { oid: source.oid, error: asDatamonError(error, source) };
    }
  }

  /** Makes the batch durable and yields its outcomes. */
  async *#flush(): AsyncIterable<PutOutcome> {
    const batch = this.#batch;
    const packs = this.#packs;
    const sink = this.#sink;
    const { packs: freshPacks, sink: freshSink } = this.#options.writer.newSink();
    this.#batch = [];
    this.#oids = new Set();
    this.#newBytes = 0;
    this.#packs = freshPacks;
    this.#sink = freshSink;
    if (batch.length === 0) {
      await packs.dispose();
      return;
    }
    try {
      const receipts = await this.#commit(batch, packs, sink);
      const known = batch.filter(({ wasKnown }) => wasKnown).map(({ source }) => source.oid);
      const counted = await this.#options.writer.countedOf(known);
      for (const [index, batched] of batch.entries()) {
        yield await this.#confirm(batched, receipts[index] as Receipt, counted);
      }
    } catch (error) {
      this.#options.writer.failed();
      for (const { source } of batch)
        yield { oid: source.oid, error: asDatamonError(error, source) };
    } finally {
      await packs.dispose();
    }
  }

  /** What was known may have been condemned while the batch gathered: then it is stored now. */
  async #confirm(
    { source, wasKnown }: Batched,
    receipt: Receipt,
    counted: ReadonlySet<Digest>,
  ): Promise<PutOutcome> {
    const { oid } = source;
    const { writer } = this.#options;
    try {
      const isThere = !wasKnown || counted.has(oid);
      return { oid, receipt: isThere ? receipt : await writer.put(source, this.#put) };
    } catch (error) {
      return { oid, error: asDatamonError(error, source) };
    }
  }

  /** Receipts in the order of the batch. */
  async #commit(batch: readonly Batched[], packs: PackWriter, sink: FrameSink): Promise<Receipt[]> {
    const waiting = await sink.finish();
    const inlineBytes = waitingBytes(waiting);
    const sunk = batch.flatMap((entry) => (entry.sunk === null ? [] : [entry.sunk]));
    if (sunk.length === 0) return batch.map(({ source }) => reused(source));
    const records = sunk.map(({ draft }) => draft);
    const cost = await this.#options.committer.commit({ records, waiting });
    const frameBytes = sunk.reduce((sum, blob) => sum + blob.frameBytes, 0);
    const grownBytes =
      packs.storedBytes + inlineBytes + cost.overheadBytes - cost.sharedStoredBytes;
    // What is nobody's frame (headers, tables, records) is shared out evenly; the first file bears the remainder.
    const perFile = Math.floor((grownBytes - frameBytes) / sunk.length);
    const remainder = grownBytes - frameBytes - perFile * sunk.length;
    let first = true;
    return batch.map(({ source, sunk: blob }) => {
      if (blob === null) return reused(source);
      const isFirst = first;
      first = false;
      return {
        fileCount: 1,
        logicalBytes: source.sizeBytes,
        newBytes: Math.max(0, blob.newBytes - (isFirst ? cost.sharedRawBytes : 0)),
        resumedBytes: blob.resumedBytes,
        storedBytes: blob.frameBytes + perFile + (isFirst ? remainder : 0),
        packCount: isFirst ? packs.packCount + cost.packCount : 0,
        requestCount: isFirst ? packs.packCount + cost.requestCount : 0,
      };
    });
  }
}

async function gather(chunks: AsyncIterable<ReadChunk>): Promise<ReadChunk[]> {
  const gathered: ReadChunk[] = [];
  for await (const chunk of chunks) gathered.push(chunk);
  return gathered;
}

const PAUSE = Symbol('pause');

/** The sources, with a PAUSE wherever the next one keeps waiting, so that nobody waits for nobody. */
async function* pausable(
  sources: Iterable<BlobSource> | AsyncIterable<BlobSource>,
  schedule: (delayMs: number, run: () => void) => void,
): AsyncIterable<BlobSource | typeof PAUSE> {
  if (Symbol.iterator in sources) {
    yield* sources;
    return;
  }
  const iterator = sources[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = iterator.next();
      const pause = new Promise<null>((resolve) => schedule(GROUP_DELAY_MS, () => resolve(null)));
      const first = await Promise.race([next, pause]);
      if (first === null) yield PAUSE;
      const { done, value } = await next;
      if (done === true) return;
      yield value;
    }
  } finally {
    // Not waited for: a source that keeps its next file waiting would keep us waiting too.
    void Promise.resolve(iterator.return?.()).catch(() => {});
  }
}
