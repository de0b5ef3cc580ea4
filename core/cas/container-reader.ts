/**
 * Reads containers by ranges. Promise: whatever it hands out was proved (tables by the trailer's digest, frames by their
 * headers' checksum, their container's id and their payload's digest); anything else is CORRUPT.
 */
import type { Backend } from '../backend/backend.ts';
import { type ByteStream, collect } from '../bytes.ts';
import { digestOf } from '../digest.ts';
import { DatamonError, hasCode } from '../errors.ts';
import { isFast } from '../fast-paths.ts';
import type { ContainerId, Key } from '../keys.ts';
import { createByteQueue } from './byte-queue.ts';
import {
  CONTAINER_HEADER_SIZE_BYTES,
  CONTAINER_TRAILER_SIZE_BYTES,
  type ContainerName,
  parseHeader,
  parseSections,
  parseTrailer,
  SECTION,
  TABLES_SIZE_MAX_BYTES,
  type Trailer,
} from './container-format.ts';
import {
  decodeFrame,
  type EncodedFrame,
  FRAME_HEADER_SIZE_BYTES,
  type FrameHeader,
  type FrameProof,
  parseFrameHeader,
} from './frame.ts';
import { type FrameTable, openFrameTable } from './frame-table.ts';

/** First read of an object's end; nearly all tables fit, so that a container costs one request. */
const TAIL_SIZE_BYTES = 256 * 1024;
const READ_SIZE_BYTES = 1024 * 1024;
/** Segments up to this size are kept whole in memory. */
const KEPT_SEGMENT_SIZE_MAX_BYTES = 128 * 1024;

export interface ContainerTables {
  readonly trailer: Trailer;
  readonly sizeBytes: number;
  /** Of the tables, as stored. */
  readonly bytes: Buffer;
  readonly sections: ReadonlyMap<number, Buffer>;
  readonly frames: FrameTable;
  /** All of the container, where it is a small segment that was read whole to find its tables: its frames need no request. */
  readonly whole?: Buffer;
}

export interface Frame extends FrameHeader {
  /** Of its header, in the container. */
  readonly offset: number;
  readonly payload: Uint8Array;
  /** The payload as it is stored. */
  readonly stored: Uint8Array;
}

/** A frame as it can be written into another container. The bytes are copied: the frame's own are a view of what was read. */
export function encodedOf(frame: Frame): EncodedFrame {
  const { kind, codec, digest, rawLength, storedLength } = frame;
  return { kind, codec, digest, rawLength, storedLength, stored: Buffer.from(frame.stored) };
}

/** Where tables lie, where it is known already; saves a read. */
export interface TablesHint {
  readonly tablesOffset: number;
  readonly tablesLength: number;
}

/** The tables of a container of `sizeBytes`, proved to be those of container `name`. */
export async function readTables(
  backend: Backend,
  key: Key,
  name: ContainerName,
  sizeBytes: number,
  hint?: TablesHint,
): Promise<ContainerTables> {
  if (sizeBytes < CONTAINER_HEADER_SIZE_BYTES + CONTAINER_TRAILER_SIZE_BYTES) {
    throw new DatamonError('CORRUPT', `${key} is too short to be a container`);
  }
  const wanted = hint ? sizeBytes - hint.tablesOffset : Math.min(sizeBytes, TAIL_SIZE_BYTES);
  const start = Math.max(0, sizeBytes - wanted);
  const tail = await readRange(backend, key, start, sizeBytes);
  const trailer = parseTrailer(tail.subarray(-CONTAINER_TRAILER_SIZE_BYTES), key);
  checkTrailer(trailer, name, sizeBytes, key);
  const { tablesOffset, tablesLength } = trailer;
  const tables =
    tablesOffset >= start
      ? // Copied, or the whole tail would stay in memory as long as they do.
        Buffer.from(tail.subarray(tablesOffset - start, tablesOffset - start + tablesLength))
      : await readRange(backend, key, tablesOffset, tablesOffset + tablesLength);
  const opened = openTables(trailer, tables, sizeBytes, key);
  return start === 0 && isKeptWhole(name, sizeBytes) ? { ...opened, whole: tail } : opened;
}

const isKeptWhole = ({ kind }: ContainerName, sizeBytes: number): boolean =>
  kind === 'segment' && sizeBytes <= KEPT_SEGMENT_SIZE_MAX_BYTES && isFast('kept-segments');

/** The trailer of a container of `sizeBytes`. */
export async function readTail(backend: Backend, key: Key, sizeBytes: number): Promise<Trailer> {
  const start = Math.max(0, sizeBytes - CONTAINER_TRAILER_SIZE_BYTES);
  return parseTrailer(await readRange(backend, key, start, sizeBytes), key);
}

/** Tables whose bytes are at hand. CORRUPT unless they have the digest that the trailer names. */
export function openTables(
  trailer: Trailer,
  bytes: Buffer,
  sizeBytes: number,
  what: string,
): ContainerTables {
  if (digestOf(bytes) !== trailer.tablesDigest) {
    throw new DatamonError('CORRUPT', `${what} has damaged tables`);
  }
  const sections = parseSections(bytes, what);
  const frames = openFrameTable(sections.get(SECTION.frames), trailer.tablesOffset, what);
  return { trailer, sizeBytes, bytes, sections, frames };
}

