/** Readers, writers and merging beside a collection: what is condemned is read and not counted on, what replaces hides nothing for good. */
import { expect } from 'chai';
import type { Backend } from '../../../core/backend/backend.ts';
import { createMemoryBackend } from '../../../core/backend/memory.ts';
import { condemn } from '../../../core/cas/condemned.ts';
import { MERGE_SEGMENT_COUNT } from '../../../core/cas/merger.ts';
import { type Digest, digestOf } from '../../../core/digest.ts';
import {
  type ContainerId,
  type Key,
  packPrefix,
  parseSegmentKey,
  segmentPrefix,
} from '../../../core/keys.ts';
import { secureRandom } from '../../../core/random.ts';
import { blobOf, listed, makeCasWorld, POOL, REPO, readBlob } from '../../support/cas-world.ts';
import { seededBytes } from '../../support/splitmix64.ts';

const idOf = (key: string): ContainerId => key.split(/[/-]/).at(-1) as ContainerId;

const condemnAll = (backend: Backend, ids: readonly ContainerId[]): Promise<void> =>
  condemn(backend, POOL.pool, secureRandom, { ids, by: 'ops', plan: null });

/** Calls `onSegment` right after each segment was stored. */
const watching = (inner: Backend, onSegment: (key: Key) => Promise<void>): Backend => ({
  ...inner,
  putIfAbsent: async (key, body) => {
    const answer = await inner.putIfAbsent(key, body);
    if (parseSegmentKey(REPO, key) !== null) await onSegment(key);
    return answer;
  },
});

describe('beside a collection', () => {
  it('a segment condemned before its writer looked counts for nothing: what it says is published again', async () => {
    const memory = createMemoryBackend();
    let doomed: ContainerId | null = null;
    const world = await makeCasWorld({
      backend: watching(memory, async (key) => {
        if (doomed !== null) return;
        doomed = idOf(key);
        await condemnAll(memory, [doomed]);
      }),
    });
    // Its bytes lie in a pack; only the record is in the segment.
    const bytes = seededBytes(1, 5_000_000);
    await world.stores.blobs.put(blobOf(bytes));
    const segments = await listed(memory, segmentPrefix(REPO));
    expect(segments.map(({ key }) => idOf(key))).contain(doomed);
    expect(segments).length(2);
    await memory.remove(segments.find(({ key }) => idOf(key) === doomed)?.key as Key);
    expect((await readBlob(await world.reopen(), digestOf(bytes))).equals(bytes)).equal(true);
  });

  it('what is condemned is listed for readers until it is deleted, and absent for writers at once', async () => {
    const world = await makeCasWorld();
    const bytes = seededBytes(2, 5_000_000);
    const oid = digestOf(bytes);
    await world.stores.blobs.put(blobOf(bytes));
    const packs = await listed(world.backend, packPrefix(POOL.pool));
    await condemnAll(
      world.backend,
      packs.map(({ key }) => idOf(key)),
    );
    const { blobs } = await world.reopen();
    expect((await blobs.has([oid])).size).equal(0);
    expect((await blobs.has([oid], { broken: 'listed' })).size).equal(1);
    expect((await readBlob(await world.reopen(), oid)).equals(bytes)).equal(true);
    for (const { key } of packs) await world.backend.remove(key as Key);
    expect((await blobs.has([oid], { broken: 'listed' })).size).equal(0);
  });

  async function merged(onMerge: (memory: Backend, pack: ContainerId) => Promise<void>) {
    const memory = createMemoryBackend();
    const world = await makeCasWorld({
      backend: watching(memory, async (key) => {
        if (parseSegmentKey(REPO, key)?.tier !== 1) return;
        const [pack] = await listed(memory, packPrefix(POOL.pool));
        await onMerge(memory, idOf(pack?.key ?? ''));
      }),
    });
    const oids: Digest[] = [];
    for (let seed = 0; seed < MERGE_SEGMENT_COUNT; seed += 1) {
      const bytes = seededBytes(100 + seed, 3000);
      oids.push(digestOf(bytes));
      await world.stores.blobs.put(blobOf(bytes));
    }
    await world.stores.close();
    return { memory, world, oids };
  }

  it('merging looks: what it moved into a pack that was condemned meanwhile gets a copy', async () => {
    const { memory, world, oids } = await merged((backend, pack) => condemnAll(backend, [pack]));
    const { blobs } = await world.reopen();
    expect((await blobs.has(oids)).size).equal(oids.length);
    for (const { key } of await listed(memory, packPrefix(POOL.pool)))
      await memory.remove(key as Key);
    for (const oid of oids) expect((await readBlob(await world.reopen(), oid)).length).equal(3000);
  });

  it('a merged segment whose pack is gone hides those it replaces from no reader', async () => {
    const { memory, world, oids } = await merged(async () => {});
    for (const { key } of await listed(memory, packPrefix(POOL.pool)))
      await memory.remove(key as Key);
    for (const oid of oids) expect((await readBlob(await world.reopen(), oid)).length).equal(3000);
  });
});
