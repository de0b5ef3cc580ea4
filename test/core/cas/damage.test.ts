/** Wrong bytes are never served: every flipped bit of a store is either noticed or changes nothing, and another record heals what it can. */
import { expect } from 'chai';
import type { Backend, ByteRange } from '../../../core/backend/backend.ts';
import { bytesBody } from '../../../core/backend/backend.ts';
import { createMemoryBackend } from '../../../core/backend/memory.ts';
import { collect } from '../../../core/bytes.ts';
import { digestOf } from '../../../core/digest.ts';
import { DatamonError } from '../../../core/errors.ts';
import type { Key } from '../../../core/keys.ts';
import { withBitFlipped } from '../../support/cas-containers.ts';
import { blobOf, listed, makeCasWorld, readBlob, TINY_POOL } from '../../support/cas-world.ts';
import { codeOf, errorOf } from '../../support/code-of.ts';
import { createFaultyBackend, FaultPlan } from '../../support/faulty-backend.ts';
import { seededBytes } from '../../support/splitmix64.ts';

/** The backend with one object's bytes replaced. */
function withObject(backend: Backend, key: Key, bytes: Uint8Array): Backend {
  const changed = createMemoryBackend();
  const stored = changed.putIfAbsent(key, bytesBody(bytes));
  return {
    ...backend,
    async *get(wanted, range) {
      await stored;
      yield* (wanted === key ? changed : backend).get(wanted, range);
    },
    async *list(prefix, after) {
      for await (const object of backend.list(prefix, after)) {
        yield object.key === key ? { ...object, sizeBytes: bytes.length } : object;
      }
    },
  };
}

async function objectOf(backend: Backend, prefix: string): Promise<{ key: Key; bytes: Buffer }> {
  const [object] = await listed(backend, prefix);
  const key = object?.key as Key;
  return { key, bytes: await collect(backend.get(key), 10 ** 9) };
}

