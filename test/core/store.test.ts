/** Opening a store: format before anything else, pools and repos made once, newer things refused by name. */
import { expect } from 'chai';
import { type Backend, bytesBody } from '../../core/backend/backend.ts';
import { createMemoryBackend } from '../../core/backend/memory.ts';
import { createMeteredBackend } from '../../core/backend/metered.ts';
import { createReadOnlyBackend } from '../../core/backend/read-only.ts';
import { canonicalJson, type Json, openSealedJson, sealJson } from '../../core/json.ts';
import {
  formatLog,
  type Key,
  logKey,
  type PoolName,
  parseRepoName,
  poolKey,
  repoKey,
} from '../../core/keys.ts';
import { openLog } from '../../core/log.ts';
import { secureRandom } from '../../core/random.ts';
import { createRepo, listRepos, openPool, openStore, readRepo } from '../../core/store.ts';
import { put, readText } from '../conformance/bodies.ts';
import { codeOf, errorOf } from '../support/code-of.ts';
import { createFaultyBackend, FaultPlan } from '../support/faulty-backend.ts';

const POOL = 'acme' as PoolName;
const REPO = parseRepoName('acme/images');
const NEW_REPO = { remote: 'https://git.example/acme/images', createdBy: 'Ada <ada@example.org>' };

const putJson = (backend: Backend, key: Key, value: Json): Promise<unknown> =>
  backend.putIfAbsent(key, bytesBody(sealJson(value)));

async function writeFormat(backend: Backend, event: Json): Promise<void> {
  const log = openLog<Json>({
    backend,
    prefix: formatLog,
    random: secureRandom,
    parse: (value) => value as Json,
  });
  await log.update(() => event);
}

const newStore = (backend = createMemoryBackend()) => openStore(backend, { create: 'if-absent' });

describe('openStore', () => {
  it('makes a store of an empty backend where it may', async () => {
    const backend = createMemoryBackend();
    await openStore(backend, { create: 'if-absent' });
    const entry = Buffer.from(await readText(backend, logKey(formatLog, 1)));
    const stored = openSealedJson(entry, 'the entry');
    expect(stored['event']).to.deep.equal({ version: 1, features: ['zstd'] });
    await openStore(backend);
  });

  it('makes nothing where it may not (NOT_FOUND), and says how to', async () => {
    const metered = createMeteredBackend(createMemoryBackend());
    const error = await errorOf(openStore(metered.backend));
    expect(error.code).to.equal('NOT_FOUND');
    expect(error.message).to.contain('memory:');
    expect(error.hint).to.contain('datamon init');
    expect(metered.counts().putCount).to.equal(0);
  });

  it('opens a store it may only read', async () => {
    const backend = createMemoryBackend();
    await newStore(backend);
    await openStore(createReadOnlyBackend(backend), { create: 'if-absent' });
  });

  it('asks for the format alone: one list and one get', async () => {
    const metered = createMeteredBackend(createMemoryBackend());
    await newStore(metered.backend);
    const before = metered.counts().requestCount;
    await openStore(metered.backend);
    expect(metered.counts().requestCount - before).to.equal(2);
  });

  it('is made once by many that open it at the same time', async () => {
    const backend = createMemoryBackend();
    await Promise.all(Array.from({ length: 20 }, () => newStore(backend)));
    expect(await backend.stat(logKey(formatLog, 1))).not.to.equal(null);
    expect(await backend.stat(logKey(formatLog, 2))).to.equal(null);
  });

  it('makes no store among other things (INVALID), and names one', async () => {
    const backend = createMemoryBackend();
    await put(backend, 'thesis/final');
    const error = await errorOf(newStore(backend));
    expect(error.code).to.equal('INVALID');
    expect(error.message).to.contain('thesis/final');
  });

  it('refuses a newer version by its number, whatever else the entry holds', async () => {
    const backend = createMemoryBackend();
    await writeFormat(backend, { version: 2, layout: 'new' });
    const error = await errorOf(openStore(backend));
    expect(error.code).to.equal('UNSUPPORTED');
    expect(error.message).to.contain('version 2').and.to.contain('version 1');
    expect(error.hint).to.contain('Update datamon');
  });

  it('refuses a mandatory feature that it does not know, by its name', async () => {
    const backend = createMemoryBackend();
    await writeFormat(backend, { version: 1, features: ['zstd', 'aes-gcm', 'parity'] });
    const error = await errorOf(openStore(backend));
    expect(error.code).to.equal('UNSUPPORTED');
    expect(error.message).to.contain('aes-gcm, parity').and.not.to.contain('zstd');
  });

  it('follows the newest entry of the format log', async () => {
    const backend = createMemoryBackend();
    await newStore(backend);
    await writeFormat(backend, { version: 7, features: [] });
    expect(await codeOf(openStore(backend))).to.equal('UNSUPPORTED');
  });

  it('refuses a format entry that is none (CORRUPT)', async () => {
    for (const event of [0, 'v1', { version: '1', features: [] }, { version: 1 }]) {
      const backend = createMemoryBackend();
      await writeFormat(backend, event);
      expect(await codeOf(openStore(backend)), canonicalJson(event)).to.equal('CORRUPT');
    }
  });

  it('is opened by the writer whose acknowledgement was lost', async () => {
    const plan = new FaultPlan().loseAcknowledgement('putIfAbsent', 1);
    await newStore(createFaultyBackend(createMemoryBackend(), plan));
    expect(plan.describe()).to.equal('');
  });
});

