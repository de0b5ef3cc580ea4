/**
 * Proves a container to the last bit: header, every frame, the tables against the frames, the trailer, the digest of the whole. Reads
 * it once, front to back, a frame at a time in memory.
 */
import type { Backend } from '../backend/backend.ts';
import { type ByteQueue, createByteQueue } from '../cas/byte-queue.ts';
import {
  CONTAINER_HEADER_SIZE_BYTES,
  CONTAINER_TRAILER_SIZE_BYTES,
  type ContainerName,
  parseHeader,
  TRAILER_DIGESTED_SIZE_BYTES,
} from '../cas/container-format.ts';
import { type ContainerTables, readTables, recoverFrames } from '../cas/container-reader.ts';
import {
  decodeFrame,
  FRAME_HEADER_SIZE_BYTES,
  FRAME_RAW_SIZE_MAX_BYTES,
  parseFrameHeader,
} from '../cas/frame.ts';
import type { PlacedFrame } from '../cas/frame-table.ts';
import { openSegmentTables, type SegmentRecord } from '../cas/segment-tables.ts';
import { createHasher, type Hasher } from '../digest.ts';
import { DatamonError, hasCode } from '../errors.ts';
import type { Key } from '../keys.ts';
import { Extents } from './extents.ts';

/** What of an object is not as it should be. */
export type Part = 'header' | 'frame' | 'tables' | 'record' | 'whole' | 'content';

export interface Flaw {
  readonly part: Part;
  readonly message: string;
  /** Of the byte in the object where it begins, where that is known. */
  readonly offset: number | null;
}

export interface ContainerProof {
  readonly flaws: readonly Flaw[];
  /** Where frames are that prove themselves. */
  readonly intact: Extents;
  /** Null where they do not read. */
  readonly tables: ContainerTables | null;
}

/** Told of one container; what goes wrong in thousands of frames is told of the first. */
const FLAW_COUNT_MAX = 20;
const PIECE_SIZE_BYTES = 1024 * 1024;

class Flaws {
  readonly found: Flaw[] = [];

  add(part: Part, offset: number | null, message: string): void {
    if (this.found.length < FLAW_COUNT_MAX) this.found.push({ part, message, offset });
  }
}

/** Throws UNSUPPORTED for a container of later days, NOT_FOUND where it is gone. */
export async function proveContainer(
  backend: Pick<Backend, 'get'>,
  key: Key,
  name: ContainerName,
  sizeBytes: number,
): Promise<ContainerProof> {
  const flaws = new Flaws();
  const tables = await tablesOf(backend as Backend, key, name, sizeBytes, flaws);
  const intact =
    tables === null
      ? await salvage(backend, key, name)
      : await walk(backend, { key, name, tables, flaws });
  if (tables !== null && name.kind === 'segment') checkRecords(tables, key, flaws);
  return { flaws: flaws.found, intact, tables };
}

async function tablesOf(
  backend: Backend,
  key: Key,
  name: ContainerName,
  sizeBytes: number,
  flaws: Flaws,
): Promise<ContainerTables | null> {
  try {
    return await readTables(backend, key, name, sizeBytes);
  } catch (error) {
    if (!hasCode(error, 'CORRUPT')) throw error;
    flaws.add('tables', null, error.message);
    return null;
  }
}

/** Without tables nothing tells where frames should be; those that are found by their mark are as good as ever. */
async function salvage(
  backend: Pick<Backend, 'get'>,
  key: Key,
  { id }: ContainerName,
): Promise<Extents> {
  const intact = new Extents();
  for await (const { offset, storedLength } of recoverFrames(backend.get(key), id)) {
    intact.add(offset, offset + FRAME_HEADER_SIZE_BYTES + storedLength);
  }
  return intact;
}

interface Walk {
  readonly key: Key;
  readonly name: ContainerName;
  readonly tables: ContainerTables;
  readonly flaws: Flaws;
}

async function walk(backend: Pick<Backend, 'get'>, container: Walk): Promise<Extents> {
  const { key, name, tables, flaws } = container;
  const intact = new Extents();
  const queue = createByteQueue(backend.get(key));
  const whole = createHasher();
  try {
    const header = await queue.take(CONTAINER_HEADER_SIZE_BYTES);
    whole.update(header);
    flawOf('header', 0, flaws, () => checkHeader(header, name, key));
    for (let index = 0; index < tables.frames.count; index += 1) {
      const frame = tables.frames.frame(index);
      const end = frame.offset + FRAME_HEADER_SIZE_BYTES + frame.storedLength;
      if (await proveFrame(queue, whole, frame, container)) intact.add(frame.offset, end);
    }
    await hashThrough(queue, whole, tables.trailer.tablesLength);
    const trailer = await queue.take(CONTAINER_TRAILER_SIZE_BYTES);
    whole.update(trailer.subarray(0, TRAILER_DIGESTED_SIZE_BYTES));
    if (whole.digest() !== tables.trailer.wholeDigest) {
      flaws.add('whole', null, `${key} is not, byte for byte, what was written`);
    }
  } finally {
    await queue.close();
  }
  return intact;
}

