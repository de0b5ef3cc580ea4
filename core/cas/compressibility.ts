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
/** n · log2 n, by n. */
const LOGS = Float64Array.from({ length: SAMPLE_SIZE_BYTES + 1 }, (_, n) =>
  n === 0 ? 0 : n * Math.log2(n),
);
/** Four bytes each, where their hash says. */
const words = new Int32Array(2048);

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
  let sum = 0;
  for (let byte = 0; byte < counts.length; byte += 1) sum += LOGS[counts[byte] as number] as number;
  return ((LOGS[sample.length] as number) - sum) / sample.length;
}

function repeatsShare(sample: Uint8Array): number {
  // Four bytes that are met for the first time and are all zeros count as a repeat: once, which decides nothing.
  words.fill(0);
  let repeats = 0;
  let word = 0;
  for (let index = 0; index < sample.length; index += 1) {
    word = (word >>> 8) | ((sample[index] as number) << 24);
    if (index < 3) continue;
    const slot = Math.imul(word, 0x9e3779b1) >>> 21;
    if (words[slot] === word) repeats += 1;
    else words[slot] = word;
  }
  return repeats / sample.length;
}
