/** Segments: shared by who commits together, listed before a miss, merged when many; nothing leans on what was condemned. */
import { expect } from 'chai';
import type { Backend } from '../../../core/backend/backend.ts';
import { createMemoryBackend } from '../../../core/backend/memory.ts';
import { collect } from '../../../core/bytes.ts';
import type { DirectStores } from '../../../core/cas/direct-store.ts';
import { MERGE_SEGMENT_COUNT } from '../../../core/cas/merger.ts';
import { RECENT_LISTING_MS } from '../../../core/cas/segment-index.ts';
import { type Digest, digestOf } from '../../../core/digest.ts';
import { DatamonError } from '../../../core/errors.ts';
import {
  type ContainerId,
  condemnedLog,
  type Key,
  parseSegmentKey,
  segmentPrefix,
} from '../../../core/keys.ts';
import { openLog } from '../../../core/log.ts';
import { secureRandom } from '../../../core/random.ts';
import { blobOf, listed, makeCasWorld, POOL, REPO, readBlob } from '../../support/cas-world.ts';
import { codeOf } from '../../support/code-of.ts';
import { useFastPaths } from '../../support/fast-paths.ts';
import { createFaultyBackend, FaultPlan } from '../../support/faulty-backend.ts';
import { seededBytes } from '../../support/splitmix64.ts';

const segmentsOf = (backend: Backend) => listed(backend, segmentPrefix(REPO));

async function condemn(backend: Backend, ids: readonly ContainerId[]): Promise<void> {
  const parse = (event: unknown) => event as { condemned: readonly ContainerId[] };
  const log = openLog({ backend, prefix: condemnedLog(POOL.pool), random: secureRandom, parse });
  await log.update(() => ({ condemned: ids }));
}

/** Counts calls, and lets a test act between a put and what follows it. */
function watched(
  backend: Backend,
  afterPut: (key: Key, nth: number) => Promise<void> = async () => {},
) {
  const counts = { put: 0, list: 0, get: 0 };
  const watching: Backend = {
    ...backend,
    async putIfAbsent(key, body) {
      const outcome = await backend.putIfAbsent(key, body);
      counts.put += 1;
      await afterPut(key, counts.put);
      return outcome;
    },
    get(key, range) {
      counts.get += 1;
      return backend.get(key, range);
    },
    list(prefix, after) {
      counts.list += 1;
      return backend.list(prefix, after);
    },
  };
  return { backend: watching, counts };
}

/** Noise of this size is stored raw after a look, so that no thread of the compressor decides when a file is ready. */
const UNCOMPRESSED = 15_000;

async function putOne(stores: DirectStores, seed: number, size = 3000): Promise<Digest> {
  const bytes = seededBytes(seed, size);
  await stores.blobs.put(blobOf(bytes));
  return digestOf(bytes);
}

