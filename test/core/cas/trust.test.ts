/** What a writer may lean on: nothing condemned, nothing claimed, nothing that only looks like his own. */

import { expect } from 'chai';
import { type Backend, bytesBody } from '../../../core/backend/backend.ts';
import { createMemoryBackend } from '../../../core/backend/memory.ts';
import { collect } from '../../../core/bytes.ts';
import type { PutOutcome } from '../../../core/cas/blob-store.ts';
import { Condemned } from '../../../core/cas/condemned.ts';
import { encodeSections, TABLES_SIZE_MAX_BYTES } from '../../../core/cas/container-format.ts';
import { type ContainerRef, createContainers } from '../../../core/cas/containers.ts';
import type { DirectStores } from '../../../core/cas/direct-store.ts';
import { encodeFrame } from '../../../core/cas/frame.ts';
import { RunBuilder, waitingHandle } from '../../../core/cas/frame-handle.ts';
import { KnownChunks } from '../../../core/cas/known-chunks.ts';
import { MERGE_SEGMENT_COUNT, Merger } from '../../../core/cas/merger.ts';
import { SegmentIndex } from '../../../core/cas/segment-index.ts';
import { publishSegment } from '../../../core/cas/segment-publisher.ts';
import type { RecordState } from '../../../core/cas/segment-tables.ts';
import { type Digest, digestOf } from '../../../core/digest.ts';
import {
  type ContainerId,
  condemnedLog,
  type Key,
  parseSegmentKey,
  segmentPrefix,
} from '../../../core/keys.ts';
import { openLog } from '../../../core/log.ts';
import { secureRandom } from '../../../core/random.ts';
import { frameOf, seededRandom, withBitFlipped } from '../../support/cas-containers.ts';
import {
  blobOf,
  type CasWorld,
  listed,
  makeCasWorld,
  POOL,
  REPO,
  readBlob,
} from '../../support/cas-world.ts';
import { codeOf } from '../../support/code-of.ts';
import { seededBytes } from '../../support/splitmix64.ts';

const GC = condemnedLog(POOL.pool);
const segmentsOf = (backend: Backend) => listed(backend, segmentPrefix(REPO));
const idOf = (key: string | undefined) => key?.split(/[/-]/).at(-1) as ContainerId;

async function condemn(backend: Backend, ids: readonly ContainerId[]): Promise<void> {
  const parse = (event: unknown) => event as { condemned: readonly ContainerId[] };
  const log = openLog({ backend, prefix: GC, random: secureRandom, parse });
  await log.update(() => ({ condemned: ids }));
}

/** Once armed, a collector condemns these right before the next look. */
function beforeNextLook(backend: Backend) {
  let doomed: readonly ContainerId[] = [];
  const condemning: Backend = {
    ...backend,
    async *list(prefix, after) {
      const ids = doomed;
      if (prefix === GC && ids.length > 0) {
        doomed = [];
        await condemn(backend, ids);
      }
      yield* backend.list(prefix, after);
    },
  };
  const arm = (ids: readonly ContainerId[]): void => {
    doomed = ids;
  };
  return { backend: condemning, arm };
}

async function outcomes(results: AsyncIterable<PutOutcome>): Promise<PutOutcome[]> {
  const all: PutOutcome[] = [];
  for await (const result of results) all.push(result);
  return all;
}

/** Sets aside what stands below a prefix, as a collector would after its grace. */
async function removeAll(backend: Backend, keys: readonly { key: string }[]): Promise<void> {
  for (const { key } of keys) await backend.remove(key as Key);
}

/** Publishes one small blob's record in a segment of its own. */
async function publishOne(
  { backend, spoolDir }: CasWorld,
  bytes: Buffer,
  state: RecordState,
  oid = digestOf(bytes),
): Promise<void> {
  const containers = createContainers({ backend, repo: REPO, pool: POOL.pool });
  const index = new SegmentIndex({ backend, repo: REPO, containers });
  const handle = waitingHandle(await encodeFrame(frameOf(bytes)));
  const runs = new RunBuilder();
  runs.add(handle);
  const draft = { oid, sizeBytes: bytes.length, kind: 'blob' as const, runs };
  const base = { backend, containers, index, spoolDir, random: secureRandom };
  const content = { tier: 0, records: [{ ...draft, state }], waiting: [handle], replaces: [] };
  await publishSegment(base, content);
}

async function putOne(stores: DirectStores, seed: number): Promise<Digest> {
  const bytes = seededBytes(seed, 3000);
  await stores.blobs.put(blobOf(bytes));
  return digestOf(bytes);
}