/** Refuses a trailer that is another container's, or that does not fit the object it ends. */
export function checkTrailer(
  trailer: Trailer,
  name: ContainerName,
  sizeBytes: number,
  what: string,
): void {
  if (trailer.id !== name.id || trailer.kind !== name.kind) {
    throw new DatamonError('CORRUPT', `${what} holds the ${trailer.kind} ${trailer.id}`);
  }
  const { tablesOffset, tablesLength } = trailer;
  const end = tablesOffset + tablesLength + CONTAINER_TRAILER_SIZE_BYTES;
  const fits = tablesOffset >= CONTAINER_HEADER_SIZE_BYTES && end === sizeBytes;
  if (!fits || tablesLength > TABLES_SIZE_MAX_BYTES) {
    throw new DatamonError('CORRUPT', `${what} has a trailer that does not fit it`);
  }
}

/** Reads and proves a container's header. */
export async function readHeader(backend: Backend, key: Key, name: ContainerName): Promise<void> {
  const header = parseHeader(await readRange(backend, key, 0, CONTAINER_HEADER_SIZE_BYTES), key);
  if (header.id !== name.id || header.kind !== name.kind) {
    throw new DatamonError('CORRUPT', `${key} holds the ${header.kind} ${header.id}`);
  }
}

/**
 * The frames of a byte range of container `id`: `stream` begins with a frame's header at `offset` and ends with a frame.
 * Each is verified before it is passed on; bytes that end within a frame are CORRUPT.
 */
export async function* framesOf(
  stream: ByteStream,
  id: ContainerId,
  offset: number,
  what: string,
): AsyncIterable<Frame> {
  const queue = createByteQueue(stream);
  try {
    for (;;) {
      const frame = await takeFrame(queue, id, offset, what);
      if (frame === null) return;
      yield frame;
    }
  } finally {
    await queue.close();
  }
}

/** The next frame of a queue that began at `offset` of its container; null at the stream's end. */
export async function takeFrame(
  queue: ReturnType<typeof createByteQueue>,
  id: ContainerId,
  offset: number,
  what: string,
  options: {
    readonly onBytes?: (bytes: Uint8Array) => void;
    readonly proof?: FrameProof;
  } = {},
): Promise<Frame | null> {
  const { onBytes, proof } = options;
  const at = offset + queue.takenBytes;
  const head = await queue.take(FRAME_HEADER_SIZE_BYTES);
  if (head.length === 0) return null;
  onBytes?.(head);
  const header = parseFrameHeader(head, id, what);
  const stored = await queue.take(header.storedLength);
  if (stored.length < header.storedLength) {
    throw new DatamonError('CORRUPT', `${what} ends within the frame ${header.digest}`);
  }
  onBytes?.(stored);
  return { ...header, offset: at, stored, payload: decodeFrame(header, stored, what, proof) };
}

/**
 * Every frame of a container that still proves itself, found by its mark (the container's id), whatever became of header,
 * tables and the frames between.
 */
export async function* recoverFrames(stream: ByteStream, id: ContainerId): AsyncIterable<Frame> {
  const mark = Buffer.from(id, 'hex');
  const queue = createByteQueue(stream);
  try {
    for (;;) {
      const window = await queue.peek(READ_SIZE_BYTES);
      const found = window.indexOf(mark);
      if (found < 0) {
        if (window.length < READ_SIZE_BYTES) return;
        await queue.skip(window.length - mark.length + 1);
        continue;
      }
      await queue.skip(found);
      const offset = queue.takenBytes;
      const frame = await provedFrame(queue, id, offset);
      if (frame === null) await queue.skip(1);
      else {
        await queue.skip(FRAME_HEADER_SIZE_BYTES + frame.storedLength);
        yield frame;
      }
    }
  } finally {
    await queue.close();
  }
}

/** The frame at the queue's head, which stays there; null where there is none that proves itself. */
async function provedFrame(
  queue: ReturnType<typeof createByteQueue>,
  id: ContainerId,
  offset: number,
): Promise<Frame | null> {
  try {
    const header = parseFrameHeader(await queue.peek(FRAME_HEADER_SIZE_BYTES), id, 'frame');
    const bytes = await queue.peek(FRAME_HEADER_SIZE_BYTES + header.storedLength);
    const stored = bytes.subarray(FRAME_HEADER_SIZE_BYTES);
    return { ...header, offset, stored, payload: decodeFrame(header, stored, 'frame') };
  } catch (error) {
    if (error instanceof DatamonError) return null;
    throw error;
  }
}

/** Bytes that a record or a table says are there. An object too short for them is damaged, whatever the backend calls it. */
export async function* openRange(
  backend: Backend,
  key: Key,
  start: number,
  end: number,
): ByteStream {
  try {
    yield* backend.get(key, { start, end });
  } catch (error) {
    if (!hasCode(error, 'INVALID')) throw error;
    throw new DatamonError('CORRUPT', `${key} is shorter than it was`, { cause: error });
  }
}

async function readRange(backend: Backend, key: Key, start: number, end: number): Promise<Buffer> {
  const bytes = await collect(openRange(backend, key, start, end), end - start);
  if (bytes.length === end - start) return bytes;
  throw new DatamonError('CORRUPT', `${key} is shorter than it was`);
}
