/** A container's frame table (docs/format.md §7.1): written from frames, read in place, searched by digest without decoding it whole. */
import { type Digest, digestFromBytes } from '../digest.ts';
import { DatamonError } from '../errors.ts';
import { CONTAINER_HEADER_SIZE_BYTES } from './container-format.ts';
import { FRAME_HEADER_SIZE_BYTES, FRAME_KIND_CODES, type FrameKind, frameKindOf } from './frame.ts';

export const FRAME_ENTRY_SIZE_BYTES = 41;
const COUNT_SIZE_BYTES = 4;

export interface FrameEntry {
  readonly kind: FrameKind;
  readonly digest: Digest;
  readonly rawLength: number;
  readonly storedLength: number;
}

export interface PlacedFrame extends FrameEntry {
  /** Of the frame's header. */
  readonly offset: number;
}

export function encodeFrameTable(frames: readonly FrameEntry[]): Buffer {
  const table = Buffer.alloc(COUNT_SIZE_BYTES + frames.length * FRAME_ENTRY_SIZE_BYTES);
  table.writeUInt32LE(frames.length, 0);
  let offset = COUNT_SIZE_BYTES;
  for (const frame of frames) {
    table[offset] = FRAME_KIND_CODES[frame.kind];
    table.write(frame.digest, offset + 1, 'hex');
    table.writeUInt32LE(frame.rawLength, offset + 33);
    table.writeUInt32LE(frame.storedLength, offset + 37);
    offset += FRAME_ENTRY_SIZE_BYTES;
  }
  return table;
}

export interface FrameTable {
  readonly count: number;
  /** Memory it holds, about. */
  readonly heldBytes: number;
  frame(index: number): PlacedFrame;
  /** Index of the frame whose header is at `offset`, -1 where none is. */
  indexAt(offset: number): number;
  /** Index of a frame of this kind and digest, -1 where none is. */
  find(kind: FrameKind, digest: Digest): number;
}

/** Opens a table. CORRUPT unless its frames exactly fill the container up to `framesEnd`. */
export function openFrameTable(
  bytes: Buffer | undefined,
  framesEnd: number,
  what: string,
): FrameTable {
  const count = bytes?.length !== undefined && bytes.length >= 4 ? bytes.readUInt32LE(0) : -1;
  if (bytes === undefined || bytes.length !== COUNT_SIZE_BYTES + count * FRAME_ENTRY_SIZE_BYTES) {
    throw new DatamonError('CORRUPT', `${what} has no whole frame table`);
  }
  const offsets = new Float64Array(count + 1);
  let offset = CONTAINER_HEADER_SIZE_BYTES;
  for (let index = 0; index < count; index += 1) {
    offsets[index] = offset;
    const entry = COUNT_SIZE_BYTES + index * FRAME_ENTRY_SIZE_BYTES;
    if (frameKindOf(bytes[entry]) === undefined) {
      throw new DatamonError('UNSUPPORTED', `${what} holds frames of kind ${bytes[entry]}`);
    }
    offset += FRAME_HEADER_SIZE_BYTES + bytes.readUInt32LE(entry + 37);
  }
  offsets[count] = offset;
  if (offset !== framesEnd) {
    throw new DatamonError('CORRUPT', `${what} has a frame table that is not its own`);
  }
  return frameTable(bytes, offsets, count);
}

function frameTable(bytes: Buffer, offsets: Float64Array, count: number): FrameTable {
  let slots: Int32Array | null = null;
  const entryAt = (index: number): number => COUNT_SIZE_BYTES + index * FRAME_ENTRY_SIZE_BYTES;

  function frame(index: number): PlacedFrame {
    const entry = entryAt(index);
    return {
      kind: frameKindOf(bytes[entry]) ?? 'chunk',
      digest: digestFromBytes(bytes.subarray(entry + 1, entry + 33)),
      rawLength: bytes.readUInt32LE(entry + 33),
      storedLength: bytes.readUInt32LE(entry + 37),
      offset: offsets[index] ?? 0,
    };
  }

  function find(kind: FrameKind, digest: Digest): number {
    slots ??= buildSlots(bytes, count);
    const wanted = Buffer.from(digest, 'hex');
    const mask = slots.length - 1;
    for (let slot = wanted.readUInt32LE(0) & mask; ; slot = (slot + 1) & mask) {
      const index = (slots[slot] ?? 0) - 1;
      if (index < 0) return -1;
      const entry = entryAt(index);
      const same = wanted.compare(bytes, entry + 1, entry + 33) === 0;
      if (same && bytes[entry] === FRAME_KIND_CODES[kind]) return index;
    }
  }

  function indexAt(offset: number): number {
    let low = 0;
    let high = count - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const found = offsets[middle] ?? 0;
      if (found === offset) return middle;
      if (found < offset) low = middle + 1;
      else high = middle - 1;
    }
    return -1;
  }

  return { count, heldBytes: bytes.length + count * 24 + 256, frame, indexAt, find };
}

/** An open-addressing hash from the digests' first bytes to index + 1, at most half full. */
function buildSlots(bytes: Buffer, count: number): Int32Array {
  const size = 2 ** Math.ceil(Math.log2(Math.max(2, count * 2)));
  const slots = new Int32Array(size);
  for (let index = 0; index < count; index += 1) {
    let slot =
      bytes.readUInt32LE(COUNT_SIZE_BYTES + index * FRAME_ENTRY_SIZE_BYTES + 1) & (size - 1);
    while (slots[slot] !== 0) slot = (slot + 1) & (size - 1);
    slots[slot] = index + 1;
  }
  return slots;
}
