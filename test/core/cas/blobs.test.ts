/** Blobs go in and come out whole, whatever their size; what was announced wrongly leaves no record; receipts tell what the store grew by. */
import { readdir } from 'node:fs/promises';
import { expect } from 'chai';
import fc from 'fast-check';
import type { PutOutcome } from '../../../core/cas/blob-store.ts';
import { type Digest, digestOf, EMPTY_DIGEST } from '../../../core/digest.ts';
import {
  blobOf,
  listed,
  makeCasWorld,
  POOL,
  readBlob,
  storeSize,
  TINY_POOL,
} from '../../support/cas-world.ts';
import { codeOf, errorOf } from '../../support/code-of.ts';
import { seededBytes } from '../../support/splitmix64.ts';

async function outcomes(puts: AsyncIterable<PutOutcome>): Promise<PutOutcome[]> {
  const all: PutOutcome[] = [];
  for await (const outcome of puts) all.push(outcome);
  return all;
}

describe('direct blob store', () => {
  const KIB = 1024;
  const MIB = 1024 * KIB;
  const around = [POOL.minBytes, POOL.averageBytes, POOL.maxBytes, MIB, 4 * MIB];
  for (const size of [0, 1, 2, ...around.flatMap((limit) => [limit - 1, limit, limit + 1])]) {
    it(`gives back a file of ${size} bytes to another process`, async () => {
      const world = await makeCasWorld();
      const bytes = seededBytes(size, size);
      const receipt = await world.stores.blobs.put(blobOf(bytes));
      expect(receipt).include({ fileCount: 1, logicalBytes: size, newBytes: size });
      expect(receipt.storedBytes).equal(await storeSize(world.backend));
      const other = await world.reopen();
      expect((await readBlob(other, digestOf(bytes))).equals(bytes)).equal(true);
      expect([...(await other.blobs.has([digestOf(bytes)]))]).deep.equal([[digestOf(bytes), size]]);
    });
  }

  it('gives back files larger than a pack, and the receipt adds up', async function () {
    this.timeout(20_000);
    const world = await makeCasWorld();
    const bytes = seededBytes(7, 66 * MIB);
    const receipt = await world.stores.blobs.put(blobOf(bytes));
    expect(receipt.packCount).equal(2);
    expect(receipt.storedBytes).equal(await storeSize(world.backend));
    expect(digestOf(await readBlob(world.stores, digestOf(bytes)))).equal(digestOf(bytes));
    for (const { sizeBytes } of await listed(world.backend, 'pools/')) {
      expect(sizeBytes).at.most(64 * MIB);
    }
    expect(await readdir(world.spoolDir)).deep.equal([]);
  });

  it('gives back any range', async () => {
    const world = await makeCasWorld({ pool: TINY_POOL });
    const bytes = Buffer.concat([seededBytes(8, 20_000), Buffer.alloc(9000), seededBytes(9, 9000)]);
    await world.stores.blobs.put(blobOf(bytes));
    const property = fc.asyncProperty(
      fc.nat({ max: bytes.length }),
      fc.nat({ max: bytes.length + 5 }),
      async (a, b) => {
        const range = { start: Math.min(a, b, bytes.length), end: Math.max(a, b) };
        const read = await readBlob(world.stores, digestOf(bytes), range);
        expect(read.equals(bytes.subarray(range.start, range.end))).equal(true);
      },
    );
    await fc.assert(property, { numRuns: 200 });
    const tail = await readBlob(world.stores, digestOf(bytes), { start: 37_999 });
    expect(tail.equals(bytes.subarray(37_999))).equal(true);
  });

  it('refuses a range that starts past the end', async () => {
    const { stores } = await makeCasWorld();
    const bytes = Buffer.from('twelve bytes');
    await stores.blobs.put(blobOf(bytes));
    expect(await codeOf(readBlob(stores, digestOf(bytes), { start: 13 }))).equal('INVALID');
    expect(await readBlob(stores, digestOf(bytes), { start: 12 })).length(0);
  });

  it('says NOT_FOUND of what is not there', async () => {
    const { stores } = await makeCasWorld();
    expect(await codeOf(readBlob(stores, digestOf('nothing')))).equal('NOT_FOUND');
    expect(await stores.blobs.has([digestOf('nothing'), EMPTY_DIGEST])).property('size', 0);
  });

  it('keeps pages and blobs apart', async () => {
    const { stores } = await makeCasWorld();
    const page = Buffer.from('a page');
    await stores.pages.putPages([page]);
    expect(await codeOf(readBlob(stores, digestOf(page)))).equal('NOT_FOUND');
    const blob = Buffer.from('a blob');
    await stores.blobs.put(blobOf(blob));
    expect(await codeOf(stores.pages.getPage(digestOf(blob)))).equal('NOT_FOUND');
  });

  for (const [what, wrong] of [
    ['shorter', { sizeBytes: 99_999 }],
    ['longer', { sizeBytes: 100_001 }],
    ['other', { oid: digestOf('other') }],
  ] as const) {
    it(`records nothing for a file that is ${what} than announced, and names it`, async () => {
      const world = await makeCasWorld();
      const source = blobOf(seededBytes(10, 100_000), { label: 'images/a.png', ...wrong });
      const error = await errorOf(world.stores.blobs.put(source));
      expect(error.code).equal('MISMATCH');
      expect(error.message).contain('images/a.png').and.contain(source.oid).and.contain('changed');
      expect(await listed(world.backend, 'repos/')).deep.equal([]);
    });
  }

  it('records nothing for a large file that changed, and leaves no temp file', async () => {
    const world = await makeCasWorld();
    const source = blobOf(seededBytes(11, 8 * MIB), { oid: digestOf('other') });
    expect(await codeOf(world.stores.blobs.put(source))).equal('MISMATCH');
    expect(await listed(world.backend, 'repos/')).deep.equal([]);
    expect(await readdir(world.spoolDir)).deep.equal([]);
  });

  it('notices a change of a file that is stored already', async () => {
    const { stores } = await makeCasWorld();
    const bytes = seededBytes(12, 1000);
    await stores.blobs.put(blobOf(bytes));
    const lying = { ...blobOf(seededBytes(13, 1000)), oid: digestOf(bytes) };
    expect(await codeOf(stores.blobs.put(lying))).equal('MISMATCH');
  });

  it('stops when told to, and publishes nothing', async () => {
    const world = await makeCasWorld();
    const stop = new AbortController();
    const put = world.stores.blobs.put(blobOf(seededBytes(14, 6 * MIB)), {
      signal: stop.signal,
      onProgress: (_oid, done) => done > MIB && stop.abort(),
    });
    expect(await codeOf(put)).equal('CANCELLED');
    expect(await storeSize(world.backend)).equal(0);
  });

  it('names the file that cannot be read', async () => {
    const { stores } = await makeCasWorld();
    const source = {
      ...blobOf(Buffer.from('x'), { label: 'gone.bin' }),
      // biome-ignore lint/correctness/useYield: it fails before there is anything to yield.
      async *open() {
        throw Object.assign(new Error('no such file'), { code: 'ENOENT' });
      },
    };
    const error = await errorOf(stores.blobs.put(source));
    expect(error.code).equal('NOT_FOUND');
    expect(error.message).contain('gone.bin');
  });

  it('tells progress that only grows and ends at the size', async () => {
    const { stores } = await makeCasWorld();
    for (const size of [0, 1, 300_000]) {
      const told: number[] = [];
      await stores.blobs.put(blobOf(seededBytes(15, size)), {
        onProgress: (_oid, done) => told.push(done),
      });
      expect(told.at(-1)).equal(size);
      expect(told).deep.equal([...told].sort((a, b) => a - b));
    }
  });

  it('stores nothing for the same file again', async () => {
    const world = await makeCasWorld();
    const bytes = seededBytes(16, 200_000);
    await world.stores.blobs.put(blobOf(bytes));
    const before = await storeSize(world.backend);
    const other = await world.reopen();
    const receipt = await other.blobs.put(blobOf(bytes, { label: 'another name' }));
    expect(receipt).include({ newBytes: 0, storedBytes: 0, logicalBytes: 200_000 });
    expect(await storeSize(world.backend)).equal(before);
  });

  it('stores one chunk for a file of zeros and reads it with few requests', async () => {
    const world = await makeCasWorld();
    const bytes = Buffer.alloc(32 * MIB);
    const receipt = await world.stores.blobs.put(blobOf(bytes));
    expect(receipt.newBytes).equal(POOL.maxBytes);
    const back = await readBlob(world.stores, digestOf(bytes));
    expect(back.equals(bytes)).equal(true);
  });

  it('stores a file once though 32 put it at the same time, one of them wrongly', async () => {
    const world = await makeCasWorld();
    const bytes = seededBytes(17, 150_000);
    const oid = digestOf(bytes);
    const wrong = { ...blobOf(seededBytes(18, 150_000)), oid };
    // The wrong one comes first, so that the others find it under way.
    const puts = [wrong, ...Array.from({ length: 31 }, () => blobOf(bytes))].map((source) =>
      world.stores.blobs.put(source).then(
        () => 'stored',
        (error) => error.code as string,
      ),
    );
    const results = await Promise.all(puts);
    expect(results.filter((result) => result === 'MISMATCH')).length(1);
    expect(results.filter((result) => result === 'stored')).length(31);
    expect(await storeSize(world.backend)).below(160_000);
    expect(await listed(world.backend, 'repos/')).length(1);
  });

  it('stores a large file once though two put it at the same time', async () => {
    const world = await makeCasWorld();
    const bytes = seededBytes(19, 6 * MIB);
    const receipts = await Promise.all([1, 2].map(() => world.stores.blobs.put(blobOf(bytes))));
    expect(receipts.map(({ newBytes }) => newBytes)).deep.equal([6 * MIB, 0]);
    expect(await storeSize(world.backend)).below(6.1 * MIB);
  });
});

