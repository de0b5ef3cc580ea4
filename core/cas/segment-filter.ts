/** A segment's Bloom filter (docs/format.md §7.6). An oid is its own hash, so its bytes serve as the filter's seven. */

const BITS_PER_RECORD = 10;
const HASH_COUNT = 7;

export function buildFilter(oids: readonly Buffer[]): Buffer {
  const filter = Buffer.alloc(Math.max(1, Math.ceil((oids.length * BITS_PER_RECORD) / 8)));
  const bits = filter.length * 8;
  for (const oid of oids) {
    for (let hash = 0; hash < HASH_COUNT; hash += 1) {
      const bit = oid.readUInt32LE(hash * 4) % bits;
      filter[bit >> 3] = (filter[bit >> 3] ?? 0) | (1 << (bit & 7));
    }
  }
  return filter;
}

/** False: certainly absent. True: probably there. */
export function mayContain(filter: Buffer, oid: Buffer): boolean {
  const bits = filter.length * 8;
  for (let hash = 0; hash < HASH_COUNT; hash += 1) {
    const bit = oid.readUInt32LE(hash * 4) % bits;
    if (((filter[bit >> 3] ?? 0) & (1 << (bit & 7))) === 0) return false;
  }
  return bits > 0;
}
