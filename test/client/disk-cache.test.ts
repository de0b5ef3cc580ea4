/** The disk cache: whole or absent, capped, shared by processes, never wrong for long; and what is read through it is what the store has. */
import { spawn } from 'node:child_process';
import { readdir, readFile, stat, utimes, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { expect } from 'chai';
import { cachePlace, parseSize } from '../../client/cache-place.ts';
import { clearDiskCache, createDiskCache, diskCacheSize } from '../../client/disk-cache.ts';
import { cachingOf } from '../../client/open.ts';
import { type Backend, bytesBody } from '../../core/backend/backend.ts';
import {
  CACHED_PART_SIZE_BYTES,
  createCachingBackend,
  type RangeCache,
} from '../../core/backend/caching.ts';
import { createMemoryBackend } from '../../core/backend/memory.ts';
import { createMeteredBackend } from '../../core/backend/metered.ts';
import { collect } from '../../core/bytes.ts';
import { openDirectStores } from '../../core/cas/direct-store.ts';
import { digestOf } from '../../core/digest.ts';
import { isContainerKey, parseKey } from '../../core/keys.ts';
import { secureRandom } from '../../core/random.ts';
import { describeBackend } from '../conformance/backend.ts';
import { blobOf, POOL, REPO, readBlob } from '../support/cas-world.ts';
import { seededBytes } from '../support/splitmix64.ts';
import { makeTempDir } from '../support/temp-dir.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const KEY = parseKey('pools/acme/packs/ab/abcd');
const OTHER_KEY = parseKey('pools/acme/packs/ab/abce');

const cacheIn = (dir: string, sizeMaxBytes = 64 * MIB, nowMs = Date.now): RangeCache =>
  createDiskCache({ dir, sizeMaxBytes, store: 'memory:', random: secureRandom, nowMs });

describeBackend('caching, everything', {
  open: async () => ({
    backend: createCachingBackend(createMemoryBackend(), {
      cache: cacheIn(await makeTempDir()),
      isCacheable: () => true,
    }),
  }),
});

async function files(dir: string): Promise<string[]> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  return entries.filter((e) => e.isFile()).map((e) => join(e.parentPath, e.name));
}

