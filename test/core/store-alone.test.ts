/** A store is all there is: a process that has nothing but its objects, whatever order they came in, answers everything as before. */
import { expect } from 'chai';
import { bytesBody } from '../../core/backend/backend.ts';
import { createMemoryBackend } from '../../core/backend/memory.ts';
import { collect } from '../../core/bytes.ts';
import { MERGE_SEGMENT_COUNT } from '../../core/cas/merger.ts';
import { digestOf } from '../../core/digest.ts';
import { resolveRef } from '../../core/meta/resolve.ts';
import { entries } from '../../core/meta/tree-reader.ts';
import { type DirectRepository, openRepository } from '../../core/open-repository.ts';
import { Scrub } from '../../core/scrub/scrub.ts';
import { listAll } from '../support/meta-world.ts';
import { makeScrubWorld, NAME, type ScrubWorld } from '../support/scrub-world.ts';
import { seededBytes } from '../support/splitmix64.ts';
import { makeTempDir } from '../support/temp-dir.ts';

/** Everything the ports can be asked. */
async function answers(repository: DirectRepository): Promise<unknown> {
  const { blobs, pages, history, locks } = repository;
  const branches = await listAll(history.branches());
  const logs = await Promise.all(
    branches.map(({ event }) => listAll(history.branchLog(event.branch))),
  );
  const bundles = [...new Set(logs.flat().flatMap(({ event }) => event.bundle ?? []))];
  const trees: unknown[] = [];
  for (const bundle of bundles) {
    const descriptor = await history.getBundle(bundle);
    const listed = await listAll(entries(pages, descriptor.tree));
    const oids = listed.flatMap(({ oid }) => oid ?? []);
    const sizes = [...(await blobs.has(oids))].sort();
    const digests: string[] = [];
    for (const oid of oids) {
      digests.push(digestOf(await collect(blobs.get(oid), Number.MAX_SAFE_INTEGER)));
    }
    const part = await collect(blobs.get(oids[0] ?? digestOf(''), { start: 7, end: 90 }), 1000);
    const found = await history.findBundles(bundle.slice(0, 8), 5);
    const ofCommit = await history.bundleOfCommit(descriptor.commit);
    trees.push({ descriptor, listed, sizes, digests, part, found, ofCommit });
  }
  return {
    info: await history.info(),
    branches,
    logs,
    trees,
    labels: await listAll(history.labels()),
    labelLog: await listAll(history.labelLog('best')),
    pending: await listAll(history.pending()),
    locks: await locks.list(),
    main: await resolveRef(repository, 'main~1'),
    pool: repository.pool,
  };
}

async function copied(world: ScrubWorld) {
  const backend = createMemoryBackend({ now: () => world.clock.now });
  const keys = await world.keys('');
  keys.sort((a, b) => (digestOf(a) < digestOf(b) ? -1 : 1));
  for (const key of keys) await backend.putIfAbsent(key, bytesBody(await world.read(key)));
  return backend;
}

describe('a store alone', function () {
  this.timeout(60_000);

  it('answers everything: files, ranges, trees, bundles, commits, branches, labels, locks, pool', async () => {
    const world = await makeScrubWorld();
    const base = {
      'big.bin': seededBytes(1, 5 * 1024 * 1024),
      'a/b.txt': Buffer.from('text '.repeat(40)),
    };
    const { bundle } = await world.push(base);
    for (let n = 0; n < MERGE_SEGMENT_COUNT; n += 1) {
      await world.push({ ...base, 'n.bin': seededBytes(n + 5, 2000 + n) });
    }
    const repository = await world.open();
    await repository.history.setLabel('best', bundle, 'ada');
    await repository.locks.lock({ path: 'a/b.txt', owner: 'ada', ref: null });
    const before = await answers(repository);
    await repository.close();
    const backend = await copied(world);
    expect(await listAll(new Scrub({ backend }).findings())).to.deep.equal([]);
    const alone = await openRepository(backend, NAME, { spoolDir: await makeTempDir() });
    expect(await answers(alone)).to.deep.equal(before);
    await alone.close();
  });
});
