/**
 * Takes a pack from somebody who is not trusted. Promise: only a pack whose every byte was accounted for and whose every frame proved
 * itself is stored; memory is bounded by one frame and the tables.
 */
import type { Backend } from '../backend/backend.ts';
import type { ByteStream } from '../bytes.ts';
import { DatamonError, hasCode } from '../errors.ts';
import type { ContainerId } from '../keys.ts';
import type { Random } from '../random.ts';
import { type ByteQueue, createByteQueue } from './byte-queue.ts';
import {
  CONTAINER_HEADER_SIZE_BYTES,
  CONTAINER_TRAILER_SIZE_BYTES,
  parseHeader,
  parseSections,
  parseTrailer,
  SECTION,
  TRAILER_DIGESTED_SIZE_BYTES,
  type Trailer,
} from './container-format.ts';
import { checkTrailer, openTables, takeFrame } from './container-reader.ts';
import { PACK_SIZE_MAX_BYTES } from './container-writer.ts';
import { type Containers, refOf } from './containers.ts';
import { encodeFrameTable, type FrameEntry } from './frame-table.ts';
import type { AcceptedPack } from './ingest.ts';
import { createSpool } from './spool.ts';
import { storeContainer } from './store-container.ts';
import { createThreadHasher, type ThreadHasher } from './thread-hasher.ts';

/** Tables of the most frames a pack can hold, and then some. */
const PACK_TABLES_SIZE_MAX_BYTES = 32 * 1024 * 1024;

export interface PackIntakeOptions {
  readonly backend: Backend;
  readonly containers: Containers;
  readonly spoolDir: string;
  readonly random: Random;
}

export async function takePack(
  options: PackIntakeOptions,
  id: ContainerId,
  stream: ByteStream,
  sizeBytes: number,
): Promise<AcceptedPack> {
  if (sizeBytes > PACK_SIZE_MAX_BYTES) {
    throw new DatamonError(
      'TOO_LARGE',
      `a pack of ${sizeBytes} bytes; ${PACK_SIZE_MAX_BYTES} are the most`,
    );
  }
  const spool = createSpool({ ...options, spoolPath: options.backend.spoolPath });
  const what = `the pack ${id}`;
  const queue = createByteQueue(spooling(stream, sizeBytes, (bytes) => spool.write(bytes)));
  try {
    const { trailer, tables, frameCount } = await asInvalid(what, () =>
      parsePack(queue, id, sizeBytes),
    );
    const key = options.containers.keyOf({ kind: 'pack', id, tier: 0 });
    await storeContainer(options.backend, key, await spool.finish(), trailer);
    const opened = openTables(trailer, tables, sizeBytes, what);
    options.containers.remember(refOf(opened, 0), opened);
    return { id, frameCount, sizeBytes };
  } finally {
    await queue.close();
    await spool.dispose();
  }
}

interface ParsedPack {
  readonly trailer: Trailer;
  readonly tables: Buffer;
  readonly frameCount: number;
}

async function parsePack(
  queue: ByteQueue,
  id: ContainerId,
  sizeBytes: number,
): Promise<ParsedPack> {
  const hasher = createThreadHasher(sizeBytes);
  try {
    return await parseHashed(queue, { id, sizeBytes, hasher });
  } finally {
    hasher.drop();
  }
}

async function parseHashed(
  queue: ByteQueue,
  { id, sizeBytes, hasher }: { id: ContainerId; sizeBytes: number; hasher: ThreadHasher },
): Promise<ParsedPack> {
  const what = `the pack ${id}`;
  const head = await queue.take(CONTAINER_HEADER_SIZE_BYTES);
  await hasher.update(head);
  const name = parseHeader(head, what);
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
  const end = await queue.take(CONTAINER_TRAILER_SIZE_BYTES);
  const trailer = parseTrailer(end, what);
  checkTrailer(trailer, name, sizeBytes, what);
  await hasher.update(tables);
  await hasher.update(end.subarray(0, TRAILER_DIGESTED_SIZE_BYTES));
  const table = parseSections(tables, what).get(SECTION.frames);
  if (trailer.tablesOffset !== framesEnd || !table?.equals(encodeFrameTable(frames))) {
    throw new DatamonError('CORRUPT', `${what} has tables that are not those of its frames`);
  }
  openTables(trailer, tables, sizeBytes, what);
  if ((await hasher.digest()) !== trailer.wholeDigest) {
    throw new DatamonError('CORRUPT', `${what} has not the digest that its trailer names`);
  }
  return { trailer, tables, frameCount: frames.length };
}

/** Frames follow each other until what comes next does not begin with the pack's mark. */
async function parseFrames(
  queue: ByteQueue,
  id: ContainerId,
  hasher: ThreadHasher,
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

/** Passes bytes on while spooling them. INVALID unless there are exactly `sizeBytes`. */
async function* spooling(
  stream: ByteStream,
  sizeBytes: number,
  spool: (bytes: Uint8Array) => Promise<void>,
): ByteStream {
  let done = 0;
  for await (const bytes of stream) {
    done += bytes.length;
    if (done > sizeBytes) break;
    await spool(bytes);
    yield bytes;
  }
  if (done !== sizeBytes) {
    throw new DatamonError(
      'INVALID',
      `a pack of ${sizeBytes} bytes was announced, ${done} or more came`,
    );
  }
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
