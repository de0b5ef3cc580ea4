/**
 * A file in one pass: its chunks, their digests and its own. Promises: bytes are read once, those of a large one straight into memory that the
 * threads which cut and hash them share; the slabs ahead of the reader are few; no slab is filled again before chunks and hasher are done with it.
 */
import type { ByteStream } from '../bytes.ts';
import { type Digest, digestOf, EMPTY_DIGEST } from '../digest.ts';
import { isFast } from '../fast-paths.ts';
import type { OpenOptions } from './blob-store.ts';
import { type Chunker, chunks } from './chunker.ts';
import { createThreadCutter, cutsBeside, type ThreadCutter } from './cut-thread.ts';
import type { Cuts } from './cut-worker.ts';
import { type Slab, Slabs } from './slabs.ts';
import { createThreadHasher, type ThreadHasher } from './thread-hasher.ts';

/** A file's bytes in a slab, behind room for the chunk that the slab before left unfinished. */
const SLAB_FILL_SIZE_BYTES = 2 * 1024 * 1024;
/** Slabs that are read and cut ahead of the one whose chunks are being taken. */
const SLABS_AHEAD_COUNT = 2;

export interface CutChunk {
  readonly bytes: Buffer;
  readonly digest: Digest;
  /** Call once when done with the bytes: their memory is used again. Never calling it costs memory, nothing else. */
  release(): void;
}

export interface CutFile {
  readonly chunks: AsyncIterable<CutChunk>;
  /** The digest of all bytes, once `chunks` has ended; null where nobody wanted it and it is not known. */
  digest(): Promise<Digest | null>;
  /** Ends it; safe at any time. */
  drop(): void;
}

export interface CutOptions {
  /** As announced. */
  readonly sizeBytes: number;
  readonly chunker: Chunker;
  /** Opens the bytes, as `BlobSource.open` does. */
  readonly open: (options: OpenOptions) => ByteStream;
  /** False: somebody else proves the whole. Default: true. */
  readonly isHashed?: boolean;
}

export function cutFile(options: CutOptions): CutFile {
  const isOneChunk = options.sizeBytes <= options.chunker.minBytes;
  if (isOneChunk && isFast('whole-files')) return wholeFile(options);
  const hasher = (options.isHashed ?? true) ? createThreadHasher(options.sizeBytes) : null;
  const beside = cutsBeside(options.sizeBytes) ? new SlabCutter(options, hasher) : null;
  return {
    chunks: beside === null ? cutHere(options, hasher) : beside.chunks(),
    digest: async () => (await hasher?.digest()) ?? null,
    drop() {
      beside?.drop();
      hasher?.drop();
    },
  };
}

/** A file that is one chunk: its digest is the file's, and its bytes are nobody else's. Of a longer one so much that it shows. */
function wholeFile({ sizeBytes, open }: CutOptions): CutFile {
  let digest: Digest = EMPTY_DIGEST;
  async function* chunk(): AsyncIterable<CutChunk> {
    const parts: Uint8Array[] = [];
    let readBytes = 0;
    for await (const part of open({ buffers: 'given' })) {
      parts.push(part);
      readBytes += part.length;
      if (readBytes > sizeBytes) break;
    }
    const [only] = parts;
    if (only === undefined) return;
    const bytes =
      parts.length > 1
        ? Buffer.concat(parts)
        : Buffer.from(only.buffer, only.byteOffset, only.length);
    digest = digestOf(bytes);
    yield { bytes, digest, release: () => {} };
  }
  return { chunks: chunk(), digest: async () => digest, drop: () => {} };
}

async function* cutHere(
  { open, chunker }: CutOptions,
  hasher: ThreadHasher | null,
): AsyncIterable<CutChunk> {
  for await (const bytes of chunks(open({ buffers: 'lent' }), chunker)) {
    const waiting = hasher?.update(bytes);
    if (waiting !== undefined) await waiting;
    yield { bytes, digest: digestOf(bytes), release: () => {} };
  }
}

/** By the room that a slab has for a chunk: that of a pool, so one entry in nearly every process. */
const slabsOf = new Map<number, Slabs>();

function slabsFor(frontBytes: number): Slabs {
  const found = slabsOf.get(frontBytes);
  if (found !== undefined) return found;
  const made = new Slabs(frontBytes + SLAB_FILL_SIZE_BYTES);
  slabsOf.set(frontBytes, made);
  return made;
}

interface CutSlab {
  readonly slab: Slab;
  readonly cuts: Cuts;
}

