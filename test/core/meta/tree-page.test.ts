/** The codec of tree pages: one page, one text of bytes, and everything else refused. */
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import fc from 'fast-check';
import { digestOf } from '../../../core/digest.ts';
import { hasCode } from '../../../core/errors.ts';
import type { Entry, RawPath } from '../../../core/meta/model.ts';
import {
  childrenOf,
  decodePage,
  encodePage,
  type InnerPage,
  type LeafPage,
  type TreePage,
} from '../../../core/meta/tree-page.ts';
import { ByteReader, varintBytes } from '../../../core/meta/varint.ts';
import { codeOf } from '../../support/code-of.ts';

const path = (text: string): RawPath => text as RawPath;
const lfs = (name: string): Entry => ({
  path: path(name),
  kind: 'lfs',
  executable: false,
  oid: digestOf(name),
  sizeBytes: name.length,
});
const leaf = (...entries: Entry[]): LeafPage => ({ level: 0, entries });

const sizes = fc.oneof(fc.nat(300), fc.maxSafeNat());
const paths = fc
  .uint8Array({ minLength: 1, maxLength: 12 })
  .map((bytes) => path(Buffer.from(bytes.map((byte) => byte || 1)).toString('latin1')));
const digests = fc.string().map((text) => digestOf(text));
const entryOf = fc.oneof(
  fc.record({
    path: paths,
    kind: fc.constantFrom('lfs' as const, 'git' as const),
    executable: fc.boolean(),
    oid: digests,
    sizeBytes: sizes,
  }),
  fc.record({
    path: paths,
    kind: fc.constantFrom('submodule' as const, 'directory' as const, 'external' as const),
    executable: fc.constant(false),
    oid: fc.constant(null),
    sizeBytes: sizes,
    reference: fc.string({ unit: 'grapheme' }),
  }),
);
const bySize =
  <T>(of: (each: T) => RawPath) =>
  (list: T[]) =>
    list.toSorted((a, b) => (of(a) < of(b) ? -1 : 1));
const pages: fc.Arbitrary<TreePage> = fc.oneof(
  fc
    .uniqueArray(entryOf, { selector: (entry) => entry.path, maxLength: 8 })
    .map(bySize<Entry>((entry) => entry.path))
    .map((entries): LeafPage => ({ level: 0, entries })),
  fc
    .uniqueArray(
      fc.record({ digest: digests, fileCount: sizes, sizeBytes: sizes, firstPath: paths }),
      { selector: (child) => child.firstPath, minLength: 1, maxLength: 8 },
    )
    .chain((children) =>
      fc.integer({ min: 1, max: 15 }).map(
        (level): InnerPage => ({
          level,
          children: children.toSorted((a, b) => (a.firstPath < b.firstPath ? -1 : 1)),
        }),
      ),
    ),
);

