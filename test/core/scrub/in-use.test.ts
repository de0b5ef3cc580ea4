/** A store that is being used, collected, or half a push further than its logs say: none of that is damage. */
import { expect } from 'chai';
import type { Backend } from '../../../core/backend/backend.ts';
import { createReadOnlyBackend } from '../../../core/backend/read-only.ts';
import { condemn } from '../../../core/cas/condemned.ts';
import { openDirectParts, storesOf } from '../../../core/cas/direct-store.ts';
import { evacuate } from '../../../core/cas/evacuate.ts';
import { RunBuilder, storedHandle } from '../../../core/cas/frame-handle.ts';
import { MERGE_SEGMENT_COUNT } from '../../../core/cas/merger.ts';
import { digestOf } from '../../../core/digest.ts';
import { DatamonError } from '../../../core/errors.ts';
import { kindOfKey } from '../../../core/key-kind.ts';
import type { ContainerId, Key, PoolName } from '../../../core/keys.ts';
import { childrenOf } from '../../../core/meta/tree-page.ts';
import { secureRandom } from '../../../core/random.ts';
import type { Finding } from '../../../core/scrub/finding.ts';
import { createSample } from '../../../core/scrub/sample.ts';
import { Scrub, type ScrubOptions } from '../../../core/scrub/scrub.ts';
import { openPool } from '../../../core/store.ts';
import { withBitFlipped } from '../../support/cas-containers.ts';
import { listAll } from '../../support/meta-world.ts';
import { makeScrubWorld, NAME, type ScrubWorld } from '../../support/scrub-world.ts';
import { seededBytes } from '../../support/splitmix64.ts';

const MIB = 1024 * 1024;
const BIG = seededBytes(2, 5 * MIB);
const DAY_MS = 24 * 60 * 60 * 1000;
const POOL = 'acme' as PoolName;

async function check(backend: Backend, options: Partial<ScrubOptions> = {}): Promise<Finding[]> {
  return await listAll(new Scrub({ backend, ...options }).findings());
}

const damages = (found: readonly Finding[]): string[] =>
  found.filter(({ severity }) => severity === 'damage').map(({ message }) => message);

/** A backend that runs `step` before its `nth` call; `count` tells how many there were. */
function interrupted(backend: Backend, nth: number, step: () => Promise<void>) {
  let calls = 0;
  const before = async (): Promise<void> => {
    calls += 1;
    if (calls === nth) await step();
  };
  const wrapped: Backend = {
    ...backend,
    async *get(key, range) {
      await before();
      yield* backend.get(key, range);
    },
    async *list(prefix, after) {
      await before();
      yield* backend.list(prefix, after);
    },
    stat: async (key) => {
      await before();
      return backend.stat(key);
    },
  };
  return { backend: wrapped, calls: () => calls };
}

/** A backend whose writer dies before its `nth` write. */
function dying(backend: Backend, nth: number): Backend {
  let writes = 0;
  return {
    ...backend,
    putIfAbsent: async (key, body) => {
      writes += 1;
      if (writes >= nth) throw new DatamonError('UNAVAILABLE', 'the writer is gone');
      return backend.putIfAbsent(key, body);
    },
  };
}

async function copyOf(world: ScrubWorld): Promise<ScrubWorld> {
  const copy = await makeScrubWorld();
  for (const key of await world.keys('')) await copy.replace(key, await world.read(key));
  return copy;
}