async function proveFrame(
  queue: ByteQueue,
  whole: Hasher,
  frame: PlacedFrame,
  { key, name, flaws }: Walk,
): Promise<boolean> {
  const size = FRAME_HEADER_SIZE_BYTES + frame.storedLength;
  if (frame.storedLength > FRAME_RAW_SIZE_MAX_BYTES) {
    await hashThrough(queue, whole, size);
    flaws.add('frame', frame.offset, `${key} lists a frame of ${frame.storedLength} bytes`);
    return false;
  }
  const bytes = await queue.take(size);
  whole.update(bytes);
  return flawOf('frame', frame.offset, flaws, () => {
    const header = parseFrameHeader(bytes.subarray(0, FRAME_HEADER_SIZE_BYTES), name.id, key);
    if (header.digest !== frame.digest || header.kind !== frame.kind) {
      throw new DatamonError('CORRUPT', `${key} lists another frame than stands there`);
    }
    if (header.storedLength !== frame.storedLength || header.rawLength !== frame.rawLength) {
      throw new DatamonError('CORRUPT', `${key} lists a frame with another length`);
    }
    decodeFrame(header, bytes.subarray(FRAME_HEADER_SIZE_BYTES), key);
  });
}

function checkHeader(bytes: Buffer, name: ContainerName, key: Key): void {
  const header = parseHeader(bytes, key);
  if (header.id === name.id && header.kind === name.kind) return;
  throw new DatamonError('CORRUPT', `${key} holds the ${header.kind} ${header.id}`);
}

async function hashThrough(queue: ByteQueue, whole: Hasher, length: number): Promise<void> {
  for (let left = length; left > 0; ) {
    const bytes = await queue.take(Math.min(left, PIECE_SIZE_BYTES));
    if (bytes.length === 0) return;
    whole.update(bytes);
    left -= bytes.length;
  }
}

/** A segment's records are in order, found where one would look for them, and those within it fit its frames. */
function checkRecords(tables: ContainerTables, key: Key, flaws: Flaws): void {
  flawOf('record', tables.trailer.tablesOffset, flaws, () => {
    const segment = openSegmentTables(tables, key);
    let before = '';
    for (let index = 0; index < segment.recordCount; index += 1) {
      const record = segment.record(index);
      const isFound = segment.find(record.oid, record.kind).length > 0;
      if (record.oid < before || !isFound) {
        throw new DatamonError('CORRUPT', `${key} has a record out of its place: ${record.oid}`);
      }
      before = record.oid;
      checkRuns(record, tables, key);
    }
  });
}

function checkRuns(record: SegmentRecord, tables: ContainerTables, key: Key): void {
  const rawBytes = record.runs.reduce((sum, { rawLength }) => sum + rawLength, 0);
  const fit = record.runs.every((run) => run.container !== null || runFits(run, tables, record));
  if (fit && rawBytes === record.sizeBytes) return;
  throw new DatamonError('CORRUPT', `${key} has a record that does not fit: ${record.oid}`);
}

/** Whether a run's frames stand where it says, are of the record's kind and, where there is one alone, are the record's bytes. */
export function runFits(
  run: SegmentRecord['runs'][number],
  { frames }: Pick<ContainerTables, 'frames'>,
  { kind, oid, runs }: Pick<SegmentRecord, 'kind' | 'oid' | 'runs'>,
): boolean {
  const first = frames.indexAt(run.offset);
  if (first < 0 || first + run.frameCount > frames.count) return false;
  let rawBytes = 0;
  let storedBytes = 0;
  for (let index = first; index < first + run.frameCount; index += 1) {
    const frame = frames.frame(index);
    if (frame.kind !== (kind === 'page' ? 'page' : 'chunk')) return false;
    if (runs.length === 1 && run.frameCount === 1 && frame.digest !== oid) return false;
    rawBytes += frame.rawLength;
    storedBytes += FRAME_HEADER_SIZE_BYTES + frame.storedLength;
  }
  return rawBytes === run.rawLength && storedBytes === run.storedLength;
}

/** Runs a check; what it finds CORRUPT is noted. */
function flawOf(part: Part, offset: number, flaws: Flaws, check: () => void): boolean {
  try {
    check();
    return true;
  } catch (error) {
    if (!hasCode(error, 'CORRUPT')) throw error;
    flaws.add(part, offset, error.message);
    return false;
  }
}
