/**
 * Proves a pack of somebody who is not trusted. Promise: what is returned was read from a pack whose every byte was accounted for and whose every
 * frame proved itself.
 */
import { createHasher, type Hasher } from '../digest.ts';
import { DatamonError, hasCode } from '../errors.ts';
import type { ContainerId } from '../keys.ts';
import type { ByteQueue } from './byte-queue.ts';
import {
  CONTAINER_HEADER_SIZE_BYTES,
  CONTAINER_TRAILER_SIZE_BYTES,
  encodeTrailer,
  encodeTrailerHead,
  OPEN_PACK_LACKS_BYTES,
  type PackForm,
  parseHeader,
  parseSections,
  parseTrailer,
  SECTION,
  TRAILER_DIGESTED_SIZE_BYTES,
  type Trailer,
} from './container-format.ts';
import { checkTrailer, openTables, takeFrame } from './container-reader.ts';
import { encodeFrameTable, type FrameEntry } from './frame-table.ts';

/** Tables of the most frames a pack can hold, and then some. */
const PACK_TABLES_SIZE_MAX_BYTES = 32 * 1024 * 1024;

/** A pack that is offered. */
export interface PackOffer {
  readonly id: ContainerId;
  /** Of the pack as it is to be stored. */
  readonly sizeBytes: number;
  readonly form: PackForm;
}

export interface ParsedPack {
  readonly trailer: Trailer;
  readonly tables: Buffer;
  readonly frameCount: number;
  /** What an open pack lacks; nothing for a sealed one. */
  readonly end: Uint8Array;
}

/** Reads a pack to its end. INVALID unless it is an intact pack `id` of `sizeBytes`. */
export async function provePack(queue: ByteQueue, offer: PackOffer): Promise<ParsedPack> {
  return await asInvalid(`the pack ${offer.id}`, () => parsePack(queue, offer));
}

async function parsePack(queue: ByteQueue, offer: PackOffer): Promise<ParsedPack> {
  const { id, sizeBytes, form } = offer;
  const hasher = createHasher();
  const what = `the pack ${id}`;
  const header = await queue.take(CONTAINER_HEADER_SIZE_BYTES);
  hasher.update(header);
  const name = parseHeader(header, what);
  if (name.kind !== 'pack' || name.id !== id) {
    throw new DatamonError('CORRUPT', `${what} is in truth the ${name.kind} ${name.id}`);
  }
  const frames = await parseFrames(queue, id, hasher);
  const framesEnd = queue.takenBytes;
  const tablesLength = sizeBytes - framesEnd - CONTAINER_TRAILER_SIZE_BYTES;
  if (tablesLength < 0 || tablesLength > PACK_TABLES_SIZE_MAX_BYTES) {
    throw new DatamonError('CORRUPT', `${what} has no room for its tables`);
  }
  const tables = Buffer.from(await queue.take(tablesLength));
  const head = Buffer.from(await queue.take(TRAILER_DIGESTED_SIZE_BYTES));
  hasher.update(tables);
  hasher.update(head);
  const wholeDigest = hasher.digest();
  const end =
    form === 'open'
      ? encodeTrailer(head, wholeDigest).subarray(head.length)
      : await queue.take(OPEN_PACK_LACKS_BYTES);
  const trailer = parseTrailer(Buffer.concat([head, end]), what);
  checkTrailer(trailer, name, sizeBytes, what);
  // Its own digest would tell, had it one: what is spare in a trailer is nothing.
  if (form === 'open' && !head.equals(encodeTrailerHead(trailer))) {
    throw new DatamonError('CORRUPT', `${what} has a trailer with bytes that mean nothing`);
  }
  const table = parseSections(tables, what).get(SECTION.frames);
  if (trailer.tablesOffset !== framesEnd || !table?.equals(encodeFrameTable(frames))) {
    throw new DatamonError('CORRUPT', `${what} has tables that are not those of its frames`);
  }
  openTables(trailer, tables, sizeBytes, what);
  if (wholeDigest !== trailer.wholeDigest) {
    throw new DatamonError('CORRUPT', `${what} has not the digest that its trailer names`);
  }
  const isOpen = form === 'open';
  return { trailer, tables, frameCount: frames.length, end: isOpen ? end : new Uint8Array() };
}

/** Frames follow each other until what comes next does not begin with the pack's mark. */
async function parseFrames(
  queue: ByteQueue,
  id: ContainerId,
  hasher: Hasher,
): Promise<FrameEntry[]> {
  const mark = Buffer.from(id, 'hex');
  const frames: FrameEntry[] = [];
  while ((await queue.peek(mark.length)).equals(mark)) {
    const frame = await takeFrame(queue, id, 0, `the pack ${id}`, {
      onBytes: (bytes) => hasher.update(bytes),
    });
    if (frame === null) break;
    const { kind, digest, rawLength, storedLength } = frame;
    frames.push({ kind, digest, rawLength, storedLength });
  }
  return frames;
}

/** What is damage in a stored container is a lie in one that is offered. */
async function asInvalid<T>(what: string, parse: () => Promise<T>): Promise<T> {
  try {
    return await parse();
  } catch (error) {
    if (!hasCode(error, 'CORRUPT') && !hasCode(error, 'UNSUPPORTED')) throw error;
    throw new DatamonError('INVALID', `${what} was refused: ${error.message}`, { cause: error });
  }
}