describe('group commit', () => {
  // Who joins a group is told by turns of the event loop here.
  useFastPaths();

  it('puts files that finish together into one segment, after a delay that the caller times', async () => {
    const runs: (() => void)[] = [];
    const schedule = (_delayMs: number, run: () => void) => void runs.push(run);
    const world = await makeCasWorld({ schedule });
    let done = 0;
    const puts = Array.from({ length: 8 }, (_, index) =>
      putOne(world.stores, index, UNCOMPRESSED).then(() => {
        done += 1;
      }),
    );
    while (runs.length === 0) await new Promise(setImmediate);
    for (let turn = 0; turn < 50; turn += 1) await new Promise(setImmediate);
    expect(done).equal(0);
    expect(await segmentsOf(world.backend)).length(0);
    for (const run of runs) run();
    await Promise.all(puts);
    expect(await segmentsOf(world.backend)).length(1);
  });

  it('tells nobody of success before the segment is there', async () => {
    const plan = new FaultPlan().fail('putIfAbsent', 1, new DatamonError('NO_SPACE', 'full'));
    const world = await makeCasWorld({
      backend: createFaultyBackend(createMemoryBackend(), plan),
    });
    expect(await codeOf(putOne(world.stores, 1))).equal('NO_SPACE');
    expect((await world.stores.blobs.has([digestOf(seededBytes(1, 3000))])).size).equal(0);
    await putOne(world.stores, 1);
  });

  it('fails all of a group with it, and the next group is a new one', async () => {
    const plan = new FaultPlan().fail('putIfAbsent', 1);
    const world = await makeCasWorld({
      backend: createFaultyBackend(createMemoryBackend(), plan),
    });
    const codes = await Promise.all([1, 2, 3].map((seed) => codeOf(putOne(world.stores, seed))));
    expect(codes).deep.equal(['UNAVAILABLE', 'UNAVAILABLE', 'UNAVAILABLE']);
    await putOne(world.stores, 4);
  });

  it('fails where a pack fails, whichever it is', async () => {
    for (const nth of [1, 2]) {
      const plan = new FaultPlan().fail('putIfAbsent', nth);
      const world = await makeCasWorld({
        backend: createFaultyBackend(createMemoryBackend(), plan),
      });
      expect(await codeOf(putOne(world.stores, 1, 5_000_000))).equal('UNAVAILABLE');
      expect(await segmentsOf(world.backend)).length(0);
    }
  });

  it('packs what is too much to be inlined together, and fails all of them with that pack', async () => {
    const runs: (() => void)[] = [];
    const schedule = (_delayMs: number, run: () => void) => void runs.push(run);
    const plan = new FaultPlan().fail('putIfAbsent', 1);
    const memory = createMemoryBackend();
    const world = await makeCasWorld({ backend: createFaultyBackend(memory, plan), schedule });
    const putAll = async (): Promise<string[]> => {
      const codes = Array.from({ length: 300 }, (_, seed) =>
        putOne(world.stores, seed, UNCOMPRESSED).catch((error: DatamonError) => error.code),
      );
      // All wait in the group before it is told to begin.
      while (runs.length === 0) await new Promise(setImmediate);
      for (let turn = 0; turn < 50; turn += 1) await new Promise(setImmediate);
      for (const run of runs.splice(0)) run();
      return Promise.all(codes);
    };
    expect(new Set(await putAll())).deep.equal(new Set(['UNAVAILABLE']));
    expect(await listed(memory, '')).length(0);
    const oids = (await putAll()) as Digest[];
    expect(await listed(memory, 'pools/')).length(1);
    expect(await segmentsOf(memory)).length(1);
    const other = await world.reopen();
    for (const [index, oid] of oids.entries()) {
      expect((await readBlob(other, oid)).equals(seededBytes(index, UNCOMPRESSED))).equal(true);
    }
  });

  it('fails where it could not look at what was condemned', async () => {
    const memory = createMemoryBackend();
    const world = await makeCasWorld({ backend: memory });
    const plan = new FaultPlan();
    const other = await world.reopen({ backend: createFaultyBackend(memory, plan) });
    plan.fail('list', 3);
    expect(await codeOf(putOne(other, 1))).equal('UNAVAILABLE');
    await putOne(other, 1);
  });
});

describe('condemned containers', () => {
  it('count as absent for writers: what they hold is stored again', async () => {
    const world = await makeCasWorld();
    const bytes = seededBytes(1, 5_000_000);
    await world.stores.blobs.put(blobOf(bytes));
    const [pack] = await listed(world.backend, 'pools/');
    const id = pack?.key.split('/').at(-1) as ContainerId;
    await condemn(world.backend, [id]);
    const other = await world.reopen();
    expect((await other.blobs.has([digestOf(bytes)])).size).equal(0);
    const receipt = await other.blobs.put(blobOf(bytes));
    expect(receipt.newBytes).equal(5_000_000);
    await world.backend.remove(pack?.key as Key);
    const third = await world.reopen();
    expect((await readBlob(third, digestOf(bytes))).equals(bytes)).equal(true);
  });

  it('condemned between writing and looking: the record is written anew with its own copy', async () => {
    const memory = createMemoryBackend();
    const world = await makeCasWorld({ backend: memory });
    const bytes = seededBytes(2, 5_000_000);
    await world.stores.blobs.put(blobOf(bytes));
    const [pack] = await listed(memory, 'pools/');
    const id = pack?.key.split('/').at(-1) as ContainerId;
    // The collector condemns the old pack right after the segment that leans on it was written.
    const { backend } = watched(memory, async (_key, nth) => {
      if (nth === 1) await condemn(memory, [id]);
    });
    const other = await world.reopen({ backend });
    const edited = Buffer.concat([bytes, Buffer.from('and more')]);
    const receipt = await other.blobs.put(blobOf(edited));
    expect(receipt.newBytes).below(600_000);
    await memory.remove(pack?.key as Key);
    const third = await world.reopen();
    expect((await readBlob(third, digestOf(edited))).equals(edited)).equal(true);
  });

  it('are not offered as chunks that need not be sent', async () => {
    const world = await makeCasWorld();
    const bytes = seededBytes(2, 5_000_000);
    await world.stores.blobs.put(blobOf(bytes));
    const { ingest } = world.stores;
    const recipe = await ingest.recipeOf(digestOf(bytes));
    const digests = recipe.chunks.map(({ digest }) => digest);
    expect(await ingest.knownChunks(digests, [recipe.oid])).not.include(false);
    const [pack] = await listed(world.backend, 'pools/');
    await condemn(world.backend, [pack?.key.split('/').at(-1) as ContainerId]);
    await putOne(world.stores, 3);
    expect(await ingest.knownChunks(digests, [recipe.oid])).not.include(true);
  });

  it('gives up, retryably, where everything it writes is condemned at once', async () => {
    const memory = createMemoryBackend();
    const { backend } = watched(memory, async (key) => {
      const name = parseSegmentKey(REPO, key);
      if (name !== null) await condemn(memory, [name.id]);
    });
    const world = await makeCasWorld({ backend });
    expect(await codeOf(putOne(world.stores, 3))).equal('UNAVAILABLE');
  });

  it('condemned between finding a file and confirming it: the file is stored again', async () => {
    const memory = createMemoryBackend();
    const world = await makeCasWorld({ backend: memory });
    const bytes = seededBytes(4, 5_000_000);
    await world.stores.blobs.put(blobOf(bytes));
    const [pack] = await listed(memory, 'pools/');
    const other = await world.reopen();
    const receipt = await other.blobs
      .put({
        ...blobOf(bytes),
        async *open() {
          await condemn(memory, [pack?.key.split('/').at(-1) as ContainerId]);
          yield bytes;
        },
      })
      .catch((error: unknown) => error);
    // A source that condemns whenever it is read: the second reading condemns once more what is condemned already.
    expect(receipt).property('newBytes', 5_000_000);
  });
});

