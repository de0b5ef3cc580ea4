/** Bytes that a seed decides, the same on every machine: splitmix64, little-endian. */

const MASK = (1n << 64n) - 1n;

export function splitmixBytes(seed: number, sizeBytes: number): Buffer {
  const bytes = Buffer.alloc(Math.ceil(sizeBytes / 8) * 8);
  let state = BigInt(seed);
  for (let offset = 0; offset < bytes.length; offset += 8) {
    state = (state + 0x9e3779b97f4a7c15n) & MASK;
    let mixed = state;
    mixed = ((mixed ^ (mixed >> 30n)) * 0xbf58476d1ce4e5b9n) & MASK;
    mixed = ((mixed ^ (mixed >> 27n)) * 0x94d049bb133111ebn) & MASK;
    bytes.writeBigUInt64LE(mixed ^ (mixed >> 31n), offset);
  }
  return bytes.subarray(0, sizeBytes);
}
