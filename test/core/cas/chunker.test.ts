/** The chunker: nothing lost, bounds kept, cuts that do not depend on slicing and move only near an edit. */
import { expect } from 'chai';
import fc from 'fast-check';
import { chunks, createChunker } from '../../../core/cas/chunker.ts';
import { POOL, TINY_POOL } from '../../support/cas-world.ts';
import { codeOf } from '../../support/code-of.ts';
import { seededBytes } from '../../support/splitmix64.ts';

async function cut(pieces: readonly Uint8Array[], pool = TINY_POOL): Promise<Buffer[]> {
  async function* stream() {
    yield* pieces;
  }
  const found: Buffer[] = [];
  for await (const chunk of chunks(stream(), pool)) found.push(chunk);
  return found;
}

/** `bytes` in slices whose sizes go round through `sizes`. */
function sliced(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
    const size = sizes[turn % sizes.length] ?? 1;
    pieces.push(bytes.subarray(at, at + size));
    at += size;
  }
  return pieces;
}

describe('chunker', () => {
  it('joins to the input and keeps the bounds', async () => {
    const property = fc.asyncProperty(
      fc.nat({ max: 2 ** 32 }),
      fc.integer({ min: 0, max: 20_000 }),
      async (seed, size) => {
        const bytes = seededBytes(seed, size);
        const found = await cut([bytes]);
        expect(Buffer.concat(found).equals(bytes)).equal(true);
        for (const chunk of found) expect(chunk.length).at.most(TINY_POOL.maxBytes);
        for (const chunk of found.slice(0, -1)) expect(chunk.length).at.least(TINY_POOL.minBytes);
      },
    );
    await fc.assert(property, { numRuns: 200 });
  });

  it('cuts the same wherever the stream is sliced', async () => {
    const property = fc.asyncProperty(
      fc.nat({ max: 2 ** 32 }),
      fc.integer({ min: 0, max: 20_000 }),
      fc.array(fc.integer({ min: 1, max: 3000 }), { minLength: 1, maxLength: 20 }),
      async (seed, size, sizes) => {
        const bytes = seededBytes(seed, size);
        const whole = (await cut([bytes])).map(({ length }) => length);
        const parts = (await cut(sliced(bytes, sizes))).map(({ length }) => length);
        expect(parts).deep.equal(whole);
      },
    );
    await fc.assert(property, { numRuns: 100 });
  });

  it('moves only the cuts near an edit', async () => {
    const property = fc.asyncProperty(
      fc.nat({ max: 2 ** 32 }),
      fc.integer({ min: 0, max: 60_000 }),
      fc.integer({ min: 1, max: 500 }),
      async (seed, at, count) => {
        const bytes = seededBytes(seed, 60_000);
        const inserted = seededBytes(seed + 1, count);
        const edited = Buffer.concat([bytes.subarray(0, at), inserted, bytes.subarray(at)]);
        const before = new Set((await cut([bytes])).map((chunk) => chunk.toString('hex')));
        const fresh = (await cut([edited])).filter((chunk) => !before.has(chunk.toString('hex')));
        const freshBytes = fresh.reduce((sum, { length }) => sum + length, 0);
        expect(freshBytes).at.most(count + 12 * TINY_POOL.maxBytes);
      },
    );
    await fc.assert(property, { numRuns: 60 });
  });

  it('cuts at the maximum where nothing else cuts', async () => {
    const found = await cut([Buffer.alloc(5000, 9)]);
    expect(found.map(({ length }) => length)).deep.equal([1024, 1024, 1024, 1024, 904]);
  });

  it('has no chunks for no bytes, and one for up to the minimum', async () => {
    expect(await cut([])).deep.equal([]);
    expect(await cut([Buffer.alloc(0)])).deep.equal([]);
    for (const size of [1, 63, 64]) expect(await cut([seededBytes(1, size)])).length(1);
  });

  it('has a mean near what the format says', async () => {
    const found = await cut([seededBytes(3, 24 * 1024 * 1024)], POOL);
    const mean = (24 * 1024 * 1024) / found.length;
    expect(mean).within(64 * 1024, 90 * 1024);
  });

  it('depends on the seed', async () => {
    const bytes = seededBytes(4, 100_000);
    const one = (await cut([bytes])).map(({ length }) => length);
    const other = { ...TINY_POOL, seed: '00'.repeat(32) };
    expect((await cut([bytes], other)).map(({ length }) => length)).not.deep.equal(one);
  });

  it('hands out buffers that are never written again', async () => {
    const bytes = seededBytes(5, 6 * 1024 * 1024);
    const found = await cut(sliced(bytes, [100_000]), POOL);
    expect(Buffer.concat(found).equals(bytes)).equal(true);
  });

  it('says that it needs more bytes where a cut could still come', () => {
    const chunker = createChunker(TINY_POOL);
    expect(chunker.cut(Buffer.alloc(100), 0, 100, false)).equal(-1);
    expect(chunker.cut(Buffer.alloc(100), 0, 100, true)).equal(100);
  });

  it('refuses parameters that cannot work', async () => {
    for (const wrong of [
      { minBytes: 0 },
      { minBytes: 256 },
      { averageBytes: 300 },
      { maxBytes: 64 * 1024 * 1024 },
      { seed: 'secret' },
    ]) {
      expect(await codeOf(() => createChunker({ ...TINY_POOL, ...wrong }))).equal('INVALID');
    }
  });
});