describe('core/scrub in use', function () {
  this.timeout(60_000);
  let world: ScrubWorld;

  beforeEach(async () => {
    world = await makeScrubWorld();
    await world.push({ 'a.bin': seededBytes(1, 3000) });
  });

  it('a push between any two calls of a scrub is no damage', async () => {
    const { calls, backend } = interrupted(world.backend, 0, async () => {});
    await check(backend);
    expect(calls()).to.be.greaterThan(15);
    for (let nth = 1; nth <= calls(); nth += 1) {
      const copy = await copyOf(world);
      const push = async (): Promise<void> => {
        await copy.push({ 'a.bin': seededBytes(1, 3000), [`${nth}.bin`]: seededBytes(nth, 500) });
      };
      const during = interrupted(copy.backend, nth, push);
      expect(damages(await check(during.backend)), `call ${nth}`).to.deep.equal([]);
    }
  });

  it('a push that died before any of its writes left no damage', async () => {
    for (let nth = 1; ; nth += 1) {
      const copy = await makeScrubWorld((backend) => dying(backend, nth));
      const done = await copy
        .push({ 'a.bin': seededBytes(1, 3000), 'big.bin': BIG })
        .then(() => true)
        .catch(() => false);
      if (nth > 2) {
        const found = await check(createReadOnlyBackend(copy.backend));
        expect(damages(found), `write ${nth}`).to.deep.equal([]);
      }
      if (done) {
        expect(nth).to.be.greaterThan(8);
        return;
      }
    }
  });

  it('merged segments, and replaced ones collected between any two calls, are no damage', async () => {
    for (let n = 0; n < MERGE_SEGMENT_COUNT; n += 1) {
      await world.push({ 'a.bin': seededBytes(1, 3000), [`${n}.bin`]: seededBytes(n + 10, 300) });
    }
    const segments = await world.keys('repos/acme%2Fweather/segments/');
    const merged = segments.filter((key) => key.includes('/segments/1-'));
    expect(merged).to.have.length.greaterThan(0);
    expect(damages(await check(world.backend))).to.deep.equal([]);
    const first = interrupted(world.backend, 0, async () => {});
    await check(first.backend);
    for (let nth = 1; nth <= first.calls(); nth += 29) {
      const copy = await copyOf(world);
      const during = interrupted(copy.backend, nth, () => collectReplaced(copy));
      expect(damages(await check(during.backend)), `call ${nth}`).to.deep.equal([]);
      expect(damages(await check(copy.backend)), `after call ${nth}`).to.deep.equal([]);
    }
  });

  it('a condemned pack that is gone is no damage once its files were copied out; before, it is', async () => {
    await world.push({ 'big.bin': BIG });
    const [key] = await world.keys('pools/acme/packs/');
    const kind = kindOfKey(key ?? '');
    const id = (kind.kind === 'pack' ? kind.id : '') as ContainerId;
    const early = await copyOf(world);
    await condemn(early.backend, POOL, secureRandom, { ids: [id], by: 'ada', plan: null });
    await early.replace(key as Key, null);
    const lost = (await check(early.backend)).filter(({ severity }) => severity === 'damage');
    expect(lost.map(({ kind: each }) => each)).to.deep.equal(['absent']);
    expect(lost[0]?.files.map(({ path }) => path)).to.deep.equal(['big.bin']);
    await moveOut(world, (each) => each === id);
    await condemn(world.backend, POOL, secureRandom, { ids: [id], by: 'ada', plan: null });
    expect(damages(await check(world.backend))).to.deep.equal([]);
    await world.replace(key as Key, null);
    expect(damages(await check(world.backend))).to.deep.equal([]);
  });

  it('what reads badly once is a note on the way to the store, not damage', async () => {
    await world.push({ 'big.bin': BIG });
    const [pack] = await world.keys('pools/acme/packs/');
    let reads = 0;
    const flickering: Backend = {
      ...world.backend,
      async *get(key, range) {
        const isWhole = key === pack && range === undefined;
        if (isWhole) reads += 1;
        for await (const bytes of world.backend.get(key, range)) {
          yield isWhole && reads === 1 ? withBitFlipped(bytes, 4000) : bytes;
        }
      },
    };
    const found = await check(flickering);
    expect(damages(found)).to.deep.equal([]);
    expect(found.map(({ kind, key }) => [kind, key])).to.deep.equal([['container', pack]]);
    expect(found[0]?.message).to.contain('read well the second time');
  });

  it('what cannot be read is told as unreadable, and the walk goes on', async () => {
    await world.push({ 'big.bin': BIG });
    const [pack] = await world.keys('pools/acme/packs/');
    const [head] = await world.keys('repos/acme%2Fweather/branches/main/');
    const closed: Backend = {
      ...world.backend,
      async *get(key, range) {
        if (key === pack || key === head) {
          throw new DatamonError('FORBIDDEN', `cannot read ${key}: permission denied (EACCES)`);
        }
        yield* world.backend.get(key, range);
      },
    };
    const found = await check(closed);
    expect(found.map(({ key, state }) => [key, state])).to.deep.equal([
      [head, 'unreadable'],
      [pack, 'unreadable'],
    ]);
  });

  it('a record that says verified of bytes that are others is found', async () => {
    await world.push({ 'big.bin': BIG });
    const { parts, close } = await openParts(world);
    const [record] = (await parts.index.find([digestOf(BIG)], 'blob')).get(digestOf(BIG)) ?? [];
    const lie = digestOf('another file');
    const runs = new RunBuilder();
    for (const run of record?.runs ?? []) runs.add(storedHandle(run));
    await parts.committer.commit({
      records: [{ oid: lie, sizeBytes: BIG.length, kind: 'blob', runs }],
      waiting: [],
    });
    await close();
    const found = (await check(world.backend)).filter(({ severity }) => severity === 'damage');
    expect(found).to.have.length(1);
    expect(found[0]).to.include({ kind: 'record', state: 'damaged' });
    expect(found[0]?.message).to.contain(lie).and.contain(digestOf(BIG));
  });

  it('a sample reads less, other packs on other days, and all of them in 1/share days', async () => {
    const ids = Array.from({ length: 1000 }, (_, n) => digestOf(String(n)).slice(0, 32));
    const seen = new Map<string, number>();
    for (let day = 0; day < 20; day += 1) {
      const part = ids.filter(createSample(0.05, day * DAY_MS));
      expect(part.length).to.be.within(20, 90);
      for (const id of part) seen.set(id, (seen.get(id) ?? 0) + 1);
    }
    expect(seen.size).to.equal(1000);
    expect([...seen.values()].every((count) => count === 1)).to.equal(true);
    for (let n = 0; n < 4; n += 1) {
      await world.push({ [`big-${n}.bin`]: seededBytes(n + 50, 5 * MIB) });
    }
    const readBytes: number[] = [];
    const packs = await world.keys('pools/acme/packs/');
    await world.replace(
      packs[2] as Key,
      withBitFlipped(await world.read(packs[2] as Key), 9 * MIB),
    );
    let foundOn = 0;
    for (let day = 0; day < 4; day += 1) {
      world.clock.now = new Date(Date.parse('2026-03-01T00:00:00Z') + day * DAY_MS);
      const scrub = new Scrub({ backend: world.backend, share: 0.25 });
      if (damages(await listAll(scrub.findings())).length > 0) foundOn += 1;
      readBytes.push(scrub.readBytes);
    }
    expect(Math.min(...readBytes)).to.be.lessThan(20 * MIB);
    expect(foundOn).to.be.within(1, 2);
  });
});