describe('putMany', () => {
  it('stores many small files in one segment, or one segment and a pack', async () => {
    const world = await makeCasWorld();
    const few = Array.from({ length: 50 }, (_, index) => blobOf(seededBytes(index, 10_000)));
    await outcomes(world.stores.blobs.putMany(few));
    expect(await listed(world.backend, '')).length(1);
    const many = Array.from({ length: 600 }, (_, index) =>
      blobOf(seededBytes(100 + index, 10_000)),
    );
    const stored = await outcomes(world.stores.blobs.putMany(many));
    expect(stored).length(600);
    expect(await listed(world.backend, 'pools/')).length(1);
    expect(await listed(world.backend, 'repos/')).length(2);
    const other = await world.reopen();
    for (const { oid, open } of [few[3], many[599]].filter((source) => source !== undefined)) {
      const expected: Uint8Array[] = [];
      for await (const bytes of open()) expected.push(bytes);
      expect((await readBlob(other, oid)).equals(Buffer.concat(expected))).equal(true);
    }
  });

  it('has receipts that add up to what the store grew by', async () => {
    const world = await makeCasWorld();
    const sizes = [0, 1, 5000, 40_000, 300_000, 1_500_000, 3_000_000];
    const sources = sizes.map((size, index) => blobOf(seededBytes(index, size)));
    let sum = 0;
    for (const outcome of await outcomes(world.stores.blobs.putMany(sources))) {
      if ('receipt' in outcome) sum += outcome.receipt.storedBytes;
    }
    expect(sum).equal(await storeSize(world.backend));
  });

  it('lets one wrong file fail alone', async () => {
    const world = await makeCasWorld();
    const sources = Array.from({ length: 20 }, (_, index) => blobOf(seededBytes(index, 20_000)));
    sources[7] = { ...blobOf(seededBytes(7, 20_000)), oid: digestOf('wrong') };
    sources[8] = { ...blobOf(seededBytes(8, 3_000_000)), oid: digestOf('wrong too') };
    const all = await outcomes(world.stores.blobs.putMany(sources));
    const failed = all.filter((outcome) => 'error' in outcome).map(({ oid }) => oid);
    expect(failed).have.members([digestOf('wrong'), digestOf('wrong too')]);
    const has = await world.stores.blobs.has(sources.map(({ oid }) => oid));
    expect(has.size).equal(18);
  });

  it('stores equal files of one batch once', async () => {
    const world = await makeCasWorld();
    const bytes = seededBytes(30, 100_000);
    const all = await outcomes(
      world.stores.blobs.putMany([blobOf(bytes, { label: 'a' }), blobOf(bytes, { label: 'b' })]),
    );
    expect(all.map((outcome) => 'receipt' in outcome && outcome.receipt.newBytes)).deep.equal([
      100_000, 0,
    ]);
    expect(await storeSize(world.backend)).below(105_000);
  });

  it('tells outcomes while the next source is not there yet', async () => {
    const world = await makeCasWorld();
    const told: Digest[] = [];
    let release: () => void = () => {};
    const firstTold = new Promise<void>((resolve) => {
      release = resolve;
    });
    async function* sources() {
      yield blobOf(Buffer.from('first'));
      // Nothing more comes before the first one's outcome is known, as git-lfs has it.
      await firstTold;
      yield blobOf(Buffer.from('second'));
    }
    for await (const outcome of world.stores.blobs.putMany(sources())) {
      told.push(outcome.oid);
      release();
    }
    expect(told).deep.equal([digestOf('first'), digestOf('second')]);
  });

  it('tells each file only once it can be read by others', async () => {
    const world = await makeCasWorld();
    const sources = Array.from({ length: 5 }, (_, index) => blobOf(seededBytes(index, 2_000_000)));
    for await (const { oid } of world.stores.blobs.putMany(sources)) {
      const other = await world.reopen();
      expect((await other.blobs.has([oid])).size).equal(1);
    }
  });
});

describe('putMany that is left early', () => {
  it('does not wait for a source that keeps its next file waiting', async () => {
    const world = await makeCasWorld();
    async function* sources() {
      yield blobOf(Buffer.from('first'));
      await new Promise(() => {});
    }
    for await (const outcome of world.stores.blobs.putMany(sources())) {
      expect(outcome.oid).equal(digestOf('first'));
      break;
    }
    await world.stores.close();
  });

  it('fails what is left once it is cancelled, each file by itself', async () => {
    const world = await makeCasWorld();
    const stop = new AbortController();
    stop.abort();
    const sources = [1, 2, 3].map((seed) => blobOf(seededBytes(seed, 5000)));
    const all = await outcomes(world.stores.blobs.putMany(sources, { signal: stop.signal }));
    expect(all.map((outcome) => 'error' in outcome && outcome.error.code)).deep.equal([
      'CANCELLED',
      'CANCELLED',
      'CANCELLED',
    ]);
    expect(await storeSize(world.backend)).equal(0);
  });
});
