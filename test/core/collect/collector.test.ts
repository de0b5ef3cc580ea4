/** Collection on a real pool: what it frees, what it keeps, what it refuses, and what is left when it is killed. */
import { expect } from 'chai';
import type { Backend } from '../../../core/backend/backend.ts';
import { MERGE_SEGMENT_COUNT } from '../../../core/cas/merger.ts';
import {
  condemnPlan,
  makePlan,
  restorePlan,
  setPolicy,
  sweep,
} from '../../../core/collect/collector.ts';
import { allBytes, parsePlan, planBytes, sharePercent } from '../../../core/collect/plan.ts';
import { type Digest, digestOf } from '../../../core/digest.ts';
import { packPrefix, segmentPrefix } from '../../../core/keys.ts';
import { Scrub } from '../../../core/scrub/scrub.ts';
import { blobOf } from '../../support/blob-of.ts';
import { codeOf } from '../../support/code-of.ts';
import {
  type CollectWorld,
  makeCollectWorld,
  NAME,
  POOL_NAME,
} from '../../support/collect-world.ts';
import { seededBytes } from '../../support/splitmix64.ts';
import { makeTempDir } from '../../support/temp-dir.ts';

const BY = 'Ops <ops@example.org>';
const ALL = { by: BY, limitPercent: 100 };
const KEEP_A_WEEK = { unreferencedDays: 7, historyDays: 7, by: BY };
const MIB = 1024 * 1024;

/** What a check of the whole store calls damage. */
async function damageOf({ memory }: CollectWorld): Promise<string[]> {
  const found: string[] = [];
  for await (const { severity, message } of new Scrub({ backend: memory }).findings()) {
    if (severity === 'damage') found.push(message);
  }
  return found;
}

async function collectAll(world: CollectWorld): Promise<void> {
  await condemnPlan(world.options, await makePlan(world.options), ALL);
  world.pass(1.01);
  await sweep(world.options);
}

/** Two branches, of which one is deleted and may go. */
async function twoBranches(world: CollectWorld) {
  const kept = await world.push('main', {
    'a.bin': seededBytes(1, 5 * MIB),
    b: seededBytes(2, 900),
  });
  const doomed = await world.push('wip', {
    'c.bin': seededBytes(3, 6 * MIB),
    d: seededBytes(4, 50),
  });
  await setPolicy(world.options, NAME, KEEP_A_WEEK);
  await world.push('wip', null);
  world.pass(15);
  return { kept, doomed };
}

async function packsOf({ memory }: CollectWorld): Promise<string[]> {
  const packs: string[] = [];
  for await (const { key } of memory.list(packPrefix(POOL_NAME))) {
    packs.push(key.split('/').at(-1) ?? '');
  }
  return packs;
}

/** As of a push that was killed when its packs were stored and nothing was published. The packs' ids. */
async function storeWithoutRecord(world: CollectWorld, bytes: Uint8Array): Promise<string[]> {
  const repository = await world.open();
  await repository.blobs.put(blobOf(bytes));
  await repository.close();
  for await (const { key } of world.memory.list(segmentPrefix(NAME)))
    await world.memory.remove(key);
  return packsOf(world);
}