describe('client/disk-cache', function () {
  this.timeout(20_000);
  let dir: string;
  beforeEach(async () => {
    dir = await makeTempDir();
  });

  const keep = (cache: RangeCache, start: number, bytes: Buffer) =>
    cache.keep(KEY, { start, end: start + bytes.length }, [bytes]);

  it('gives back what was kept, to another process too, and nothing else', async () => {
    const bytes = seededBytes(1, 100 * KIB);
    await keep(cacheIn(dir), 64, bytes);
    const other = cacheIn(dir);
    expect(await other.read(KEY, 64, 64 + bytes.length)).to.deep.equal(bytes);
    expect(await other.read(KEY, 65, 64 + bytes.length)).to.equal(null);
    expect(await other.read(OTHER_KEY, 64, 64 + bytes.length)).to.equal(null);
  });

  it('takes a file that was damaged, cut or renamed for absent, and removes it', async () => {
    const bytes = seededBytes(2, 10 * KIB);
    const cache = cacheIn(dir);
    const harm: ((path: string) => Promise<void>)[] = [
      async (path) => {
        const content = await readFile(path);
        content[5] = (content[5] ?? 0) ^ 1;
        await writeFile(path, content);
      },
      async (path) => writeFile(path, (await readFile(path)).subarray(0, 9_000)),
      async (path) => writeFile(path, ''),
      // The same bytes, whole, under the name of another key's part.
      async (path) => {
        const elsewhere = await makeTempDir();
        const end = bytes.length;
        await cacheIn(elsewhere).keep(OTHER_KEY, { start: 0, end }, [bytes]);
        await writeFile(path, await readFile((await files(elsewhere))[0] ?? ''));
      },
    ];
    for (const damage of harm) {
      await keep(cache, 0, bytes);
      await damage((await files(dir))[0] ?? '');
      expect(await cache.read(KEY, 0, bytes.length)).to.equal(null);
      expect(await files(dir)).to.deep.equal([]);
    }
  });

  it('holds its cap, and lets go what was used longest ago', async () => {
    const sizeMaxBytes = 4 * MIB;
    let nowMs = 1_800_000_000_000;
    const cache = cacheIn(dir, sizeMaxBytes, () => nowMs);
    const bytes = seededBytes(3, 128 * KIB);
    for (let n = 0; n < 100; n += 1) {
      await keep(cache, n * MIB, bytes);
      for (const path of await files(dir)) {
        if (path.includes(`-${n * MIB}-`)) await utimes(path, nowMs / 1000, nowMs / 1000);
      }
      nowMs += 120_000;
      expect(await cache.read(KEY, 0, bytes.length), `the first, after ${n}`).to.not.equal(null);
      expect(await diskCacheSize(dir)).to.be.at.most(sizeMaxBytes);
    }
    expect(await cache.read(KEY, MIB, MIB + bytes.length)).to.equal(null);
    expect(await cache.read(KEY, 99 * MIB, 99 * MIB + bytes.length)).to.not.equal(null);
  });

  it('is emptied by one call', async () => {
    const cache = cacheIn(dir);
    await keep(cache, 0, seededBytes(4, 10 * KIB));
    expect(await clearDiskCache(dir)).to.be.above(10 * KIB);
    expect(await diskCacheSize(dir)).to.equal(0);
    await keep(cache, 0, seededBytes(4, 10 * KIB));
    expect(await diskCacheSize(dir)).to.be.above(10 * KIB);
  });

  it('where it cannot be written, everything is a miss', async () => {
    const path = join(dir, 'a file in the way');
    await writeFile(path, '');
    const cache = cacheIn(path);
    await keep(cache, 0, seededBytes(5, KIB));
    expect(await cache.read(KEY, 0, KIB)).to.equal(null);
    expect(await cache.evict(KEY)).to.equal(false);
  });

  it('two processes writing at once: the cap holds, and what is read is right', async () => {
    const script = `
      import { createDiskCache } from ${JSON.stringify(resolve(import.meta.dirname, '../../client/disk-cache.ts'))};
      import { randomBytes } from 'node:crypto';
      const cache = createDiskCache({ dir: ${JSON.stringify(dir)}, sizeMaxBytes: 2097152, store: 's', random: randomBytes, nowMs: Date.now });
      for (let n = 0; n < 200; n += 1) {
        const start = (n % 40) * 65536;
        const bytes = Buffer.alloc(65536, n % 40);
        const found = await cache.read('k', start, start + 65536);
        if (found !== null && !bytes.equals(found)) { console.log('wrong'); }
        if (found === null) await cache.keep('k', { start, end: start + 65536 }, [bytes]);
      }`;
    const run = () =>
      new Promise<string>((done) => {
        const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', script], {
          stdio: ['ignore', 'pipe', 'pipe'],
        });
        let said = '';
        for (const stream of [child.stdout, child.stderr]) stream.on('data', (b) => (said += b));
        child.once('exit', (status) =>
          done(`${status} ${said.replace(/.*Warning.*/g, '').trim()}`),
        );
      });
    const ends = await Promise.all([run(), run()]);
    expect(
      ends.every((end) => end.startsWith('0') && !end.includes('wrong')),
      ends.join(),
    ).to.equal(true);
    expect(await diskCacheSize(dir)).to.be.within(1, 2_097_152 * 1.125);
  });

  it('knows sizes as people write them', async () => {
    expect(['10GiB', '500 MB', '0', '1k', 'much'].map(parseSize)).to.deep.equal([
      10 * 1024 ** 3,
      500_000_000,
      0,
      1000,
      null,
    ]);
    const place = await cachePlace({ HOME: '/h' }, async () => null);
    expect(place).to.deep.equal({ dir: '/h/.cache/datamon/ranges', sizeMaxBytes: 1024 ** 3 });
    expect(await cachePlace({}, async () => null)).to.equal(null);
  });
});

