/**
 * Content-defined chunking, `gear32` (docs/format.md §5). Promises: the chunks of a stream, joined, are the stream; where the
 * cuts fall depends on the bytes and the pool's seed alone, never on how the stream was sliced; memory is bounded.
 */
import { createHash } from 'node:crypto';
import type { ByteStream } from '../bytes.ts';
import { DatamonError } from '../errors.ts';
import { isFast } from '../fast-paths.ts';
import { createGearScan, type GearScan, type ScanState } from './gear-scan.ts';
import type { PoolParameters } from './pool.ts';

/** What the cut points depend on. */
export type ChunkerParameters = Pick<
  PoolParameters,
  'seed' | 'minBytes' | 'averageBytes' | 'maxBytes'
>;

/** Bytes that still influence a 32-bit gear hash. */
const WINDOW_SIZE_BYTES = 32;
/** Masks are this many bits harder before the average, easier after it (normalised chunking). */
const NORMALISATION_BITS = 2;
/** Largest raw length of a frame allows no larger chunk. */
const MAX_BYTES_LIMIT = 16 * 1024 * 1024;
/** Streams are gathered in buffers of at least this size, so that few bytes are moved twice. */
const ARENA_SIZE_MIN_BYTES = 1024 * 1024;
const ARENA_SIZE_FIRST_BYTES = 16 * 1024;

export interface Chunker {
  readonly parameters: ChunkerParameters;
  readonly minBytes: number;
  readonly maxBytes: number;
  /**
   * End of the chunk that begins at `start`; -1 where more bytes than `end` are needed to tell. With `isLast` there are none,
   * and the rest is a chunk.
   */
  cut(bytes: Uint8Array, start: number, end: number, isLast: boolean): number;
}

export function createChunker(parameters: ChunkerParameters): Chunker {
  checkParameters(parameters);
  const { minBytes, averageBytes, maxBytes } = parameters;
  const averageBits = Math.round(Math.log2(averageBytes));
  const hardMask = topBits(averageBits + NORMALISATION_BITS);
  const easyMask = topBits(averageBits - NORMALISATION_BITS);
  // Made by the first cut: whoever only reads makes none.
  let rolling: Rolling | null = null;

  function cut(bytes: Uint8Array, start: number, end: number, isLast: boolean): number {
    rolling ??= createRolling(parameters.seed);
    const maxEnd = start + maxBytes;
    const scanEnd = Math.min(end, maxEnd);
    const warm = start + minBytes;
    if (scanEnd > warm) {
      const averageEnd = Math.min(start + averageBytes, scanEnd);
      rolling.hash = warmUp(rolling.table, bytes, warm);
      const early = rolling.scan(rolling, bytes, warm, averageEnd, hardMask);
      if (early >= 0) return early;
      const late = rolling.scan(rolling, bytes, averageEnd, scanEnd, easyMask);
      if (late >= 0) return late;
    }
    if (scanEnd === maxEnd) return maxEnd;
    return isLast ? end : -1;
  }
  return { parameters, minBytes, maxBytes, cut };
}

/** The gear hash between two scans of one chunk. */
interface Rolling extends ScanState {
  readonly scan: GearScan;
}

function createRolling(seed: string): Rolling {
  const table = gearTable(seed);
  return { table, hash: 0, scan: isFast('wasm-scan') ? createGearScan(table) : scan };
}

/** The hash of the window that ends at `end`. */
function warmUp(table: Int32Array, bytes: Uint8Array, end: number): number {
  let hash = 0;
  for (let index = end - WINDOW_SIZE_BYTES; index < end; index += 1) {
    hash = ((hash << 1) + at(table, at(bytes, index))) | 0;
  }
  return hash;
}