describe('openPool', () => {
  it('makes a pool with a random seed, once', async () => {
    const store = await newStore();
    const pool = await openPool(store, POOL);
    expect(pool.seed).to.match(/^[0-9a-f]{64}$/);
    const { seed: _, ...sizes } = pool;
    expect(sizes).to.deep.equal({
      pool: 'acme',
      minBytes: 16_384,
      averageBytes: 65_536,
      maxBytes: 262_144,
    });
    expect(await openPool(store, POOL)).to.deep.equal(pool);
    expect((await openPool(store, 'other' as PoolName)).seed).not.to.equal(pool.seed);
  });

  it('writes it as the format has it', async () => {
    const store = await openStore(createMemoryBackend(), {
      create: 'if-absent',
      random: (count) => Buffer.alloc(count, 0xab),
    });
    await openPool(store, POOL);
    const [text] = (await readText(store.backend, poolKey(POOL))).split('\n');
    expect(text).to.equal(
      `{"averageBytes":65536,"chunker":"gear32","codec":"zstd","maxBytes":262144,"minBytes":16384,"pool":"acme","seed":"${'ab'.repeat(32)}","version":1}`,
    );
  });

  it('gives all who race to make it the same seed', async () => {
    const store = await newStore();
    const pools = await Promise.all(Array.from({ length: 20 }, () => openPool(store, POOL)));
    expect(new Set(pools.map(({ seed }) => seed)).size).to.equal(1);
  });

  it('makes none where it may not (NOT_FOUND)', async () => {
    const store = await newStore();
    expect(await codeOf(openPool(store, POOL, { create: 'never' }))).to.equal('NOT_FOUND');
    expect(await store.backend.stat(poolKey(POOL))).to.equal(null);
  });

  const good = {
    version: 1,
    pool: 'acme',
    seed: 'ab'.repeat(32),
    chunker: 'gear32',
    minBytes: 64,
    averageBytes: 128,
    maxBytes: 256,
    codec: 'zstd',
  };
  const cases: readonly (readonly [string, Json, string | null])[] = [
    ['sizes of its own', good, null],
    ['a field it does not know', { ...good, keyId: 'k1' }, null],
    ['a newer version', { ...good, version: 2 }, 'UNSUPPORTED'],
    ['another chunker', { ...good, chunker: 'rabin64' }, 'UNSUPPORTED'],
    ['another codec', { ...good, codec: 'lzma' }, 'UNSUPPORTED'],
    ['a seed that is none', { ...good, seed: 'abc' }, 'CORRUPT'],
    ['another pool’s name', { ...good, pool: 'evil' }, 'CORRUPT'],
    ['min below the warm-up', { ...good, minBytes: 32 }, 'CORRUPT'],
    ['min above average', { ...good, minBytes: 200 }, 'CORRUPT'],
    ['average above max', { ...good, averageBytes: 300 }, 'CORRUPT'],
    ['chunks larger than a frame', { ...good, maxBytes: 2 ** 25 }, 'CORRUPT'],
    ['a size that is no number', { ...good, maxBytes: '256' }, 'CORRUPT'],
  ];
  for (const [what, description, code] of cases) {
    it(`${code === null ? 'takes' : 'refuses'} a description with ${what}`, async () => {
      const store = await newStore();
      await putJson(store.backend, poolKey(POOL), description);
      if (code === null) expect((await openPool(store, POOL)).maxBytes).to.equal(256);
      else expect(await codeOf(openPool(store, POOL))).to.equal(code);
    });
  }
});

