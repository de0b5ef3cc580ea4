/** Copying out: what reads is published anew and leans on nothing that goes; what does not read is left and named; recipes go along. */
import { expect } from 'chai';
import { bytesBody } from '../../../core/backend/backend.ts';
import { createMemoryBackend } from '../../../core/backend/memory.ts';
import { collect } from '../../../core/bytes.ts';
import { condemn } from '../../../core/cas/condemned.ts';
import { readTables } from '../../../core/cas/container-reader.ts';
import { openDirectParts, storesOf } from '../../../core/cas/direct-store.ts';
import { evacuate } from '../../../core/cas/evacuate.ts';
import { digestOf } from '../../../core/digest.ts';
import { kindOfKey } from '../../../core/key-kind.ts';
import type { ContainerId, Key } from '../../../core/keys.ts';
import { secureRandom } from '../../../core/random.ts';
import { withBitFlipped } from '../../support/cas-containers.ts';
import { blobOf, listed, makeCasWorld, POOL, REPO, readBlob } from '../../support/cas-world.ts';
import { seededBytes } from '../../support/splitmix64.ts';

const BIG = seededBytes(1, 6 * 1024 * 1024);
const BESIDE = seededBytes(2, 300_000);

async function worldWithPack() {
  const backend = createMemoryBackend();
  const world = await makeCasWorld({ backend });
  for await (const _ of world.stores.blobs.putMany([blobOf(BIG), blobOf(BESIDE)]));
  const [pack] = await listed(backend, 'pools/');
  const kind = kindOfKey(pack?.key ?? '');
  const id = (kind.kind === 'pack' ? kind.id : '') as ContainerId;
  const options = {
    backend,
    repo: REPO,
    pool: POOL,
    spoolDir: world.spoolDir,
    childrenOf: () => [],
  };
  const run = async () => {
    const parts = await openDirectParts(options);
    await parts.index.refresh();
    const records = async function* () {
      for (const segment of parts.index.segments()) yield* parts.index.records(segment);
    };
    const done = await evacuate(parts, records(), (each) => each === id);
    await storesOf(parts, options).close();
    return done;
  };
  return { backend, world, key: pack?.key as Key, id, run };
}

describe('core/cas/evacuate', () => {
  it('moves all that reads; the container can be condemned and removed', async () => {
    const { backend, world, key, id, run } = await worldWithPack();
    const { recordCount, left } = await run();
    expect({ recordCount, left }).to.deep.equal({ recordCount: 2, left: [] });
    await condemn(backend, POOL.pool, secureRandom, { ids: [id], by: 'test', plan: null });
    await backend.remove(key);
    const fresh = await world.reopen();
    for (const bytes of [BIG, BESIDE]) {
      expect((await fresh.blobs.has([digestOf(bytes)])).size).to.equal(1);
      expect((await readBlob(fresh, digestOf(bytes))).equals(bytes)).to.equal(true);
    }
  });

  it('writes the recipes anew', async () => {
    const { backend, key, run } = await worldWithPack();
    await run();
    const packs = (await listed(backend, 'pools/acme/packs/')).filter((each) => each.key !== key);
    const kinds = new Set<string>();
    for (const pack of packs) {
      const kind = kindOfKey(pack.key);
      if (kind.kind !== 'pack') continue;
      const { frames } = await readTables(backend, pack.key as Key, kind, pack.sizeBytes);
      for (let index = 0; index < frames.count; index += 1) kinds.add(frames.frame(index).kind);
    }
    expect([...kinds]).to.have.members(['chunk', 'recipe']);
  });

  it('leaves and names the one that does not read', async () => {
    const { backend, world, key, run } = await worldWithPack();
    const bytes = await collect(backend.get(key), Number.MAX_SAFE_INTEGER);
    await backend.remove(key);
    await backend.putIfAbsent(key, bytesBody(withBitFlipped(bytes, 8 * 3_000_000)));
    const { recordCount, left } = await run();
    expect(recordCount).to.equal(1);
    expect(left.map(({ oid }) => oid)).to.deep.equal([digestOf(BIG)]);
    await backend.remove(key);
    expect((await readBlob(await world.reopen(), digestOf(BESIDE))).equals(BESIDE)).to.equal(true);
  });
});