async function openParts(world: ScrubWorld) {
  const { backend, spoolDir } = world;
  const pool = await openPool({ backend, random: secureRandom }, POOL);
  const options = { backend, repo: NAME, pool, spoolDir, childrenOf };
  const parts = await openDirectParts(options);
  await parts.index.refresh();
  return { parts, close: () => storesOf(parts, options).close() };
}

async function moveOut(world: ScrubWorld, leaves: (id: ContainerId) => boolean): Promise<void> {
  const { parts, close } = await openParts(world);
  const records = async function* () {
    for (const segment of parts.index.segments()) yield* parts.index.records(segment);
  };
  await evacuate(parts, records(), leaves);
  await close();
}

/** Condemns the segments that a merge replaced and removes them, as a collector does in the end. */
async function collectReplaced(world: ScrubWorld): Promise<void> {
  const { parts, close } = await openParts(world);
  const replaced = new Set(parts.index.segments().flatMap(({ replaces }) => replaces));
  await close();
  await moveOut(world, (id) => replaced.has(id));
  await condemn(world.backend, POOL, secureRandom, { ids: [...replaced], by: 'ada', plan: null });
  for (const key of await world.keys('repos/acme%2Fweather/segments/0-')) {
    const kind = kindOfKey(key);
    if (kind.kind === 'segment' && replaced.has(kind.id)) await world.replace(key, null);
  }
}
