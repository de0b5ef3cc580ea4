/**
 * Bytes that a seed decides, the same on every machine: splitmix64, each number little-endian. Any part can be made
 * without the bytes before it, so streams of any size cost one buffer.
 */
const STREAM_PIECE_SIZE_BYTES = 256 * 1024;

/** `sizeBytes` bytes of the sequence that `seed` (below 2^53) starts. */
export function seededBytes(seed: number, sizeBytes: number, startOffset = 0): Buffer {
  const first = Math.floor(startOffset / 8);
  const skipBytes = startOffset - first * 8;
  const numbers = Math.ceil((skipBytes + sizeBytes) / 8);
  const bytes = Buffer.allocUnsafe(numbers * 8);
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, numbers * 2);
  fill(words, seed, first);
  return bytes.subarray(skipBytes, skipBytes + sizeBytes);
}

/** The same bytes as a stream. */
export async function* seededStream(
  seed: number,
  sizeBytes: number,
  startOffset = 0,
): AsyncIterable<Uint8Array> {
  for (let at = 0; at < sizeBytes; at += STREAM_PIECE_SIZE_BYTES) {
    yield seededBytes(seed, Math.min(STREAM_PIECE_SIZE_BYTES, sizeBytes - at), startOffset + at);
  }
}

/** Numbers 0 ≤ x < 1 that a seed decides. */
export function splitmix64(seed: number): () => number {
  let index = 0;
  const words = new Uint32Array(2);
  return () => {
    fill(words, seed, index);
    index += 1;
    return ((words[1] ?? 0) >>> 0) / 2 ** 32;
  };
}

const GAMMA = 0x9e3779b97f4a7c15n;
const MASK = (1n << 64n) - 1n;

/** Fills pairs of words (low, high) with the numbers of the sequence from `first` on. Words are little-endian, as are the machines. */
function fill(words: Uint32Array, seed: number, first: number): void {
  const state = (BigInt(seed) + BigInt(first) * GAMMA) & MASK;
  let low = Number(state & 0xffffffffn);
  let high = Number(state >> 32n);
  const product = new Uint32Array(2);
  for (let at = 0; at < words.length; at += 2) {
    const sum = low + 0x7f4a7c15;
    high = (high + 0x9e3779b9 + (sum > 0xffffffff ? 1 : 0)) >>> 0;
    low = sum >>> 0;
    let l = (low ^ ((low >>> 30) | (high << 2))) >>> 0;
    let h = (high ^ (high >>> 30)) >>> 0;
    multiply(product, l, h, 0x1ce4e5b9, 0xbf58476d);
    [l, h] = [product[0] ?? 0, product[1] ?? 0];
    l = (l ^ ((l >>> 27) | (h << 5))) >>> 0;
    h = (h ^ (h >>> 27)) >>> 0;
    multiply(product, l, h, 0x133111eb, 0x94d049bb);
    [l, h] = [product[0] ?? 0, product[1] ?? 0];
    words[at] = l ^ ((l >>> 31) | (h << 1));
    words[at + 1] = h ^ (h >>> 31);
  }
}

/** The low 64 bits of a product of two 64-bit numbers. */
function multiply(product: Uint32Array, aLow: number, aHigh: number, bLow: number, bHigh: number) {
  const a0 = aLow & 0xffff;
  const a1 = aLow >>> 16;
  const b0 = bLow & 0xffff;
  const b1 = bLow >>> 16;
  const low = a0 * b0;
  const middle = a1 * b0 + (low >>> 16);
  const cross = a0 * b1 + (middle & 0xffff);
  const carried = a1 * b1 + Math.floor(middle / 0x10000) + Math.floor(cross / 0x10000);
  product[0] = ((cross & 0xffff) << 16) | (low & 0xffff);
  product[1] = carried + Math.imul(aLow, bHigh) + Math.imul(aHigh, bLow);
}
