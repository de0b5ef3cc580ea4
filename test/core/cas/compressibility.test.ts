/** The guess whether bytes are worth compressing. */
import { zstdCompressSync } from 'node:zlib';
import { expect } from 'chai';
import { looksCompressible } from '../../../core/cas/compressibility.ts';
import { useFastPaths } from '../../support/fast-paths.ts';
import { seededBytes } from '../../support/splitmix64.ts';

const words = seededBytes(1, 64);
const CASES: readonly (readonly [string, Buffer, boolean])[] = [
  ['nothing', Buffer.alloc(0), false],
  ['random bytes', seededBytes(2, 65_536), false],
  ['few random bytes', seededBytes(3, 8192), false],
  ['compressed text', zstdCompressSync(Buffer.from(numbers(40_000))), false],
  ['zeros', Buffer.alloc(65_536), true],
  ['text', Buffer.from(numbers(20_000)), true],
  ['base64 of random bytes', Buffer.from(seededBytes(4, 30_000).toString('base64')), true],
  ['random words that recur', Buffer.concat(Array.from({ length: 900 }, recurring)), true],
  [
    'small integers in 32 bits',
    Buffer.from(Int32Array.from({ length: 9000 }, (_, n) => n * 7).buffer),
    true,
  ],
];

function numbers(count: number): string {
  return Array.from({ length: count }, (_, n) => `${n},${(n * n) % 977}`).join('\n');
}

function recurring(_: unknown, index: number): Buffer {
  const at = (index * 37) % 8;
  return Buffer.concat([seededBytes(index, 5), words.subarray(at * 8, at * 8 + 8)]);
}

describe('compressibility', () => {
  useFastPaths();

  for (const [name, bytes, expected] of CASES) {
    it(`takes ${name} for ${expected ? 'compressible' : 'incompressible'}`, () => {
      expect(looksCompressible(bytes)).to.equal(expected);
    });
  }
});
