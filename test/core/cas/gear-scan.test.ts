/** The scan in WebAssembly: compiled from its source, and the same cuts as the one in TypeScript. */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import { createChunker } from '../../../core/cas/chunker.ts';
import { switchOffFastPaths } from '../../../core/fast-paths.ts';
import { POOL, TINY_POOL } from '../../support/cas-world.ts';
import { compileGearScan } from '../../support/compile-wat.ts';
import { useFastPaths } from '../../support/fast-paths.ts';
import { seededBytes } from '../../support/splitmix64.ts';

describe('gear scan', () => {
  useFastPaths();

  /** A chunker makes up its mind with its first cut. */
  const chunkerWith = (pool: typeof POOL, off: string) => {
    switchOffFastPaths({ DATAMON_FAST_PATHS_OFF: off });
    const chunker = createChunker(pool);
    chunker.cut(Buffer.alloc(2 * pool.maxBytes), 0, 2 * pool.maxBytes, false);
    switchOffFastPaths({});
    return chunker;
  };

  it('is what its source compiles to: npm run wasm', async () => {
    const file = resolve(import.meta.dirname, '../../../core/cas/gear-scan.ts');
    const program = await readFile(file, 'utf8');
    expect(program).to.include(`'${await compileGearScan()}'`);
  });

  it('cuts where the plain one does, from anywhere to anywhere', () => {
    for (const pool of [TINY_POOL, POOL]) {
      const [fast, plain] = [chunkerWith(pool, ''), chunkerWith(pool, 'wasm-scan')];
      const bytes = seededBytes(7, 6 * pool.maxBytes);
      fc.assert(
        fc.property(
          fc.nat(bytes.length),
          fc.nat(bytes.length),
          fc.boolean(),
          fc.nat(255),
          (one, other, isLast, filler) => {
            const [start, end] = [Math.min(one, other), Math.max(one, other)];
            expect(fast.cut(bytes, start, end, isLast)).to.equal(
              plain.cut(bytes, start, end, isLast),
            );
            const even = Buffer.alloc(end - start, filler);
            expect(fast.cut(even, 0, even.length, isLast)).to.equal(
              plain.cut(even, 0, even.length, isLast),
            );
          },
        ),
        { numRuns: 200 },
      );
    }
  });

  it('cuts a whole stream as the plain one does', () => {
    const [fast, plain] = [chunkerWith(POOL, ''), chunkerWith(POOL, 'wasm-scan')];
    const bytes = seededBytes(8, 8 * 1024 * 1024);
    let cuts = 0;
    for (let start = 0; start < bytes.length; cuts += 1) {
      const end = fast.cut(bytes, start, bytes.length, true);
      expect(end).to.equal(plain.cut(bytes, start, bytes.length, true));
      start = end;
    }
    expect(cuts).to.be.greaterThan(80);
  });
});