class SlabCutter {
  readonly #options: CutOptions;
  readonly #hasher: ThreadHasher | null;
  readonly #cutter: ThreadCutter;
  readonly #slabs: Slabs;
  readonly #reader: SlabReader;

  constructor(options: CutOptions, hasher: ThreadHasher | null) {
    this.#options = options;
    this.#hasher = hasher;
    this.#cutter = createThreadCutter(options.chunker.parameters);
    this.#slabs = slabsFor(options.chunker.maxBytes);
    this.#reader = new SlabReader(options.open, options.chunker.maxBytes);
  }

  async *chunks(): AsyncIterable<CutChunk> {
    const ahead: Promise<CutSlab | null>[] = [];
    try {
      while (ahead.length < SLABS_AHEAD_COUNT) ahead.push(this.#next());
      for (;;) {
        const next = await ahead.shift();
        if (next === undefined || next === null) return;
        ahead.push(this.#next());
        yield* this.#chunksOf(next);
      }
    } finally {
      // Not waited for: a source that keeps its next bytes waiting would keep us waiting too.
      this.#reader.leave();
      this.drop();
    }
  }

  drop(): void {
    this.#cutter.drop();
  }

  /** The next slab with its cuts; reading goes one after the other, cutting beside the reading. Null behind the last one. */
  #next(): Promise<CutSlab | null> {
    const slab = this.#slabs.take();
    const cut = this.#reader.fill(slab).then((filled) => {
      if (filled === null) {
        slab.release();
        return null;
      }
      return this.#cut(slab, filled);
    });
    // Awaited in its turn; until then a failure must not count as unhandled.
    cut.catch(() => {});
    return cut;
  }

  async #cut(slab: Slab, { end, isLast }: Filled): Promise<CutSlab> {
    const start = this.#options.chunker.maxBytes;
    this.#hash(slab, start, end);
    const cuts = await this.#cutter.cut(slab.bytes, { start, end, isLast });
    return { slab, cuts };
  }

  /** Where hashing fails, `digest` says so, and the slab is left to the garbage collector. */
  #hash(slab: Slab, start: number, end: number): void {
    if (this.#hasher === null) return;
    slab.hold();
    this.#hasher.lend(slab.bytes.subarray(start, end)).then(
      () => slab.release(),
      () => {},
    );
  }

  *#chunksOf({ slab, cuts }: CutSlab): Iterable<CutChunk> {
    let at = cuts.start;
    for (const [index, end] of cuts.ends.entries()) {
      slab.hold();
      yield {
        bytes: slab.bytes.subarray(at, end),
        digest: cuts.digests[index] as Digest,
        release: slab.release,
      };
      at = end;
    }
    slab.release();
  }
}

interface Filled {
  readonly end: number;
  readonly isLast: boolean;
}

/** Fills slabs from a stream, one at a time. */
class SlabReader {
  readonly #start: number;
  readonly #iterator: AsyncIterator<Uint8Array>;
  /** What the stream gave beyond the last slab. */
  #rest: Uint8Array = new Uint8Array();
  #room: Buffer = Buffer.alloc(0);
  #tail: Promise<unknown> = Promise.resolve();
  #isDone = false;

  constructor(open: CutOptions['open'], start: number) {
    this.#start = start;
    const stream = open({ buffers: 'lent', room: () => this.#room });
    this.#iterator = stream[Symbol.asyncIterator]();
  }

  /** Null where the last slab was filled before. */
  fill(slab: Slab): Promise<Filled | null> {
    const filled = this.#tail.then(() => this.#fill(slab.bytes));
    this.#tail = filled.catch(() => {
      this.#isDone = true;
    });
    return filled;
  }

  leave(): void {
    this.#isDone = true;
    void this.#iterator.return?.().catch(() => {});
  }

  async #fill(slab: Buffer): Promise<Filled | null> {
    if (this.#isDone) return null;
    let end = this.#start;
    while (end < slab.length) {
      if (this.#rest.length === 0) {
        this.#room = slab.subarray(end);
        const next = await this.#iterator.next();
        if (next.done === true) {
          this.#isDone = true;
          return { end, isLast: true };
        }
        this.#rest = next.value;
      }
      end += this.#takeRest(slab, end);
    }
    return { end, isLast: false };
  }

  /** Copies nothing that the stream put where it belongs. */
  #takeRest(slab: Buffer, end: number): number {
    const rest = this.#rest;
    const count = Math.min(rest.length, slab.length - end);
    const isThere = rest.buffer === slab.buffer && rest.byteOffset === slab.byteOffset + end;
    if (!isThere) slab.set(rest.subarray(0, count), end);
    this.#rest = rest.subarray(count);
    return count;
  }
}