describe('what was condemned while it was being counted on', () => {
  it('is stored again: a file of putMany', async () => {
    const memory = createMemoryBackend();
    const world = await makeCasWorld({ backend: memory });
    const bytes = seededBytes(1, 5_000_000);
    await world.stores.blobs.put(blobOf(bytes));
    const old = await listed(memory, 'pools/');
    for (const others of [[], [blobOf(seededBytes(2, 3000))]]) {
      const { backend, arm } = beforeNextLook(memory);
      const stores = await world.reopen({ backend });
      const source = {
        ...blobOf(bytes),
        async *open() {
          // Reading begins after the file was found.
          arm((await listed(memory, 'pools/acme/packs/')).map(({ key }) => idOf(key)));
          yield bytes;
        },
      };
      const results = await outcomes(stores.blobs.putMany([source, ...others]));
      expect(results).length(1 + others.length);
      for (const result of results) expect(result).property('receipt');
      const newBytes = results.map((result) => ('receipt' in result ? result.receipt.newBytes : 0));
      expect(Math.max(...newBytes)).equal(5_000_000);
    }
    await removeAll(memory, old);
    expect((await readBlob(await world.reopen(), digestOf(bytes))).equals(bytes)).equal(true);
  });

  it('is stored again: a page', async () => {
    const memory = createMemoryBackend();
    const world = await makeCasWorld({ backend: memory });
    const page = seededBytes(3, 2000);
    await world.stores.pages.putPages([page]);
    const old = await segmentsOf(memory);
    const { backend, arm } = beforeNextLook(memory);
    const stores = await world.reopen({ backend });
    arm(old.map(({ key }) => idOf(key)));
    await stores.pages.putPages([page]);
    await removeAll(memory, old);
    expect(await (await world.reopen()).pages.getPage(digestOf(page))).deep.equal(page);
  });

  it('is stored again: a record that stands in a condemned segment and leans on a pack that is none', async () => {
    const memory = createMemoryBackend();
    const world = await makeCasWorld({ backend: memory });
    const bytes = seededBytes(4, 5_000_000);
    await world.stores.blobs.put(blobOf(bytes));
    const old = await segmentsOf(memory);
    await condemn(
      memory,
      old.map(({ key }) => idOf(key)),
    );
    const other = await world.reopen();
    expect((await other.blobs.has([digestOf(bytes)])).size).equal(0);
    expect((await other.blobs.put(blobOf(bytes))).newBytes).equal(0);
    await removeAll(memory, old);
    expect((await readBlob(await world.reopen(), digestOf(bytes))).equals(bytes)).equal(true);
  });
});

describe('what does not read any more', () => {
  const bytes = seededBytes(6, 5_000_000);
  const oid = digestOf(bytes);

  it('is absent for writers where its pack is gone or cut short: sent again, it is whole again', async () => {
    for (const cut of [true, false]) {
      const world = await makeCasWorld();
      await world.stores.blobs.put(blobOf(bytes));
      const [pack] = await listed(world.backend, 'pools/');
      const key = pack?.key as Key;
      const half = await collect(world.backend.get(key, { start: 0, end: 2_000_000 }), 2_000_000);
      await world.backend.remove(key);
      if (cut) await world.backend.putIfAbsent(key, bytesBody(half));
      const other = await world.reopen();
      expect((await other.blobs.has([oid])).size).equal(0);
      expect((await other.blobs.put(blobOf(bytes))).newBytes).equal(5_000_000);
      expect((await readBlob(await world.reopen(), oid)).equals(bytes)).equal(true);
    }
  });

  it('is absent once a reader here found it damaged, for whole files and for chunks', async () => {
    const world = await makeCasWorld();
    await world.stores.blobs.put(blobOf(bytes));
    const [pack] = await listed(world.backend, 'pools/');
    const key = pack?.key as Key;
    const stored = await collect(world.backend.get(key), 10 ** 7);
    await world.backend.remove(key);
    await world.backend.putIfAbsent(key, bytesBody(withBitFlipped(stored, 20_000_000)));
    expect((await world.stores.blobs.has([oid])).size).equal(1);
    expect(await codeOf(readBlob(world.stores, oid))).equal('CORRUPT');
    expect((await world.stores.blobs.has([oid])).size).equal(0);
    expect((await world.stores.blobs.put(blobOf(bytes))).newBytes).equal(5_000_000);
    expect((await readBlob(await world.reopen(), oid)).equals(bytes)).equal(true);
  });
});

