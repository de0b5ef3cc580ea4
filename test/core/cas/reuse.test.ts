/** The second version of a file costs what changed, however it is pushed; reuse stops before it makes a file slow to read. */
import { expect } from 'chai';
import { createContainers, isSampled } from '../../../core/cas/containers.ts';
import {
  FRAGMENTATION_WINDOW_COUNT,
  FragmentationGuard,
  RUN_LENGTH_MEAN_MIN,
} from '../../../core/cas/fragmentation.ts';
import type { FrameLocation } from '../../../core/cas/frame-handle.ts';
import { KnownChunks } from '../../../core/cas/known-chunks.ts';
import { SegmentIndex } from '../../../core/cas/segment-index.ts';
import { createHasher, type Digest, digestOf } from '../../../core/digest.ts';
import type { ContainerId } from '../../../core/keys.ts';
import {
  blobOf,
  makeCasWorld,
  POOL,
  REPO,
  readBlob,
  storeSize,
  TINY_POOL,
} from '../../support/cas-world.ts';
import { seededBytes, seededStream } from '../../support/splitmix64.ts';
import { stampedStream } from '../../support/stamped-stream.ts';

const MIB = 1024 * 1024;

function withInserted(bytes: Buffer, at: number, inserted: Buffer): Buffer {
  return Buffer.concat([bytes.subarray(0, at), inserted, bytes.subarray(at)]);
}

describe('reuse', () => {
  it('stores what changed: 1 MiB inserted into 24 MiB, no hint, another process', async () => {
    const world = await makeCasWorld();
    const bytes = seededBytes(1, 24 * MIB);
    await world.stores.blobs.put(blobOf(bytes));
    const before = await storeSize(world.backend);
    const edited = withInserted(bytes, 12 * MIB, seededBytes(2, MIB));
    const other = await world.reopen();
    const receipt = await other.blobs.put(blobOf(edited));
    const grown = (await storeSize(world.backend)) - before;
    expect(grown).equal(receipt.storedBytes);
    expect(grown).below(1.4 * MIB);
    expect(digestOf(await readBlob(other, digestOf(edited)))).equal(digestOf(edited));
  });

  it('stores at most 1.5 MiB for 1 MiB inserted into 256 MiB, no hint, another process', async function () {
    this.timeout(60_000);
    const world = await makeCasWorld();
    const SIZE = 256;
    const AT = 128;
    async function* edited() {
      yield* stampedStream(0, AT);
      yield* seededStream(4, MIB);
      yield* stampedStream(AT, SIZE);
    }
    const oidOf = async (stream: AsyncIterable<Uint8Array>) => {
      const hasher = createHasher();
      for await (const piece of stream) hasher.update(piece);
      return hasher.digest();
    };
    const original = () => stampedStream(0, SIZE);
    await world.stores.blobs.put({
      oid: await oidOf(original()),
      sizeBytes: SIZE * MIB,
      open: original,
    });
    const before = await storeSize(world.backend);
    const other = await world.reopen();
    const oid = await oidOf(edited());
    await other.blobs.put({ oid, sizeBytes: (SIZE + 1) * MIB, open: edited });
    expect((await storeSize(world.backend)) - before).at.most(1.5 * MIB);
    expect(await oidOf(other.blobs.get(oid))).equal(oid);
  });

  it('looks first where the hint says', async () => {
    const world = await makeCasWorld();
    const bytes = seededBytes(5, 6 * MIB);
    await world.stores.blobs.put(blobOf(bytes));
    const edited = withInserted(bytes, 1000, Buffer.from('x'));
    const other = await world.reopen();
    const receipt = await other.blobs.put(blobOf(edited, { basis: [digestOf(bytes)] }));
    expect(receipt.newBytes).below(0.6 * MIB);
  });

  it('does not trust a hint', async () => {
    const world = await makeCasWorld();
    const bytes = seededBytes(6, 3 * MIB);
    const receipt = await world.stores.blobs.put(
      blobOf(bytes, { basis: [digestOf('unknown'), digestOf(bytes)] }),
    );
    expect(receipt.newBytes).equal(3 * MIB);
  });

  it('finds chunks that were inlined in a segment, and those of small files', async () => {
    const world = await makeCasWorld({ pool: TINY_POOL });
    const bytes = seededBytes(7, 100_000);
    await world.stores.blobs.put(blobOf(bytes));
    const other = await world.reopen();
    const receipt = await other.blobs.put(blobOf(Buffer.concat([bytes, Buffer.from('more')])));
    expect(receipt.newBytes).below(2000);
  });

  it('follows a sampled digest to the whole table of its pack', async () => {
    const world = await makeCasWorld();
    const bytes = seededBytes(8, 12 * MIB);
    await world.stores.blobs.put(blobOf(bytes));
    const { chunks } = await world.stores.ingest.recipeOf(digestOf(bytes));
    const base = { backend: world.backend, repo: REPO, pool: POOL.pool };
    const containers = createContainers(base);
    const index = new SegmentIndex({ ...base, containers });
    const known = new KnownChunks({ containers, index, holdings: { mayLeanOn: () => true } });
    await index.refresh();
    const digests = chunks.map(({ digest }) => digest);
    const plain = digests.filter((digest) => !isSampled(digest));
    const sampled = digests.find(isSampled);
    if (sampled === undefined) throw new Error('this seed has no sampled chunk');
    await known.follow(plain[0] as Digest);
    expect(known.find(plain[0] as Digest)).equal(null);
    await known.follow(sampled);
    expect(plain.every((digest) => known.find(digest) !== null)).equal(true);
  });

  it('stores a chunk that occurs twice in a file once', async () => {
    const world = await makeCasWorld({ pool: TINY_POOL });
    const part = seededBytes(9, 50_000);
    const bytes = Buffer.concat([part, part]);
    const receipt = await world.stores.blobs.put(blobOf(bytes));
    expect(receipt.newBytes).below(55_000);
    expect((await readBlob(world.stores, digestOf(bytes))).equals(bytes)).equal(true);
  });
});

