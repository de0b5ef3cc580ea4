/** Small segments that were read whole: what lies in them is asked for once, and wrong bytes of that one time do no harm. */
import { expect } from 'chai';
import { createMeteredBackend } from '../../../core/backend/metered.ts';
import { blobOf, type CasWorld, makeCasWorld, readBlob } from '../../support/cas-world.ts';
import { useFastPaths } from '../../support/fast-paths.ts';
import { createFaultyBackend, FaultPlan } from '../../support/faulty-backend.ts';
import { seededBytes } from '../../support/splitmix64.ts';

const FILES = [1, 2, 3].map((seed) => seededBytes(seed, 5000));
/** Behind the headers of container and frame. */
const PAYLOAD_BIT = (64 + 64 + 10) * 8;

async function stored(files: readonly Buffer[]): Promise<CasWorld> {
  const world = await makeCasWorld();
  for await (const outcome of world.stores.blobs.putMany(files.map((file) => blobOf(file)))) {
    expect(outcome).not.property('error');
  }
  return world;
}

describe('kept segments', () => {
  useFastPaths();

  it('are asked for once, with the files that lie in them', async () => {
    const world = await stored(FILES);
    const metered = createMeteredBackend(world.backend);
    const stores = await world.reopen({ backend: metered.backend });
    for (const file of FILES) {
      expect((await readBlob(stores, blobOf(file).oid)).equals(file)).equal(true);
    }
    expect(metered.counts()).property('getCount', 1);
  });

  it('are asked for again where what was kept is wrong', async () => {
    const world = await stored(FILES);
    const backend = createFaultyBackend(world.backend, new FaultPlan().flipBit(1, PAYLOAD_BIT));
    const stores = await world.reopen({ backend });
    for (const file of FILES) {
      expect((await readBlob(stores, blobOf(file).oid)).equals(file)).equal(true);
    }
  });

  it('are not kept where they are large', async () => {
    const files = Array.from({ length: 30 }, (_, seed) => seededBytes(seed, 5000));
    const world = await stored(files);
    const metered = createMeteredBackend(world.backend);
    const stores = await world.reopen({ backend: metered.backend });
    for (const file of files) await readBlob(stores, blobOf(file).oid);
    expect(metered.counts()).property('getCount', 1 + files.length);
  });
});