describe('a record that lies', () => {
  it('never ends a read cleanly: the bytes it leads to are not those of the oid', async () => {
    const world = await makeCasWorld();
    const oid = digestOf('something else');
    await publishOne(world, seededBytes(7, 3000), 'verified', oid);
    expect(await codeOf(readBlob(await world.reopen(), oid))).equal('CORRUPT');
  });
});

describe('what was only claimed', () => {
  it('is absent for writers and readers, and merging does not vouch for it', async () => {
    const world = await makeCasWorld();
    const bytes = seededBytes(5, 3000);
    await publishOne(world, bytes, 'claimed');
    const stores = await world.reopen();
    expect((await stores.blobs.has([digestOf(bytes)])).size).equal(0);
    for (let seed = 10; seed < 10 + MERGE_SEGMENT_COUNT - 1; seed += 1) await putOne(stores, seed);
    await stores.close();
    const tiers = (await segmentsOf(world.backend)).map(({ key }) => parseSegmentKey(REPO, key));
    expect(tiers.filter((name) => name?.tier === 1)).length(1);
    const other = await world.reopen();
    expect((await other.blobs.has([digestOf(bytes)])).size).equal(0);
    expect(await codeOf(readBlob(other, digestOf(bytes)))).equal('NOT_FOUND');
    expect((await other.blobs.has([digestOf(seededBytes(10, 3000))])).size).equal(1);
  });
});

describe('a container id that is taken', () => {
  for (const [what, sizeBytes] of [
    ['segment', 3000],
    ['pack', 5_000_000],
  ] as const) {
    it(`by another ${what} is no success: nothing is told to be stored`, async () => {
      const memory = createMemoryBackend();
      const first = await makeCasWorld({ backend: memory, random: seededRandom(7) });
      await first.stores.blobs.put(blobOf(seededBytes(1, sizeBytes)));
      const second = await first.reopen({ random: seededRandom(7) });
      const wanted = seededBytes(2, sizeBytes);
      expect(await codeOf(second.blobs.put(blobOf(wanted)))).equal('CONFLICT');
      expect((await (await first.reopen()).blobs.has([digestOf(wanted)])).size).equal(0);
    });
  }
});

describe('bounds', () => {
  it('no container is written with tables that no reader would take (TOO_LARGE)', async () => {
    const bytes = Buffer.alloc(TABLES_SIZE_MAX_BYTES);
    expect(await codeOf(() => encodeSections([{ type: 2, bytes }]))).equal('TOO_LARGE');
  });

  it('segments with large tables are not merged', async () => {
    const world = await makeCasWorld();
    const { backend, spoolDir } = world;
    for (let seed = 0; seed < MERGE_SEGMENT_COUNT; seed += 1) {
      await publishOne(world, seededBytes(seed, 300), 'verified');
    }
    const containers = createContainers({ backend, repo: REPO, pool: POOL.pool });
    const index = new SegmentIndex({ backend, repo: REPO, containers });
    await index.refresh();
    const condemned = new Condemned(backend, POOL.pool, secureRandom);
    const base = { backend, spoolDir, containers, index, condemned, random: secureRandom };
    for (const [tablesSizeMaxBytes, count] of [
      [100, MERGE_SEGMENT_COUNT],
      [100_000, 1],
    ] as const) {
      const merger = new Merger({ ...base, tablesSizeMaxBytes });
      merger.start();
      await merger.settled();
      expect(index.segments()).length(count);
    }
  });

  it('sampled digests are remembered up to a number, the newest', async () => {
    const digests = [1, 2, 3].map((n) => `00${String(n).repeat(62)}` as Digest);
    const refs = digests.map(
      (digest) =>
        ({ kind: 'pack', id: digest.slice(-32), samples: Buffer.from(digest, 'hex') }) as unknown,
    ) as ContainerRef[];
    const loaded: string[] = [];
    const known = new KnownChunks({
      containers: {
        tables: async ({ id }: ContainerRef) => {
          loaded.push(id.slice(0, 1));
          return { frames: { count: 0 } };
        },
      } as unknown as ReturnType<typeof createContainers>,
      index: {
        segments: () => refs.map((ref) => ({ ref, containers: [] })),
      } as unknown as SegmentIndex,
      holdings: { mayLeanOn: () => true },
      sampleCountMax: 2,
    });
    for (const digest of digests) await known.follow(digest);
    expect(loaded).deep.equal(['2', '3']);
  });
});