describe('collection', () => {
  it('keeps every record for ever where no policy says otherwise', async () => {
    const world = makeCollectWorld({ spoolDir: await makeTempDir() });
    const kept = await world.push('main', { a: seededBytes(1, MIB) });
    await world.push('main', null);
    world.pass(1000);
    expect((await makePlan(world.options)).candidates).deep.equal([]);
    expect(await world.readBack(kept.bundle)).equal(1);
  });

  it('frees what a deleted branch had once the policy lets it go, and nothing else', async () => {
    const world = makeCollectWorld({ spoolDir: await makeTempDir() });
    const { kept, doomed } = await twoBranches(world);
    const before = await world.sizeBytes();
    const plan = await makePlan(world.options);
    expect(plan.dropped.sizeBytes).equal(6 * MIB + 50);
    expect(await world.sizeBytes(), 'a plan changes nothing').equal(before);
    await condemnPlan(world.options, plan, ALL);
    expect(await world.readBack(doomed.bundle), 'readers read what is condemned').equal(2);
    world.pass(0.9);
    expect((await sweep(world.options)).deletedCount, 'not before the grace').equal(0);
    world.pass(0.2);
    expect((await sweep(world.options)).deletedCount).greaterThan(0);
    expect(await world.readBack(kept.bundle)).equal(2);
    expect(await codeOf(world.readBack(doomed.bundle))).equal('NOT_FOUND');
    const repository = await world.open();
    for (const broken of ['absent', 'listed'] as const) {
      expect((await repository.blobs.has(doomed.oids, { broken })).size, broken).equal(0);
    }
    await repository.close();
    expect(before - (await world.sizeBytes())).greaterThan(5 * MIB);
    expect(await damageOf(world), 'what a policy let go is no damage').deep.equal([]);
    expect((await makePlan(world.options)).candidates, 'nothing is left to do').deep.equal([]);
  });

  it('brings back what a plan condemned, before the grace has passed', async () => {
    const world = makeCollectWorld({ spoolDir: await makeTempDir() });
    const { doomed } = await twoBranches(world);
    const plan = await makePlan(world.options);
    await condemnPlan(world.options, plan, ALL);
    await restorePlan(world.options, plan.id);
    world.pass(1.1);
    await sweep(world.options);
    expect(await world.readBack(doomed.bundle)).equal(2);
    expect(await codeOf(restorePlan(world.options, 'f'.repeat(32)))).equal('NOT_FOUND');
  });

  it('leaves packs of an interrupted push for as long as it may be resumed, and no longer', async () => {
    const world = makeCollectWorld({ spoolDir: await makeTempDir() });
    const packs = await storeWithoutRecord(world, seededBytes(5, 5 * MIB));
    world.pass(13.9);
    expect((await makePlan(world.options)).candidates).deep.equal([]);
    world.pass(0.2);
    const { candidates } = await makePlan(world.options);
    expect(candidates.map(({ id }) => id)).to.have.members(packs);
    expect(candidates.map(({ why }) => why)).to.include('unused');
    await collectAll(world);
    expect(await packsOf(world)).deep.equal([]);
  });

  it('takes packs that some segment names a day after they were made', async () => {
    const world = makeCollectWorld({ spoolDir: await makeTempDir() });
    await world.push('main', { a: seededBytes(1, 900) });
    await setPolicy(world.options, NAME, { unreferencedDays: 1, historyDays: 1, by: BY });
    const repository = await world.open();
    await repository.blobs.put(blobOf(seededBytes(5, 5 * MIB)));
    await repository.close();
    world.pass(1.1);
    const packs = (await makePlan(world.options)).candidates.filter(({ kind }) => kind === 'pack');
    expect(packs.map(({ id }) => id)).to.have.members(await packsOf(world));
  });

  it('refuses to condemn more of a pool than the limit', async () => {
    const world = makeCollectWorld({ spoolDir: await makeTempDir() });
    await twoBranches(world);
    const plan = await makePlan(world.options);
    expect(sharePercent(plan)).greaterThan(10);
    expect(await codeOf(condemnPlan(world.options, plan, { by: BY }))).equal('CONFLICT');
    expect((await sweep(world.options)).waitingCount).equal(0);
  });

  it('reads back the plan it wrote, and no other', async () => {
    const world = makeCollectWorld({ spoolDir: await makeTempDir() });
    await twoBranches(world);
    const plan = await makePlan(world.options);
    expect(allBytes(plan)).greaterThan(0);
    const bytes = planBytes(plan);
    expect(parsePlan(bytes)).deep.equal(plan);
    bytes[20] = (bytes[20] ?? 0) ^ 1;
    expect(() => parsePlan(bytes)).throws('damaged');
  });

  it('a branch made of a doomed bundle, after it was condemned, keeps it (F39)', async () => {
    const world = makeCollectWorld({ spoolDir: await makeTempDir() });
    const { doomed } = await twoBranches(world);
    await condemnPlan(world.options, await makePlan(world.options), ALL);
    const again = await world.push('wip', {
      'c.bin': seededBytes(3, 6 * MIB),
      d: seededBytes(4, 50),
    });
    world.pass(1.1);
    await sweep(world.options);
    expect(await world.readBack(again.bundle)).equal(2);
    expect(again.oids).deep.equal(doomed.oids);
  });

  it('a label on a bundle that is being collected is refused and not left behind (F39)', async () => {
    const world = makeCollectWorld({ spoolDir: await makeTempDir() });
    const { kept, doomed } = await twoBranches(world);
    await condemnPlan(world.options, await makePlan(world.options), ALL);
    const repository = await world.open();
    const { history } = repository;
    expect(await codeOf(history.setLabel('v1', doomed.bundle, BY))).equal('INCOMPLETE');
    for await (const { event } of history.labels()) expect(event.bundle).equal(null);
    await history.setLabel('v2', kept.bundle, BY);
    await repository.close();
  });

  it('a hit on an old unreferenced file publishes it again, and it stays (F38)', async () => {
    const world = makeCollectWorld({ spoolDir: await makeTempDir() });
    const repository = await world.open();
    const bytes = seededBytes(9, 3 * MIB);
    await repository.blobs.put(blobOf(bytes));
    await setPolicy(world.options, NAME, { ...KEEP_A_WEEK, unreferencedDays: 10 });
    world.pass(9);
    const oid = digestOf(bytes);
    expect((await repository.blobs.has([oid])).size).equal(1);
    await repository.close();
    world.pass(9);
    await collectAll(world);
    const later = await world.open();
    expect((await later.blobs.has([oid])).size, 'nine days after the hit').equal(1);
    await later.close();
    world.pass(30);
    await collectAll(world);
    const last = await world.open();
    expect((await last.blobs.has([oid])).size, 'when nobody asked for it any more').equal(0);
    await last.close();
  });

  it('nothing ages before its policy was set', async () => {
    const world = makeCollectWorld({ spoolDir: await makeTempDir() });
    await world.push('main', { a: seededBytes(7, 900) });
    const repository = await world.open();
    await repository.blobs.put(blobOf(seededBytes(8, 900)));
    await repository.close();
    world.pass(100);
    await setPolicy(world.options, NAME, KEEP_A_WEEK);
    expect((await makePlan(world.options)).dropped.recordCount).equal(0);
    world.pass(8);
    expect((await makePlan(world.options)).dropped.recordCount).equal(1);
  });

  it('merged segments stay where the pack that a merge made is gone', async () => {
    const world = makeCollectWorld({ spoolDir: await makeTempDir() });
    const files = Array.from({ length: MERGE_SEGMENT_COUNT }, (_, n) => seededBytes(90 + n, 500));
    const repository = await world.open();
    for (const bytes of files) await repository.blobs.put(blobOf(bytes));
    await repository.close();
    // As where whoever merged never looked, and the pack was collected as unused.
    for await (const { key } of world.memory.list(packPrefix(POOL_NAME))) {
      await world.memory.remove(key);
    }
    world.pass(2);
    await collectAll(world);
    const later = await world.open();
    const found = await later.blobs.has(files.map((bytes) => digestOf(bytes)));
    expect(found.size).equal(MERGE_SEGMENT_COUNT);
    await later.close();
  });

  it('a push that looked just before its containers were condemned keeps what it counts on', async () => {
    let beforeCondemning: (() => Promise<unknown>) | null = null;
    const decorate = (inner: Backend): Backend => ({
      ...inner,
      async putIfAbsent(key, body) {
        const work = key.includes('/gc/') ? beforeCondemning : null;
        if (work !== null) beforeCondemning = null;
        await work?.();
        return await inner.putIfAbsent(key, body);
      },
    });
    const world = makeCollectWorld({ spoolDir: await makeTempDir(), decorate });
    await twoBranches(world);
    const plan = await makePlan(world.options);
    let again = '' as Digest;
    beforeCondemning = async () => {
      const files = { 'c.bin': seededBytes(3, 6 * MIB), d: seededBytes(4, 50) };
      again = (await world.push('wip', files)).bundle;
    };
    await condemnPlan(world.options, plan, ALL);
    world.pass(1.1);
    await sweep(world.options);
    expect(await world.readBack(again)).equal(2);
  });

  it('a segment with little to let go is written again without it', async () => {
    const world = makeCollectWorld({ spoolDir: await makeTempDir() });
    const files = Array.from({ length: 8 }, (_, seed) => seededBytes(50 + seed, 3000));
    const repository = await world.open();
    const sources = files.map((bytes) => blobOf(bytes));
    for await (const outcome of repository.blobs.putMany(sources))
      expect(outcome).not.property('error');
    await repository.close();
    const named = Object.fromEntries(files.slice(1).map((bytes, n) => [`${n}`, bytes]));
    const { bundle } = await world.push('main', named);
    await setPolicy(world.options, NAME, KEEP_A_WEEK);
    world.pass(15);
    await condemnPlan(world.options, await makePlan(world.options), ALL);
    const writer = await world.open();
    const kept = files.slice(1).map((bytes) => digestOf(bytes));
    expect((await writer.blobs.has(kept)).size, 'what is kept is stored elsewhere by now').equal(7);
    await writer.close();
    world.pass(1.01);
    await sweep(world.options);
    const later = await world.open();
    const oid = digestOf(files[0] as Buffer);
    expect((await later.blobs.has([oid], { broken: 'listed' })).size).equal(0);
    await later.close();
    expect(await world.readBack(bundle)).equal(7);
  });

  it('deletes segments before packs, and as slowly as it is told', async () => {
    const removed: string[] = [];
    const world = makeCollectWorld({
      spoolDir: await makeTempDir(),
      decorate: (inner) => ({
        ...inner,
        remove: async (key) => {
          removed.push(key.includes('/packs/') ? 'pack' : 'segment');
          await inner.remove(key);
        },
      }),
    });
    await twoBranches(world);
    await condemnPlan(world.options, await makePlan(world.options), ALL);
    world.pass(1.1);
    let waits = 0;
    await sweep(world.options, {
      pace: async () => {
        waits += 1;
      },
    });
    expect(removed).include('pack').and.include('segment');
    expect(removed).deep.equal([...removed].sort().reverse());
    expect(waits).equal(removed.length);
  });
});