describe('core/meta/tree-page', () => {
  it('gives back what it wrote', () => {
    fc.assert(
      fc.property(pages, (page) => {
        expect(decodePage(encodePage(page))).to.deep.equal(page);
      }),
    );
  });

  it('reads no bytes that it would not write', () => {
    fc.assert(
      fc.property(
        pages,
        fc.nat(),
        fc.integer({ min: 0, max: 255 }),
        fc.nat(3),
        (page, at, byte, how) => {
          const bytes = encodePage(page);
          const index = at % bytes.length;
          const damaged = Buffer.from(
            [
              () => bytes.with(index, byte),
              () => bytes.subarray(0, index),
              () => Buffer.concat([bytes, Buffer.from([byte])]),
              () =>
                Buffer.concat([
                  bytes.subarray(0, index),
                  Buffer.from([byte]),
                  bytes.subarray(index),
                ]),
            ][how]?.() ?? bytes,
          );
          let read: TreePage;
          try {
            read = decodePage(damaged);
          } catch (error) {
            expect(hasCode(error, 'CORRUPT') || hasCode(error, 'UNSUPPORTED')).to.equal(
              true,
              String(error),
            );
            return;
          }
          expect(encodePage(read)).to.deep.equal(damaged);
        },
      ),
      { numRuns: 2000 },
    );
  });

  it('names the version it does not know', async () => {
    const bytes = encodePage(leaf(lfs('a')));
    bytes[4] = 2;
    expect(await codeOf(() => decodePage(bytes))).to.equal('UNSUPPORTED');
  });

  it('refuses a number written longer than it need be', async () => {
    const bytes = encodePage(leaf({ ...lfs('a'), sizeBytes: 5 }));
    const padded = Buffer.concat([
      bytes.subarray(0, 14),
      Buffer.from([0x85, 0]),
      bytes.subarray(15),
    ]);
    expect(bytes[14]).to.equal(5);
    expect(await codeOf(() => decodePage(padded))).to.equal('CORRUPT');
  });

  it('refuses paths out of order, twice, empty, with NUL or too long, reading and writing', async () => {
    for (const names of [['b', 'a'], ['a', 'a'], [''], ['a\0'], ['x'.repeat(4096)]]) {
      expect(await codeOf(() => encodePage(leaf(...names.map(lfs))))).to.equal('INVALID');
    }
    const bytes = encodePage(leaf(lfs('a'), lfs('b')));
    const swapped = Buffer.from(bytes.toString('latin1').replace(/a([^a]*)b$/s, 'b$1a'), 'latin1');
    expect(await codeOf(() => decodePage(swapped))).to.equal('CORRUPT');
  });

  it('refuses entries without the oid their kind has, or with one it has not', async () => {
    const bad: Entry[] = [
      { ...lfs('a'), oid: null },
      { ...lfs('a'), kind: 'git', oid: null },
      { ...lfs('a'), kind: 'submodule' },
      { ...lfs('a'), kind: 'directory' },
      { ...lfs('a'), sizeBytes: -1 },
      { ...lfs('a'), sizeBytes: 0.5 },
      { ...lfs('a'), reference: '\ud800' },
      { ...lfs('a'), reference: 'x'.repeat(9000) },
    ];
    for (const entry of bad)
      expect(await codeOf(() => encodePage(leaf(entry)))).to.equal('INVALID');
  });

  it('refuses pages of too many entries and of no children', async () => {
    const many = Array.from({ length: 4097 }, (_, index) => lfs(String(index).padStart(4, '0')));
    expect(await codeOf(() => encodePage(leaf(...many)))).to.equal('INVALID');
    expect(await codeOf(() => encodePage({ level: 1, children: [] }))).to.equal('INVALID');
    expect(await codeOf(() => encodePage({ level: 16, children: [] }))).to.equal('INVALID');
  });

  it('tells the children of any bytes, and calls bytes that are no page INVALID', async () => {
    const child = { digest: digestOf('x'), fileCount: 1, sizeBytes: 2, firstPath: path('p') };
    expect(childrenOf(encodePage({ level: 1, children: [child] }))).to.deep.equal([digestOf('x')]);
    expect(childrenOf(encodePage(leaf(lfs('a'))))).to.deep.equal([]);
    expect(await codeOf(() => childrenOf(Buffer.from('hello')))).to.equal('INVALID');
    expect(await codeOf(() => childrenOf(Buffer.alloc(0)))).to.equal('INVALID');
  });

  it('writes numbers up to 2^53 − 1 and reads none above', async () => {
    for (const value of [0, 127, 128, 16_383, 16_384, 2 ** 32, 2 ** 53 - 1]) {
      expect(new ByteReader(varintBytes(value), 'number').varint()).to.equal(value);
    }
    expect(varintBytes(300)).to.deep.equal(Buffer.from([0xac, 2]));
    expect(await codeOf(() => varintBytes(2 ** 53))).to.equal('INVALID');
    const above = Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f]);
    expect(await codeOf(() => new ByteReader(above, 'number').varint())).to.equal('CORRUPT');
  });

  it('keeps to the golden vectors', () => {
    const file = new URL('../../vectors/tree-page.json', import.meta.url);
    const { leaf: golden, inner } = JSON.parse(readFileSync(file, 'utf8'));
    for (const vector of [golden, inner]) {
      const bytes = Buffer.from(vector.hex, 'hex');
      expect(decodePage(bytes)).to.deep.equal(vector.page);
      expect(encodePage(vector.page)).to.deep.equal(bytes);
      expect(digestOf(bytes)).to.equal(vector.digest);
    }
  });
});
