/** Many small files at once: neighbours by one request, each of the bytes its oid names, and damage costs no more than what it hit. */
import { expect } from 'chai';
import type { Backend } from '../../../core/backend/backend.ts';
import { createMeteredBackend } from '../../../core/backend/metered.ts';
import { collect } from '../../../core/bytes.ts';
import type { DirectStores } from '../../../core/cas/direct-store.ts';
import { type Digest, digestOf } from '../../../core/digest.ts';
import { withBitFlipped } from '../../support/cas-containers.ts';
import { blobOf, type CasWorld, listed, makeCasWorld, TINY_POOL } from '../../support/cas-world.ts';
import { createFaultyBackend, FaultPlan } from '../../support/faulty-backend.ts';
import { seededBytes } from '../../support/splitmix64.ts';

const FILES = Array.from({ length: 100 }, (_, n) => seededBytes(n, 10_000 + n));
const OIDS = FILES.map((bytes) => digestOf(bytes));
const LARGE = 1024 * 1024;

describe('reading many small files', () => {
  let world: CasWorld;
  before('store them together', async () => {
    world = await makeCasWorld();
    await putAll(world.stores, FILES);
  });

  async function putAll(stores: DirectStores, files: readonly Uint8Array[]): Promise<void> {
    for await (const outcome of stores.blobs.putMany(files.map((bytes) => blobOf(bytes)))) {
      expect('receipt' in outcome).to.equal(true);
    }
  }

  async function read(
    stores: DirectStores,
    oids: readonly Digest[] = OIDS,
    sizeMaxBytes = LARGE,
  ): Promise<Map<Digest, Uint8Array>> {
    const found = new Map<Digest, Uint8Array>();
    for await (const { oid, bytes } of stores.ingest.readSmall(oids, sizeMaxBytes)) {
      expect(found.has(oid), 'each once').to.equal(false);
      expect(digestOf(bytes)).to.equal(oid);
      found.set(oid, bytes);
    }
    return found;
  }

  /** The same store with one bit of its largest object wrong, whoever reads it however. */
  async function damagedBackend(bitOf: (sizeBytes: number) => number): Promise<Backend> {
    const { backend } = world;
    const [largest] = (await listed(backend, '')).sort((a, b) => b.sizeBytes - a.sizeBytes);
    return {
      ...backend,
      async *get(key, range) {
        if (key !== largest?.key) return yield* backend.get(key, range);
        const whole = await collect(backend.get(key), Number.MAX_SAFE_INTEGER);
        const { start, end } = { start: 0, end: whole.length, ...range };
        yield withBitFlipped(whole, bitOf(whole.length)).subarray(start, end);
      },
    };
  }

  it('takes one request for a hundred neighbours, whatever order they are asked for in', async () => {
    const { backend, counts } = createMeteredBackend(world.backend);
    const stores = await world.reopen({ backend });
    await stores.blobs.has(OIDS);
    const before = counts().getCount;
    expect((await read(stores, OIDS.toReversed())).size).to.equal(FILES.length);
    expect(counts().getCount - before).to.be.at.most(2);
  });

  it('leaves out what is absent, and what is too large', async () => {
    const found = await read(world.stores, [...OIDS, digestOf('absent')], 10_049);
    expect(found.size).to.equal(50);
  });

  it('reads files of no bytes and of many runs like others', async () => {
    const tiny = await makeCasWorld({ pool: TINY_POOL });
    const [head, tail] = [seededBytes(1, 30_000), seededBytes(2, 30_000)];
    const between = seededBytes(3, 3000);
    const files = [head, tail, new Uint8Array(), Buffer.concat([head, between, tail])];
    for (const file of files) await putAll(tiny.stores, [file]);
    const oids = files.map((file) => digestOf(file));
    expect((await read(await tiny.reopen(), oids)).size).to.equal(files.length);
  });

  it('loses the one file that is damaged, and no neighbour', async () => {
    const backend = await damagedBackend((sizeBytes) => (sizeBytes >> 1) * 8);
    const found = await read(await world.reopen({ backend }));
    expect(found.size).to.equal(FILES.length - 1);
  });

  it('leaves to their own requests what a store that stops answering did not give', async () => {
    const plan = new FaultPlan();
    const stores = await world.reopen({ backend: createFaultyBackend(world.backend, plan) });
    await stores.blobs.has(OIDS);
    for (let nth = 1; nth < 20; nth += 1) plan.cutRead(nth, 300_000);
    const found = await read(stores);
    expect(found.size).to.be.above(0).and.below(FILES.length);
  });
});