describe('repos of a store', () => {
  it('are made once, by the store’s clock, in their owner’s pool', async () => {
    const backend = createMemoryBackend({ now: () => new Date(1_800_000_000_000) });
    const store = await newStore(backend);
    const info = await createRepo(store, REPO, NEW_REPO);
    expect(info).to.deep.equal({
      pool: 'acme',
      ...NEW_REPO,
      createdAt: '2027-01-15T08:00:00.000Z',
    });
    expect(await createRepo(store, REPO, { remote: null, createdBy: 'late' })).to.deep.equal(info);
    const asked = async () => expect.fail('the repo is there: nobody makes it');
    expect(await createRepo(store, REPO, asked)).to.deep.equal(info);
    expect(await readRepo(store, REPO)).to.deep.equal(info);
  });

  it('can have a pool of their own', async () => {
    const store = await newStore();
    const pool = 'acme/images' as PoolName;
    expect((await createRepo(store, REPO, { ...NEW_REPO, pool })).pool).to.equal('acme/images');
  });

  it('are the same for all who race to make them', async () => {
    const store = await newStore();
    const infos = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        createRepo(store, REPO, { remote: null, createdBy: `${n}` }),
      ),
    );
    expect(new Set(infos.map(({ createdBy }) => createdBy)).size).to.equal(1);
  });

  it('that were never made are NOT_FOUND', async () => {
    const error = await errorOf(readRepo(await newStore(), REPO));
    expect(error.code).to.equal('NOT_FOUND');
    expect(error.message).to.contain('acme/images');
  });

  it('are listed by skipping: a list and a get each, however much they hold', async () => {
    const metered = createMeteredBackend(createMemoryBackend());
    const store = await newStore(metered.backend);
    const long = `${'L'.repeat(100)}/${'R'.repeat(100)}`;
    const names = ['b', 'acme/x', 'acme/y', 'Acme/x', 'a-b', long];
    for (const name of names) {
      const repo = parseRepoName(name);
      await createRepo(store, repo, NEW_REPO);
      for (let n = 0; n < 20; n += 1)
        await put(store.backend, repoKey(repo).replace('repo.json', `bundles/${n}`));
    }
    await put(store.backend, 'repos/half-made/segments/0-x');
    const before = metered.counts();
    const found: string[] = [];
    for await (const { repo, info } of listRepos(store)) {
      expect(info.createdBy).to.equal(NEW_REPO.createdBy);
      found.push(repo);
    }
    expect(found).to.have.members(names);
    expect(metered.counts().listCount - before.listCount).to.equal(names.length + 2);
    expect(metered.counts().getCount - before.getCount).to.equal(names.length + 1);
  });

  it('with a description that is another’s, newer or none are refused', async () => {
    const good = {
      version: 1,
      repo: REPO,
      pool: 'acme',
      remote: null,
      createdBy: 'a',
      createdAt: '2026-01-01T00:00:00Z',
    };
    const cases: readonly (readonly [Json, string])[] = [
      [{ ...good, repo: 'acme/other' }, 'CORRUPT'],
      [{ ...good, repo: '../x' }, 'CORRUPT'],
      [{ ...good, createdAt: 'yesterday' }, 'CORRUPT'],
      [{ ...good, version: 2 }, 'UNSUPPORTED'],
      [[], 'CORRUPT'],
    ];
    for (const [description, code] of cases) {
      const store = await newStore();
      await putJson(store.backend, repoKey(REPO), description);
      expect(await codeOf(readRepo(store, REPO)), canonicalJson(description)).to.equal(code);
      expect(await codeOf(createRepo(store, REPO, NEW_REPO))).to.equal(code);
    }
  });
});