describe('segment index', () => {
  it('lists before it says that something is absent, and not for what it knows', async () => {
    const memory = createMemoryBackend();
    const { backend, counts } = watched(memory);
    const world = await makeCasWorld({ backend });
    const other = await world.reopen({ backend: memory });
    const mine = await putOne(world.stores, 1);
    const theirs = await putOne(other, 2);
    counts.list = 0;
    // Who counts on what is stored looks at what was condemned: one list call, of another prefix.
    expect((await world.stores.blobs.has([mine])).size).equal(1);
    expect(counts.list).equal(1);
    expect((await world.stores.blobs.has([mine], { broken: 'listed' })).size).equal(1);
    expect(counts.list).equal(1);
    expect((await world.stores.blobs.has([theirs])).size).equal(1);
    expect(counts.list).equal(3);
  });

  describe('for who stores what is missing', () => {
    useFastPaths();

    it('lists once in a while, not for each file; what others stored meanwhile is stored twice', async () => {
      const memory = createMemoryBackend();
      const { backend, counts } = watched(memory);
      const clock = { ms: 0 };
      const world = await makeCasWorld({ backend, elapsedMs: () => clock.ms });
      const other = await world.reopen({ backend: memory });
      await putOne(world.stores, 1);
      counts.list = 0;
      for (let seed = 2; seed < 6; seed += 1) await putOne(world.stores, seed);
      // Each looks at what was condemned, and at nothing else.
      expect(counts.list).equal(4);
      const theirs = await putOne(other, 6);
      clock.ms = RECENT_LISTING_MS - 1;
      const twice = await world.stores.blobs.put(blobOf(seededBytes(6, 3000)));
      expect(twice.newBytes).equal(3000);
      await putOne(other, 7);
      clock.ms = RECENT_LISTING_MS;
      const reused = await world.stores.blobs.put(blobOf(seededBytes(7, 3000)));
      expect(reused.newBytes).equal(0);
      expect((await world.stores.blobs.has([theirs])).size).equal(1);
    });

    it('lists before it says to anybody that something is absent, however recent the last listing', async () => {
      const memory = createMemoryBackend();
      const world = await makeCasWorld({ backend: memory, elapsedMs: () => 0 });
      const other = await world.reopen({ backend: memory });
      await putOne(world.stores, 1);
      const theirs = await putOne(other, 2);
      expect((await world.stores.blobs.has([theirs])).size).equal(1);
    });
  });

  it('shares one listing among many that miss', async () => {
    const { backend, counts } = watched(createMemoryBackend());
    const world = await makeCasWorld({ backend });
    counts.list = 0;
    const questions = Array.from({ length: 20 }, (_, index) =>
      world.stores.blobs.has([digestOf(`absent ${index}`)]),
    );
    await Promise.all(questions);
    expect(counts.list).at.most(2);
  });

  it('reads each segment’s tables once, and nothing for a miss', async () => {
    const memory = createMemoryBackend();
    const world = await makeCasWorld({ backend: memory });
    for (let seed = 0; seed < 6; seed += 1) await putOne(world.stores, seed);
    const { backend, counts } = watched(memory);
    const other = await world.reopen({ backend });
    await other.blobs.has([digestOf('absent')]);
    const first = counts.get;
    expect(first).equal(6);
    for (let turn = 0; turn < 10; turn += 1) await other.blobs.has([digestOf(`absent ${turn}`)]);
    expect(counts.get).equal(first);
  });

  it('finds every record of a segment with thousands', async () => {
    const world = await makeCasWorld();
    const sources = Array.from({ length: 3000 }, (_, index) =>
      blobOf(Buffer.from(`file ${index}`)),
    );
    for await (const outcome of world.stores.blobs.putMany(sources)) {
      expect(outcome).property('receipt');
    }
    const other = await world.reopen();
    const has = await other.blobs.has(sources.map(({ oid }) => oid));
    expect(has.size).equal(3000);
    expect((await other.blobs.has([digestOf('file 3000')])).size).equal(0);
  }).timeout(20_000);

  it('hides nothing behind a damaged segment, and says so where something may be in it', async () => {
    const memory = createMemoryBackend();
    const world = await makeCasWorld({ backend: memory });
    const whole = await putOne(world.stores, 1);
    const [first] = await segmentsOf(memory);
    const lost = await putOne(world.stores, 2);
    const damaged = (await segmentsOf(memory)).find(({ key }) => key !== first?.key);
    const bytes = await collect(memory.get(damaged?.key as Key), 10 ** 6);
    await memory.remove(damaged?.key as Key);
    bytes[bytes.length - 20] = 255 - (bytes[bytes.length - 20] ?? 0);
    await memory.putIfAbsent(damaged?.key as Key, {
      sizeBytes: bytes.length,
      async *open() {
        yield bytes;
      },
    });
    const other = await world.reopen();
    expect((await other.blobs.has([whole, lost])).size).equal(1);
    expect(await codeOf(readBlob(other, lost))).equal('CORRUPT');
    // Sent again, it is whole again.
    await putOne(other, 2);
    expect((await readBlob(other, lost)).length).equal(3000);
  });
});

