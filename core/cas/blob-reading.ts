/**
 * One pass over a file that is to be stored: its chunks, its digest, which chunks are stored already. Promise: MISMATCH, naming the
 * file, unless size and digest are the ones announced; a small file is checked before any of its frames go anywhere.
 */
import type { ByteStream } from '../bytes.ts';
import { type Digest, digestOf } from '../digest.ts';
import { DatamonError } from '../errors.ts';
import { isFast } from '../fast-paths.ts';
import type { BlobSource, OpenOptions, PutOptions } from './blob-store.ts';
import type { Chunker } from './chunker.ts';
import { type CutChunk, cutFile } from './file-cutter.ts';
import { FragmentationGuard } from './fragmentation.ts';
import { type EncodedFrame, encodeFrame } from './frame.ts';
import type { FrameHandle } from './frame-handle.ts';
import type { KnownChunks } from './known-chunks.ts';
import { digestStream } from './stream-digest.ts';

/** Files up to this size are read whole before their frames go on; larger ones stream. */
export const SMALL_BLOB_SIZE_MAX_BYTES = 1024 * 1024;
/** Chunks of a larger file that are being compressed at a time. */
const CHUNKS_IN_FLIGHT = 8;

/** A chunk that was read: known to be stored, or on its way through the compressor. */
export interface ReadChunk {
  readonly digest: Digest;
  readonly sizeBytes: number;
  readonly known: FrameHandle | null;
  readonly encoding: Promise<EncodedFrame> | null;
}

export interface ReadingOptions extends PutOptions {
  readonly chunker: Chunker;
  readonly known: KnownChunks;
}

export const nameOf = (source: BlobSource): string => source.label ?? source.oid;

/** The chunks in order. Ends only if size and digest were right. */
export async function* readChunks(
  source: BlobSource,
  options: ReadingOptions,
): AsyncIterable<ReadChunk> {
  const isSmall = source.sizeBytes <= SMALL_BLOB_SIZE_MAX_BYTES;
  if (isSmall && isFast('whole-files')) yield* readSmall(source, options);
  else yield* readLarge(source, options);
}

async function* readSmall(source: BlobSource, options: ReadingOptions): AsyncIterable<ReadChunk> {
  const { chunker, known } = options;
  const guard = new FragmentationGuard();
  const bytes = await wholeOf(measured(source, options, { buffers: 'given' }));
  checkDigest(source, digestOf(bytes));
  for (let start = 0; start < bytes.length; ) {
    const end = chunker.cut(bytes, start, bytes.length, true);
    const chunk = bytes.subarray(start, end);
    // A file of one chunk: its digest is known by now.
    const digest = chunk.length === bytes.length ? source.oid : digestOf(chunk);
    yield await readChunk({ bytes: chunk, digest }, guard, known);
    start = end;
  }
}

async function* readLarge(source: BlobSource, options: ReadingOptions): AsyncIterable<ReadChunk> {
  const guard = new FragmentationGuard();
  const inFlight: LentChunk[] = [];
  const { sizeBytes } = source;
  const open = (how: OpenOptions) => measured(source, options, how);
  const file = cutFile({ sizeBytes, chunker: options.chunker, open });
  try {
    for await (const cut of file.chunks) {
      inFlight.push({ cut, chunk: await readChunk(cut, guard, options.known) });
      while (inFlight.length > CHUNKS_IN_FLIGHT) yield* take(inFlight.shift() as LentChunk);
    }
    checkDigest(source, await file.digest());
  } finally {
    file.drop();
  }
  for (const lent of inFlight) yield* take(lent);
}

interface LentChunk {
  readonly chunk: ReadChunk;
  readonly cut: CutChunk;
}

/** Whoever takes it is done with its bytes when asking for the next one. */
async function* take({ chunk, cut }: LentChunk): AsyncIterable<ReadChunk> {
  yield chunk;
  // Whether it was wanted or not: the compressor must not read what is filled again.
  await chunk.encoding?.catch(() => {});
  cut.release();
}

async function wholeOf(stream: ByteStream): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of stream) parts.push(part);
  const [only] = parts;
  if (only === undefined || parts.length > 1) return Buffer.concat(parts);
  return Buffer.from(only.buffer, only.byteOffset, only.length);
}

async function readChunk(
  { bytes, digest }: { readonly bytes: Buffer; readonly digest: Digest },
  guard: FragmentationGuard,
  known: KnownChunks,
): Promise<ReadChunk> {
  await known.follow(digest);
  const handle = known.find(digest);
  const base = { digest, sizeBytes: bytes.length };
  if (guard.observe(handle?.location ?? null)) return { ...base, known: handle, encoding: null };
  const encoding = encodeFrame({ kind: 'chunk', digest, payload: bytes });
  // Awaited later, in order; until then a failure must not count as unhandled.
  encoding.catch(() => {});
  return { ...base, known: null, encoding };
}

/** Reads a source to its end and checks it, storing nothing. */
export async function verifySource(source: BlobSource, options: PutOptions): Promise<void> {
  const { digest } = await digestStream(source.sizeBytes, (how) => measured(source, options, how));
  checkDigest(source, digest);
}

/** The source's bytes; MISMATCH unless they are as many as announced, CANCELLED once the signal says so. */
async function* measured(source: BlobSource, options: PutOptions, how: OpenOptions): ByteStream {
  let doneBytes = 0;
  for await (const bytes of openSource(source, how)) {
    throwIfCancelled(source, options.signal);
    doneBytes += bytes.length;
    if (doneBytes > source.sizeBytes)
      throw mismatch(source, `has more than ${source.sizeBytes} bytes`);
    yield bytes;
    options.onProgress?.(source.oid, doneBytes);
  }
  throwIfCancelled(source, options.signal);
  if (doneBytes !== source.sizeBytes) {
    throw mismatch(source, `has ${doneBytes} bytes, ${source.sizeBytes} were announced`);
  }
  if (source.sizeBytes === 0) options.onProgress?.(source.oid, 0);
}

function checkDigest(source: BlobSource, actual: Digest | null): void {
  if (actual !== source.oid) throw mismatch(source, `has the digest ${actual}`);
}

async function* openSource(source: BlobSource, options: OpenOptions): ByteStream {
  try {
    yield* source.open(options);
  } catch (cause) {
    if (cause instanceof DatamonError) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    const absent = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    throw new DatamonError(
      absent ? 'NOT_FOUND' : 'UNAVAILABLE',
      `${nameOf(source)} cannot be read: ${why}`,
      { cause },
    );
  }
}

function throwIfCancelled(source: BlobSource, signal: AbortSignal | undefined): void {
  if (signal?.aborted) {
    throw new DatamonError('CANCELLED', `storing ${nameOf(source)} was stopped`);
  }
}

function mismatch(source: BlobSource, what: string): DatamonError {
  const label = source.label === undefined ? '' : `${source.label} `;
  return new DatamonError(
    'MISMATCH',
    `${label}(${source.oid}) ${what}: was it changed while it was being pushed?`,
    { hint: 'Nothing was recorded for it. Add the file again, commit, and push once more.' },
  );
}