describe('a store behind the cache', function () {
  this.timeout(20_000);

  const world = async (store: Backend = createMemoryBackend()) => {
    const metered = createMeteredBackend(store);
    const dir = await makeTempDir();
    const spoolDir = await makeTempDir();
    const open = async () => {
      const place = { dir, sizeMaxBytes: 64 * MIB };
      const backend = await cachingOf(metered.backend, { cache: async () => place });
      if (backend === null) throw new Error('no cache');
      const evict = (key: Parameters<typeof backend.evict>[0]) => backend.evict(key);
      return openDirectStores({
        ...{ backend, evict, repo: REPO, pool: POOL, spoolDir },
        childrenOf: () => [],
      });
    };
    return { metered, dir, open };
  };

  it('sends ranges once, however often they are read and by whom', async () => {
    const { metered, open } = await world();
    const bytes = seededBytes(11, 9 * MIB);
    const oid = digestOf(bytes);
    await (await open()).blobs.put(blobOf(bytes));
    expect((await readBlob(await open(), oid)).equals(bytes)).to.equal(true);
    const before = metered.counts().receivedBytes;
    expect((await readBlob(await open(), oid)).equals(bytes)).to.equal(true);
    expect(metered.counts().receivedBytes - before).to.equal(0);
  });

  it('damage in the cache is never seen above, and heals', async () => {
    const { metered, dir, open } = await world();
    const bytes = seededBytes(12, 6 * MIB);
    const oid = digestOf(bytes);
    await (await open()).blobs.put(blobOf(bytes));
    await readBlob(await open(), oid);
    for (const path of await files(dir)) {
      const content = await readFile(path);
      content[100] = (content[100] ?? 0) ^ 1;
      await writeFile(path, content);
    }
    expect((await readBlob(await open(), oid)).equals(bytes)).to.equal(true);
    const before = metered.counts().receivedBytes;
    expect((await readBlob(await open(), oid)).equals(bytes)).to.equal(true);
    expect(metered.counts().receivedBytes - before).to.equal(0);
  });

  it('wrong bytes that the store once sent do not stay: found wrong, they are asked for again', async () => {
    const store = createMemoryBackend();
    let isLying = true;
    const lying: Backend = {
      ...store,
      async *get(key, range) {
        for await (const piece of store.get(key, range)) {
          // The last piece only: what is cut off before its part is whole is not kept anyway.
          const isHarmed = isLying && key.startsWith('pools/') && piece.length < 256 * KIB;
          yield isHarmed ? Buffer.from(piece).fill(0, 0, 200) : piece;
        }
      },
    };
    const { open } = await world(lying);
    const bytes = seededBytes(13, 6 * MIB);
    const oid = digestOf(bytes);
    await (await open()).blobs.put(blobOf(bytes));
    const failed = await readBlob(await open(), oid).catch((error) => error.code);
    expect(failed).to.equal('CORRUPT');
    isLying = false;
    expect((await readBlob(await open(), oid)).equals(bytes)).to.equal(true);
  });

  it('a store that is damaged says so after one more question', async () => {
    const store = createMemoryBackend();
    const harmed: Backend = {
      ...store,
      async *get(key, range) {
        for await (const piece of store.get(key, range)) {
          yield key.startsWith('pools/') ? Buffer.from(piece).fill(0, 0, 200) : piece;
        }
      },
    };
    const { metered, open } = await world(harmed);
    const bytes = seededBytes(14, 6 * MIB);
    await (await open()).blobs.put(blobOf(bytes));
    const before = metered.counts().getCount;
    expect(await readBlob(await open(), digestOf(bytes)).catch((e) => e.code)).to.equal('CORRUPT');
    expect(metered.counts().getCount - before).to.be.below(12);
  });

  it('caches packs and segments alone, in parts', async () => {
    const { metered, dir } = await world();
    const place = { dir, sizeMaxBytes: 256 * MIB };
    const backend = await cachingOf(metered.backend, { cache: async () => place });
    const bytes = seededBytes(15, 2 * CACHED_PART_SIZE_BYTES + 1000);
    const keys = ['pools/acme/packs/ab/abcd', 'repos/a/bundles/abcd', 'pools/acme/gc/0001'];
    for (const text of keys) {
      const key = parseKey(text);
      await metered.backend.putIfAbsent(key, bytesBody(bytes));
      const range = { start: 10, end: bytes.length + 5 };
      const read = () => collect((backend as Backend).get(key, range), bytes.length);
      for (const found of [await read(), await read()]) {
        expect(found.equals(bytes.subarray(10))).to.equal(true);
      }
    }
    expect(keys.map((key) => isContainerKey(parseKey(key)))).to.deep.equal([true, false, false]);
    const sizes = await Promise.all(
      (await files(dir)).map(async (path) => (await stat(path)).size),
    );
    expect(sizes.sort((a, b) => b - a)).to.deep.equal(
      [CACHED_PART_SIZE_BYTES, CACHED_PART_SIZE_BYTES, 990].map((size) => size + 32),
    );
    expect(metered.counts().getCount).to.equal(5);
  });
});