/** The index after the first byte from `from` on where the hash has none of the mask's bits; -1 where there is none. */
function scan(state: ScanState, bytes: Uint8Array, from: number, to: number, mask: number): number {
  const { table } = state;
  let hash = state.hash;
  let index = from;
  // Four steps a turn: nearly twice as fast as one.
  for (const fastEnd = to - 3; index < fastEnd; index += 4) {
    hash = ((hash << 1) + at(table, at(bytes, index))) | 0;
    if ((hash & mask) === 0) return index + 1;
    hash = ((hash << 1) + at(table, at(bytes, index + 1))) | 0;
    if ((hash & mask) === 0) return index + 2;
    hash = ((hash << 1) + at(table, at(bytes, index + 2))) | 0;
    if ((hash & mask) === 0) return index + 3;
    hash = ((hash << 1) + at(table, at(bytes, index + 3))) | 0;
    if ((hash & mask) === 0) return index + 4;
  }
  for (; index < to; index += 1) {
    hash = ((hash << 1) + at(table, at(bytes, index))) | 0;
    if ((hash & mask) === 0) return index + 1;
  }
  state.hash = hash;
  return -1;
}

/** The chunks of a stream. Each buffer is the caller's to keep: it is never written again. */
export async function* chunks(
  stream: ByteStream,
  parameters: ChunkerParameters | Chunker,
): AsyncIterable<Buffer> {
  const chunker = 'cut' in parameters ? parameters : createChunker(parameters);
  const arenaBytes = Math.max(ARENA_SIZE_MIN_BYTES, 4 * chunker.maxBytes);
  let arena = Buffer.alloc(0);
  let start = 0;
  let end = 0;
  for await (const bytes of stream) {
    let taken = 0;
    while (taken < bytes.length) {
      if (end === arena.length) {
        // Small at first: most files are.
        const grown = Math.max(ARENA_SIZE_FIRST_BYTES, bytes.length - taken, 4 * arena.length);
        const fresh = Buffer.allocUnsafeSlow(Math.min(arenaBytes, grown));
        arena.copy(fresh, 0, start, end);
        end -= start;
        start = 0;
        arena = fresh;
      }
      const step = Math.min(bytes.length - taken, arena.length - end);
      arena.set(bytes.subarray(taken, taken + step), end);
      taken += step;
      end += step;
      // Asking only once a whole chunk may be had keeps the scan linear: no byte is hashed twice.
      while (end - start >= chunker.maxBytes) {
        const next = chunker.cut(arena, start, end, false);
        yield arena.subarray(start, next);
        start = next;
      }
    }
  }
  while (start < end) {
    const next = chunker.cut(arena, start, end, true);
    yield arena.subarray(start, next);
    start = next;
  }
}

/** Refuses parameters under which chunking would not end or not be bounded. */
function checkParameters(parameters: ChunkerParameters): void {
  const { seed, minBytes, averageBytes, maxBytes } = parameters;
  const ordered =
    Number.isSafeInteger(minBytes) &&
    Number.isSafeInteger(averageBytes) &&
    Number.isSafeInteger(maxBytes) &&
    minBytes >= WINDOW_SIZE_BYTES &&
    minBytes < averageBytes &&
    averageBytes < maxBytes &&
    maxBytes <= MAX_BYTES_LIMIT;
  if (!ordered || Math.log2(averageBytes) % 1 !== 0) {
    throw new DatamonError(
      'INVALID',
      `chunk sizes ${minBytes}, ${averageBytes}, ${maxBytes} are not min < average < max with the average a power of two`,
    );
  }
  if (!/^[0-9a-f]{64}$/.test(seed)) {
    throw new DatamonError('INVALID', 'the pool has no chunker seed of 64 hex digits');
  }
}

function gearTable(seed: string): Int32Array {
  const seedBytes = Buffer.from(seed, 'hex');
  const table = new Int32Array(256);
  for (let byte = 0; byte < table.length; byte += 1) {
    const digest = createHash('sha256').update(seedBytes).update(Buffer.of(byte)).digest();
    table[byte] = digest.readInt32LE(0);
  }
  return table;
}

const topBits = (count: number): number => (0xffffffff << (32 - count)) | 0;

/** An element that is there: both indexes are bounded by the loops above. */
const at = (array: Int32Array | Uint8Array, index: number): number => array[index] as number;