describe('damaged stores', () => {
  it('serves the right bytes or an error for a flipped bit in every byte of a segment', async function () {
    this.timeout(60_000);
    const world = await makeCasWorld({ pool: TINY_POOL });
    const bytes = seededBytes(1, 400);
    await world.stores.blobs.put(blobOf(bytes));
    const { key, bytes: segment } = await objectOf(world.backend, 'repos/');
    let noticed = 0;
    for (let byte = 0; byte < segment.length; byte += 1) {
      const bit = byte * 8 + (byte % 8);
      const backend = withObject(world.backend, key, withBitFlipped(segment, bit));
      const stores = await world.reopen({ backend });
      const read = await readBlob(stores, digestOf(bytes)).catch((error: unknown) => error);
      if (read instanceof DatamonError) {
        expect(read.code, `bit ${bit}`).oneOf(['CORRUPT', 'UNSUPPORTED']);
        noticed += 1;
      } else expect((read as Buffer).equals(bytes), `bit ${bit}`).equal(true);
    }
    // Frames outside the read run (the recipe), the header and the digest of the whole are for scrub.
    expect(noticed).above(segment.length * 0.7);
  });

  it('serves the right bytes or an error for flipped bits of a pack, whole and by range', async function () {
    this.timeout(60_000);
    const world = await makeCasWorld();
    const bytes = seededBytes(2, 4_300_000);
    await world.stores.blobs.put(blobOf(bytes));
    const { key, bytes: pack } = await objectOf(world.backend, 'pools/');
    for (let bit = 3; bit < pack.length * 8; bit += 1_000_003) {
      const backend = withObject(world.backend, key, withBitFlipped(pack, bit));
      const stores = await world.reopen({ backend });
      const whole = await readBlob(stores, digestOf(bytes)).catch((error: unknown) => error);
      const range = { start: 1_000_000, end: 1_500_000 };
      const part = await readBlob(stores, digestOf(bytes), range).catch((error: unknown) => error);
      if (whole instanceof DatamonError) expect(whole.code).equal('CORRUPT');
      else expect((whole as Buffer).equals(bytes), `bit ${bit}`).equal(true);
      if (part instanceof DatamonError) expect(part.code).equal('CORRUPT');
      else expect((part as Buffer).equals(bytes.subarray(1_000_000, 1_500_000))).equal(true);
    }
  });

  it('fails for a pack cut off at any place, be it behind what is read or before', async () => {
    const world = await makeCasWorld();
    const bytes = seededBytes(3, 4_300_000);
    await world.stores.blobs.put(blobOf(bytes));
    const { key, bytes: pack } = await objectOf(world.backend, 'pools/');
    for (const length of [0, 1, 64, 100, 2_000_000, 4_299_000]) {
      const backend = withObject(world.backend, key, pack.subarray(0, length));
      const stores = await world.reopen({ backend });
      expect(await codeOf(readBlob(stores, digestOf(bytes))), `${length}`).equal('CORRUPT');
    }
  });

  it('fails for a pack of zeros and for another pack in its place', async () => {
    const world = await makeCasWorld();
    const one = seededBytes(4, 4_300_000);
    await world.stores.blobs.put(blobOf(one));
    const { key, bytes: pack } = await objectOf(world.backend, 'pools/');
    const other = await makeCasWorld();
    await other.stores.blobs.put(blobOf(one));
    const twin = await objectOf(other.backend, 'pools/');
    for (const wrong of [Buffer.alloc(pack.length), twin.bytes]) {
      const stores = await world.reopen({ backend: withObject(world.backend, key, wrong) });
      expect(await codeOf(readBlob(stores, digestOf(one)))).equal('CORRUPT');
      const range = { start: 10, end: 20 };
      expect(await codeOf(readBlob(stores, digestOf(one), range))).equal('CORRUPT');
    }
  });

  it('names file and container where a pack is missing', async () => {
    const world = await makeCasWorld();
    const bytes = seededBytes(5, 4_300_000);
    await world.stores.blobs.put(blobOf(bytes));
    const { key } = await objectOf(world.backend, 'pools/');
    await world.backend.remove(key);
    const error = await errorOf(readBlob(world.stores, digestOf(bytes)));
    expect(error.code).equal('CORRUPT');
    expect(error.message).contain(digestOf(bytes)).and.contain(key);
    expect(error.hint).contain('Push the file again');
  });

  it('goes on with another record where one is damaged, from the byte it had reached', async () => {
    const world = await makeCasWorld();
    const bytes = seededBytes(6, 4_300_000);
    const early = await world.reopen();
    await early.blobs.has([digestOf('absent')]);
    await world.stores.blobs.put(blobOf(bytes));
    const { key, bytes: pack } = await objectOf(world.backend, 'pools/');
    // A second record of the same file, in a pack of its own: as two clones pushing at once make it.
    const [segment] = await listed(world.backend, 'repos/');
    const hiding = {
      ...world.backend,
      async *list(prefix: string, after?: string) {
        for await (const object of world.backend.list(prefix, after)) {
          if (object.key !== segment?.key) yield object;
        }
      },
    };
    const blind = await world.reopen({ backend: hiding });
    expect((await blind.blobs.put(blobOf(bytes))).newBytes).equal(4_300_000);
    const damaged = withBitFlipped(pack, (pack.length >> 1) * 8);
    const stores = await world.reopen({ backend: withObject(world.backend, key, damaged) });
    expect((await readBlob(stores, digestOf(bytes))).equals(bytes)).equal(true);
    await world.backend.remove(key);
    const without = await world.reopen();
    expect((await readBlob(without, digestOf(bytes))).equals(bytes)).equal(true);
  });

  it('lists again where a pack is gone, and finds where its bytes went', async () => {
    const world = await makeCasWorld();
    const bytes = seededBytes(7, 4_300_000);
    await world.stores.blobs.put(blobOf(bytes));
    const reader = await world.reopen();
    await reader.blobs.has([digestOf(bytes)]);
    // Compaction: the same blob under a new record, then the old pack goes.
    const before = await objectOf(world.backend, 'pools/');
    const [segment] = await listed(world.backend, 'repos/');
    const hiding = {
      ...world.backend,
      async *list(prefix: string, after?: string) {
        for await (const object of world.backend.list(prefix, after)) {
          if (object.key !== segment?.key) yield object;
        }
      },
    };
    await (await world.reopen({ backend: hiding })).blobs.put(blobOf(bytes));
    await world.backend.remove(before.key);
    await world.backend.remove(segment?.key as Key);
    expect((await readBlob(reader, digestOf(bytes))).equals(bytes)).equal(true);
  });

  it('never ends cleanly and short where the backend does', async () => {
    const memory = createMemoryBackend();
    const world = await makeCasWorld({ backend: memory });
    const bytes = seededBytes(8, 4_300_000);
    await world.stores.blobs.put(blobOf(bytes));
    const plan = new FaultPlan();
    const stores = await world.reopen({ backend: createFaultyBackend(memory, plan) });
    await stores.blobs.has([digestOf(bytes)]);
    plan.cutRead(2, 1_000_000, null);
    const error = await errorOf(readBlob(stores, digestOf(bytes)));
    expect(error.code).equal('CORRUPT');
    // A range has no digest of the whole to hold it to.
    const range = { start: 0, end: 4_000_000 };
    const short = {
      ...memory,
      async *get(key: Key, wanted?: ByteRange) {
        yield* key.startsWith('pools/') && wanted?.start === 64 ? [] : memory.get(key, wanted);
      },
    };
    const stopped = await world.reopen({ backend: short });
    expect(await codeOf(readBlob(stopped, digestOf(bytes), range))).equal('CORRUPT');
  });

  it('passes on a failure that may pass as one', async () => {
    const memory = createMemoryBackend();
    const world = await makeCasWorld({ backend: memory });
    const bytes = seededBytes(9, 4_300_000);
    await world.stores.blobs.put(blobOf(bytes));
    const plan = new FaultPlan();
    const stores = await world.reopen({ backend: createFaultyBackend(memory, plan) });
    await stores.blobs.has([digestOf(bytes)]);
    plan.cutRead(2, 1_000_000);
    expect(await codeOf(readBlob(stores, digestOf(bytes)))).equal('UNAVAILABLE');
    expect((await readBlob(stores, digestOf(bytes))).equals(bytes)).equal(true);
  });
});