describe('merging', () => {
  it('makes one segment of sixteen, deletes none, and everything reads as before', async () => {
    const world = await makeCasWorld();
    const oids: Digest[] = [];
    for (let seed = 0; seed < MERGE_SEGMENT_COUNT; seed += 1) {
      oids.push(await putOne(world.stores, seed, 20_000 + seed * 9000));
    }
    await world.stores.close();
    const segments = await segmentsOf(world.backend);
    const tiers = segments.map(({ key }) => parseSegmentKey(REPO, key)?.tier);
    expect(tiers.filter((tier) => tier === 0)).length(MERGE_SEGMENT_COUNT);
    expect(tiers.filter((tier) => tier === 1)).length(1);
    expect(await listed(world.backend, 'pools/')).length(1);
    const other = await world.reopen();
    for (const [seed, oid] of oids.entries()) {
      expect((await readBlob(other, oid)).equals(seededBytes(seed, 20_000 + seed * 9000))).equal(
        true,
      );
    }
  });

  it('reads few tables afterwards, and everything without the merged segments', async () => {
    const memory = createMemoryBackend();
    const world = await makeCasWorld({ backend: memory });
    const oids: Digest[] = [];
    for (let seed = 0; seed < 20; seed += 1) oids.push(await putOne(world.stores, seed));
    await world.stores.close();
    const { backend, counts } = watched(memory);
    const other = await world.reopen({ backend });
    expect((await other.blobs.has([...oids, digestOf('absent')])).size).equal(20);
    expect(counts.get).equal(5);
    // A later collection may delete what is replaced; what is read must not lean on it.
    const third = await world.reopen();
    await third.blobs.has([digestOf('absent')]);
    const replaced = (await segmentsOf(memory)).filter(({ key }) => key.includes('/0-'));
    const kept = await notReplaced(world.backend);
    for (const { key } of replaced) if (!kept.has(key)) await memory.remove(key as Key);
    for (const oid of oids) expect(await readBlob(third, oid)).length(3000);
  });

  it('leaves runs of others into merged segments readable', async () => {
    const world = await makeCasWorld();
    const bytes = seededBytes(50, 400_000);
    await world.stores.blobs.put(blobOf(bytes));
    const edited = Buffer.concat([bytes, Buffer.from('more')]);
    const other = await world.reopen();
    await other.blobs.put(blobOf(edited));
    for (let seed = 0; seed < 15; seed += 1) await putOne(other, seed);
    await other.close();
    const third = await world.reopen();
    expect((await readBlob(third, digestOf(edited))).equals(edited)).equal(true);
    expect((await readBlob(third, digestOf(bytes))).equals(bytes)).equal(true);
  });

  it('done twice at once is harmless', async () => {
    const world = await makeCasWorld();
    const oids: Digest[] = [];
    for (let seed = 0; seed < 15; seed += 1) oids.push(await putOne(world.stores, seed));
    const others = await Promise.all([world.reopen(), world.reopen()]);
    for (const other of others) await other.blobs.has([digestOf('absent')]);
    oids.push(...(await Promise.all(others.map((other, index) => putOne(other, 100 + index)))));
    await Promise.all(others.map((other) => other.close()));
    const third = await world.reopen();
    expect((await third.blobs.has(oids)).size).equal(17);
    for (const oid of oids) expect(await readBlob(third, oid)).length(3000);
  });

  it('is left to whoever was faster', async () => {
    const world = await makeCasWorld();
    for (let seed = 0; seed < MERGE_SEGMENT_COUNT - 1; seed += 1) await putOne(world.stores, seed);
    const early = new Set((await segmentsOf(world.backend)).map(({ key }) => key));
    const first = await world.reopen();
    await putOne(first, 100);
    await first.close();
    // One who sees nothing of that before his own segment is there, as if both had begun at once.
    let isOwnStored = false;
    const second = await world.reopen({
      backend: {
        ...world.backend,
        async putIfAbsent(key, body) {
          const outcome = await world.backend.putIfAbsent(key, body);
          isOwnStored = true;
          return outcome;
        },
        async *list(prefix, after) {
          for await (const found of world.backend.list(prefix, after)) {
            const isSegment = parseSegmentKey(REPO, found.key) !== null;
            if (isOwnStored || !isSegment || early.has(found.key)) yield found;
          }
        },
      },
    });
    await putOne(second, 101);
    await second.close();
    const tiers = (await segmentsOf(world.backend)).map(
      ({ key }) => parseSegmentKey(REPO, key)?.tier,
    );
    expect(tiers.filter((tier) => tier === 1)).length(1);
    expect(tiers).length(MERGE_SEGMENT_COUNT + 2);
  });

  it('that fails changes nothing and fails nobody', async () => {
    const plan = new FaultPlan();
    const memory = createMemoryBackend();
    const world = await makeCasWorld({ backend: createFaultyBackend(memory, plan) });
    const oids: Digest[] = [];
    // Put 17 is the merge's pack.
    plan.fail('putIfAbsent', MERGE_SEGMENT_COUNT + 1);
    for (let seed = 0; seed < MERGE_SEGMENT_COUNT; seed += 1) {
      oids.push(await putOne(world.stores, seed));
    }
    await world.stores.close();
    expect(await segmentsOf(memory)).length(MERGE_SEGMENT_COUNT);
    oids.push(await putOne(world.stores, 99));
    await world.stores.close();
    const other = await world.reopen();
    expect((await other.blobs.has(oids)).size).equal(17);
    expect((await segmentsOf(memory)).some(({ key }) => key.includes('/1-'))).equal(true);
  });

  it('goes back to the segments that one replaced where that one goes away', async () => {
    const memory = createMemoryBackend();
    const world = await makeCasWorld({ backend: memory });
    const oids: Digest[] = [];
    for (let seed = 0; seed < MERGE_SEGMENT_COUNT; seed += 1) {
      oids.push(await putOne(world.stores, seed));
    }
    await world.stores.close();
    const other = await world.reopen();
    expect((await other.blobs.has(oids)).size).equal(MERGE_SEGMENT_COUNT);
    const merged = (await segmentsOf(memory)).filter(({ key }) => key.includes('/1-'));
    expect(merged).length(1);
    for (const { key } of merged) await memory.remove(key as Key);
    // A miss lists, and finds it gone.
    await other.blobs.has([digestOf('absent')]);
    expect((await other.blobs.has(oids)).size).equal(MERGE_SEGMENT_COUNT);
  });
});

/** Keys of segments that no other one replaces. */
async function notReplaced(backend: Backend): Promise<Set<string>> {
  const { createContainers } = await import('../../../core/cas/containers.ts');
  const { SegmentIndex } = await import('../../../core/cas/segment-index.ts');
  const base = { backend, repo: REPO, pool: POOL.pool };
  const containers = createContainers(base);
  const index = new SegmentIndex({ ...base, containers });
  await index.refresh();
  return new Set(index.segments().map(({ ref }) => containers.keyOf(ref)));
}