describe('fragmentation guard', () => {
  const at = (id: string, offset: number): FrameLocation => ({
    cell: { id: id.padEnd(32, '0') as ContainerId, ref: null },
    offset,
    storedLength: 100,
    frameCount: 1,
  });

  /** Runs of `length` chunks, each a megabyte from the last; how many of the chunks are reused. */
  function reusedOf(guard: FragmentationGuard, length: number, count: number, base = 0): number {
    let reused = 0;
    for (let index = 0; index < count; index += 1) {
      const run = Math.floor(index / length);
      const offset = base + run * MIB + (index % length) * 100;
      if (guard.observe(at('a', offset))) reused += 1;
    }
    return reused;
  }

  it('reuses long runs for ever', () => {
    expect(reusedOf(new FragmentationGuard(), 64, 5000)).equal(5000);
    expect(reusedOf(new FragmentationGuard(), RUN_LENGTH_MEAN_MIN, 5000)).equal(5000);
  });

  it('stops where the mean run is too short, but only after enough samples', () => {
    const reused = reusedOf(new FragmentationGuard(), 2, 5000);
    expect(reused).within(FRAGMENTATION_WINDOW_COUNT - 2, FRAGMENTATION_WINDOW_COUNT);
  });

  it('begins anew once runs are long again', () => {
    const guard = new FragmentationGuard();
    reusedOf(guard, 1, 500);
    expect(guard.observe(at('a', 10 ** 10))).equal(false);
    expect(reusedOf(guard, 500, 500, 10 ** 11)).above(350);
  });

  it('counts no jump where a reader reads through the gap', () => {
    const guard = new FragmentationGuard();
    let reused = 0;
    for (let index = 0; index < 1000; index += 1) {
      if (guard.observe(at('a', index * 50_000))) reused += 1;
    }
    expect(reused).equal(1000);
  });

  it('counts a change of container and a step back as jumps', () => {
    const guard = new FragmentationGuard();
    let reused = 0;
    for (let index = 0; index < 1000; index += 1) {
      if (guard.observe(at(index % 2 === 0 ? 'a' : 'b', 5000 - index))) reused += 1;
    }
    expect(reused).below(FRAGMENTATION_WINDOW_COUNT + 1);
  });

  it('keeps a scattered file readable in few requests', async () => {
    const world = await makeCasWorld({ pool: TINY_POOL });
    // Two files interleaved in pieces of a chunk or two: reuse would make a run of nearly every chunk.
    const one = seededBytes(20, 400_000);
    const two = seededBytes(21, 400_000);
    await world.stores.blobs.put(blobOf(one));
    await world.stores.blobs.put(blobOf(two));
    const pieces: Buffer[] = [];
    for (let offset = 0; offset < 400_000; offset += 2000) {
      pieces.push(
        one.subarray(offset, offset + 2000),
        two.subarray(400_000 - offset - 2000, 400_000 - offset),
      );
    }
    const scattered = Buffer.concat(pieces);
    const receipt = await world.stores.blobs.put(blobOf(scattered));
    expect(receipt.newBytes).above(600_000);
    expect((await readBlob(world.stores, digestOf(scattered))).equals(scattered)).equal(true);
  });
});
