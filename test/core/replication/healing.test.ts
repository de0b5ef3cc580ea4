/** F15 and F46: whatever bit of whatever object rots in one member, readers get the right bytes and the copy is made good. */
import { expect } from 'chai';
import type { Backend } from '../../../core/backend/backend.ts';
import type { Replicated } from '../../../core/backend/healing.ts';
import type { ReplicationMode } from '../../../core/backend/replicated.ts';
import { collect } from '../../../core/bytes.ts';
import { digestOf } from '../../../core/digest.ts';
import type { Key } from '../../../core/keys.ts';
import { openLog } from '../../../core/log.ts';
import { openRepository } from '../../../core/open-repository.ts';
import { secureRandom } from '../../../core/random.ts';
import { listAll } from '../../support/meta-world.ts';
import { contents, flipBit, ReplicaWorld } from '../../support/replica-world.ts';
import { makeScrubWorld, NAME } from '../../support/scrub-world.ts';
import { seededBytes } from '../../support/splitmix64.ts';
import { makeTempDir } from '../../support/temp-dir.ts';

const FILES = { 'a.bin': seededBytes(1, 5 * 1024 * 1024), 'b.bin': seededBytes(2, 40_000) };
const MORE = { ...FILES, 'c.bin': seededBytes(3, 1000) };

interface Filled {
  readonly world: ReplicaWorld;
  readonly bundles: readonly string[];
}

async function filled(mode: ReplicationMode = 'sync'): Promise<Filled> {
  const world = new ReplicaWorld();
  await world.pair(mode);
  const backend = await world.open();
  const pushes = await makeScrubWorld(() => backend);
  const bundles = [await pushes.push(FILES), await pushes.push(MORE)];
  return { world, bundles: bundles.map(({ bundle }) => bundle) };
}

/** Everything a clone and a page read, as a fresh process. */
async function readAll(backend: Backend & Replicated): Promise<unknown> {
  const repository = await openRepository(backend, NAME, { spoolDir: await makeTempDir() });
  try {
    const { blobs, history } = repository;
    const bytes = await Promise.all(
      Object.values(MORE).map(async (file) =>
        digestOf(await collect(blobs.get(digestOf(file)), 1 << 30)),
      ),
    );
    const log = await listAll(history.branchLog('main'));
    const trees = await Promise.all(
      log.map(async ({ event }) =>
        event.bundle === null ? null : (await history.getBundle(event.bundle)).tree,
      ),
    );
    const pages = await Promise.all(
      trees.map(async (tree) => tree && digestOf(await repository.pages.getPage(tree))),
    );
    return { bytes, log, trees, pages };
  } finally {
    await repository.close();
  }
}

const keysLike = async (world: ReplicaWorld, pattern: RegExp): Promise<Key[]> =>
  [...(await contents(world.place('memory:a'))).keys()].filter((key) => pattern.test(key)) as Key[];

const KINDS: readonly (readonly [string, RegExp])[] = [
  ['packs', /\/packs\//],
  ['segments', /\/segments\//],
  ['bundles', /\/bundles\//],
  ['branch log entries', /\/branches\//],
  ['pool and repo', /\/(pool|repo)\.json$/],
  ['the format', /^format\//],
];

describe('healing', () => {
  for (const [name, pattern] of KINDS) {
    it(`reads on and makes good: a flipped bit in ${name} at home`, async () => {
      const { world } = await filled();
      const before = await contents(world.place('memory:a'));
      const expected = await readAll(await world.open());
      const keys = await keysLike(world, pattern);
      expect(keys).not.to.deep.equal([]);
      for (const [n, key] of keys.entries()) {
        await flipBit(world.place('memory:a'), key, 8 * 200 + n * 997);
        expect(await readAll(await world.open()), key).to.deep.equal(expected);
      }
      expect([...(await contents(world.place('memory:a')))]).to.deep.equal([...before]);
      expect(world.count('repaired')).to.be.at.least(keys.length);
    });
  }

  it('puts back what home lost altogether, before anybody leans on the one copy left', async () => {
    const { world } = await filled();
    const expected = await readAll(await world.open());
    const before = await contents(world.place('memory:a'));
    for (const key of await keysLike(world, /\/packs\/|\/bundles\/|repo\.json/)) {
      await world.place('memory:a').raw.remove(key);
    }
    expect(await readAll(await world.open())).to.deep.equal(expected);
    expect([...(await contents(world.place('memory:a')))]).to.deep.equal([...before]);
    expect(world.count('restored')).to.be.at.least(3);
  });

  it('heals a replica, too, when asked', async () => {
    const { world } = await filled();
    const [pack] = await keysLike(world, /\/packs\//);
    await flipBit(world.place('memory:b'), pack as Key, 4000);
    const backend = await world.open();
    expect(await backend.heal(pack as Key)).to.equal('healed');
    expect(await backend.heal(pack as Key)).to.equal('intact');
    const [a, b] = [world.place('memory:a'), world.place('memory:b')];
    expect((await contents(b)).get(pack as string)).to.equal(
      (await contents(a)).get(pack as string),
    );
  });

  it('serves nothing wrong, and says so, where both copies are bad', async () => {
    const { world } = await filled();
    const [pack] = await keysLike(world, /\/packs\//);
    for (const url of ['memory:a', 'memory:b']) await flipBit(world.place(url), pack as Key, 9000);
    const backend = await world.open();
    expect(await backend.heal(pack as Key)).to.equal('no good copy');
    const failed = await readAll(backend).then(
      () => 'read',
      (error: { code?: string }) => error.code,
    );
    expect(failed).to.equal('CORRUPT');
  });

  it('never brings back what was condemned', async () => {
    const { world } = await filled();
    const [pack] = await keysLike(world, /\/packs\//);
    const backend = await world.open();
    const id = String(pack).slice(-32);
    await openLog({
      backend,
      prefix: 'pools/acme/gc/' as never,
      random: secureRandom,
      parse: (event) => event,
    }).update(() => ({ condemned: [id] }));
    await world.place('memory:a').raw.remove(pack as Key);
    expect(await backend.stat(pack as Key)).not.to.equal(null);
    expect(await backend.heal(pack as Key)).to.equal('no good copy');
    expect(await world.place('memory:a').raw.stat(pack as Key)).to.equal(null);
  });

  it('leaves the newest entry of an async log to be read from the replica, and takes it once it is not the newest', async () => {
    const { world } = await filled('async');
    const { home, others } = await world.group();
    const { drain } = await import('../../../core/replication/drain.ts');
    await drain({ home, others, now: async () => new Date() });
    const expected = await readAll(await world.open());
    const [head] = await keysLike(world, /\/branches\//);
    await flipBit(world.place('memory:a'), head as Key, 1234);
    const rotten = (await contents(world.place('memory:a'))).get(head as string);
    expect(await readAll(await world.open())).to.deep.equal(expected);
    expect((await contents(world.place('memory:a'))).get(head as string)).to.equal(rotten);
  });
});
