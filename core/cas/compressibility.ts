/**
 * Tells cheaply whether bytes are worth compressing: by how evenly byte values are spread and by how often four bytes occur again.
 * A guess, never trusted: what is compressed is kept only where it came out smaller.
 */
import { isFast } from '../fast-paths.ts';

/** Longer bytes are judged by a piece from their middle. */
const SAMPLE_SIZE_BYTES = 2048;
/** Bits per byte above which the spread alone promises nothing; random bytes show 7.91 in such a sample. */
const SPREAD_MAX_BITS = 7.6;
/** Share of positions whose next four bytes were met before; random bytes show next to none. */
const REPEATS_MIN_SHARE = 0.04;

const counts = new Uint32Array(256);
const places = new Uint16Array(2048);

/** False for empty, random, encrypted and already compressed bytes. Reads at most 2 KiB, in some microseconds. */
export function looksCompressible(bytes: Uint8Array): boolean {
  if (!isFast('compress-guess')) return true;
  const start = Math.max(0, (bytes.length - SAMPLE_SIZE_BYTES) >> 1);
  const sample = bytes.subarray(start, start + SAMPLE_SIZE_BYTES);
  if (sample.length === 0) return false;
  return spreadBits(sample) < SPREAD_MAX_BITS || repeatsShare(sample) > REPEATS_MIN_SHARE;
}

/** Shannon's entropy of single bytes, in bits. */
function spreadBits(sample: Uint8Array): number {
  counts.fill(0);
  for (let index = 0; index < sample.length; index += 1) {
    const byte = sample[index] as number;
    counts[byte] = (counts[byte] as number) + 1;
  }
  let bits = 0;
  for (const count of counts) if (count > 0) bits -= count * Math.log2(count / sample.length);
  return bits / sample.length;
}

function repeatsShare(sample: Uint8Array): number {
  places.fill(0);
  let repeats = 0;
  for (let index = 0; index + 4 <= sample.length; index += 1) {
    const word = wordAt(sample, index);
    const slot = Math.imul(word, 0x9e3779b1) >>> 21;
    const place = places[slot] as number;
    // Places count from 1: 0 means that nothing stands there yet.
    if (place > 0 && wordAt(sample, place - 1) === word) repeats += 1;
    places[slot] = index + 1;
  }
  return repeats / sample.length;
}

const wordAt = (bytes: Uint8Array, at: number): number =>
  (bytes[at] as number) |
  ((bytes[at + 1] as number) << 8) |
  ((bytes[at + 2] as number) << 16) |
  ((bytes[at + 3] as number) << 24);
