/** What clients send: packs that lie are refused, blobs are recorded only once they were hashed, and nobody learns of another repo's chunks. */
import { readdir } from 'node:fs/promises';
import { expect } from 'chai';
import { bytesBody } from '../../../core/backend/backend.ts';
import { createMemoryBackend } from '../../../core/backend/memory.ts';
import { collect } from '../../../core/bytes.ts';
import { chunks as chunksOf } from '../../../core/cas/chunker.ts';
import { OPEN_PACK_LACKS_BYTES } from '../../../core/cas/container-format.ts';
import type { DirectStores } from '../../../core/cas/direct-store.ts';
import type { FramePayload } from '../../../core/cas/frame.ts';
import { type Digest, digestOf, EMPTY_DIGEST } from '../../../core/digest.ts';
import { DatamonError } from '../../../core/errors.ts';
import { FAST_PATHS_OFF, switchOffFastPaths } from '../../../core/fast-paths.ts';
import { type ContainerId, type Key, parseRepoName } from '../../../core/keys.ts';
import {
  frameOf,
  type MadeContainer,
  makeContainer,
  seededRandom,
  streamOf,
  withBitFlipped,
} from '../../support/cas-containers.ts';
import { blobOf, listed, makeCasWorld, readBlob, TINY_POOL } from '../../support/cas-world.ts';
import { codeOf } from '../../support/code-of.ts';
import { seededBytes } from '../../support/splitmix64.ts';

async function framesFor(bytes: Buffer): Promise<FramePayload[]> {
  const frames: FramePayload[] = [];
  for await (const chunk of chunksOf(streamOf(bytes), TINY_POOL)) frames.push(frameOf(chunk));
  return frames;
}

const accept = (stores: DirectStores, pack: MadeContainer, bytes: Uint8Array = pack.bytes) =>
  stores.ingest.acceptPack({
    id: pack.id,
    stream: streamOf(bytes),
    sizeBytes: bytes.length,
    form: 'sealed',
  });

/** An open pack: what it lacks is worked out here. */
const acceptOpen = (stores: DirectStores, pack: MadeContainer, bytes: Uint8Array) =>
  stores.ingest.acceptPack({
    id: pack.id,
    stream: streamOf(bytes),
    sizeBytes: bytes.length + OPEN_PACK_LACKS_BYTES,
    form: 'open',
  });

const openBytes = ({ bytes }: MadeContainer): Buffer => bytes.subarray(0, -OPEN_PACK_LACKS_BYTES);

const claimOf = (bytes: Buffer, frames: readonly FramePayload[]) => ({
  oid: digestOf(bytes),
  sizeBytes: bytes.length,
  chunks: frames.map(({ digest }) => digest),
});

/** A page in these tests is a line of text; the digests it names are its children. */
const childrenOf = (page: Uint8Array): Digest[] =>
  (Buffer.from(page)
    .toString()
    .match(/[0-9a-f]{64}/g) ?? []) as Digest[];

const world = () => makeCasWorld({ pool: TINY_POOL, childrenOf });

describe('accepting packs', () => {
  it('takes an intact one, and the same one again', async () => {
    const { stores, backend, spoolDir } = await world();
    const pack = await makeContainer({ frames: await framesFor(seededBytes(1, 5000)) });
    const accepted = await accept(stores, pack);
    expect(accepted).include({ id: pack.id, sizeBytes: pack.bytes.length });
    expect(accepted.frameCount).equal(pack.frames.length);
    await accept(stores, pack);
    expect(await listed(backend, 'pools/')).length(1);
    expect(await readdir(spoolDir)).deep.equal([]);
  });

  it('refuses one with any bit wrong, and stores nothing', async function () {
    this.timeout(60_000);
    const { stores, backend } = await world();
    const frames = [frameOf(Buffer.alloc(200, 'compressible ')), frameOf(seededBytes(2, 60))];
    const pack = await makeContainer({ frames });
    for (let bit = 0; bit < pack.bytes.length * 8; bit += 1) {
      const outcome = await codeOf(accept(stores, pack, withBitFlipped(pack.bytes, bit)));
      expect(outcome, `bit ${bit}`).equal('INVALID');
    }
    expect(await listed(backend, '')).deep.equal([]);
  });

  it('refuses one cut off anywhere, or with bytes behind it', async () => {
    const { stores, backend } = await world();
    const pack = await makeContainer({ frames: await framesFor(seededBytes(3, 500)) });
    for (let length = 0; length < pack.bytes.length; length += 7) {
      expect(await codeOf(accept(stores, pack, pack.bytes.subarray(0, length)))).equal('INVALID');
    }
    const longer = Buffer.concat([pack.bytes, Buffer.from('x')]);
    expect(await codeOf(accept(stores, pack, longer))).equal('INVALID');
    expect(await listed(backend, '')).deep.equal([]);
  });

  it('takes an open one, and stores what the sealed one would be', async () => {
    const { stores, backend, spoolDir } = await world();
    const pack = await makeContainer({ frames: await framesFor(seededBytes(1, 5000)) });
    expect(await acceptOpen(stores, pack, openBytes(pack))).include({
      sizeBytes: pack.bytes.length,
    });
    await accept(stores, pack);
    const [found] = await listed(backend, 'pools/');
    const stored = await collect(backend.get(found?.key as Key), 2 * pack.bytes.length);
    expect(stored.equals(pack.bytes)).equal(true);
    expect(await readdir(spoolDir)).deep.equal([]);
  });

  it('refuses an open one with any bit wrong, or cut off anywhere, or with bytes behind it', async function () {
    this.timeout(60_000);
    const { stores, backend } = await world();
    // Not compressed: there every bit counts.
    const pack = await makeContainer({
      frames: [1, 2].map((seed) => frameOf(seededBytes(seed, 60))),
    });
    const bytes = openBytes(pack);
    const wrong = [pack.bytes, Buffer.concat([bytes, Buffer.of(0)])];
    for (let bit = 0; bit < bytes.length * 8; bit += 1) wrong.push(withBitFlipped(bytes, bit));
    for (let length = 0; length < bytes.length; length += 1) wrong.push(bytes.subarray(0, length));
    for (const [index, offered] of wrong.entries()) {
      expect(await codeOf(acceptOpen(stores, pack, offered)), `offer ${index}`).equal('INVALID');
    }
    expect(await listed(backend, '')).deep.equal([]);
  });

  it('refuses one whose size or id is another than announced', async () => {
    const { stores } = await world();
    const pack = await makeContainer({ frames: [frameOf(Buffer.from('x'))] });
    for (const size of [pack.bytes.length - 1, pack.bytes.length + 1]) {
      const taking = stores.ingest.acceptPack({
        id: pack.id,
        stream: streamOf(pack.bytes),
        sizeBytes: size,
        form: 'sealed',
      });
      expect(await codeOf(taking)).equal('INVALID');
    }
    const id = 'ab'.repeat(16) as ContainerId;
    const taking = stores.ingest.acceptPack({
      id: id,
      stream: streamOf(pack.bytes),
      sizeBytes: pack.bytes.length,
      form: 'sealed',
    });
    expect(await codeOf(taking)).equal('INVALID');
  });

  it('refuses a segment, a frame under a wrong digest, and one that is too large', async () => {
    const { stores } = await world();
    const segment = await makeContainer({ kind: 'segment', frames: [] });
    expect(await codeOf(accept(stores, segment))).equal('INVALID');
    const lying = { ...frameOf(Buffer.from('bytes')), digest: digestOf('other bytes') };
    expect(await codeOf(accept(stores, await makeContainer({ frames: [lying] })))).equal('INVALID');
    const huge = stores.ingest.acceptPack({
      id: segment.id,
      stream: streamOf(Buffer.alloc(1)),
      sizeBytes: 10 ** 9,
      form: 'sealed',
    });
    expect(await codeOf(huge)).equal('TOO_LARGE');
  });

  it('refuses a second pack under a taken id', async () => {
    const { stores } = await world();
    const one = await makeContainer({ frames: [frameOf(Buffer.from('one'))] });
    const two = await makeContainer({ frames: [frameOf(Buffer.from('two'))] });
    expect(one.id).equal(two.id);
    await accept(stores, one);
    expect(await codeOf(accept(stores, two))).equal('CONFLICT');
  });

  it('stores nothing where the client breaks off', async () => {
    const { stores, backend, spoolDir } = await world();
    const pack = await makeContainer({ frames: await framesFor(seededBytes(4, 5000)) });
    async function* broken() {
      yield pack.bytes.subarray(0, 3000);
      throw new DatamonError('UNAVAILABLE', 'the connection broke');
    }
    const taking = stores.ingest.acceptPack({
      id: pack.id,
      stream: broken(),
      sizeBytes: pack.bytes.length,
      form: 'sealed',
    });
    expect(await codeOf(taking)).equal('UNAVAILABLE');
    expect(await listed(backend, '')).deep.equal([]);
    expect(await readdir(spoolDir)).deep.equal([]);
  });
});

describe('recording by recipe', () => {
  it('records what was sent, and gives it back', async () => {
    const { stores, reopen } = await world();
    const bytes = seededBytes(10, 20_000);
    const frames = await framesFor(bytes);
    const pack = await makeContainer({ frames });
    await accept(stores, pack);
    const claim = claimOf(bytes, frames);
    const outcome = await stores.ingest.recordByRecipe({
      packs: [pack.id],
      blobs: [claim],
      pages: [],
    });
    expect(outcome.missing).deep.equal([]);
    expect(outcome.failed).deep.equal([]);
    expect(outcome.recorded[0]?.receipt).include({ logicalBytes: 20_000, newBytes: 20_000 });
    const other = await reopen();
    expect((await readBlob(other, claim.oid)).equals(bytes)).equal(true);
    const recipe = await other.ingest.recipeOf(claim.oid);
    expect(recipe.chunks.map(({ digest }) => digest)).deep.equal(claim.chunks);
  });

  it('names chunks that are missing and records nothing of that blob', async () => {
    const { stores } = await world();
    const bytes = seededBytes(11, 5000);
    const frames = await framesFor(bytes);
    const pack = await makeContainer({ frames: frames.slice(1) });
    await accept(stores, pack);
    const claim = claimOf(bytes, frames);
    const request = { packs: [pack.id], blobs: [claim], pages: [] };
    const outcome = await stores.ingest.recordByRecipe(request);
    expect(outcome.missing).deep.equal([frames[0]?.digest]);
    expect(outcome.recorded).deep.equal([]);
    expect((await stores.blobs.has([claim.oid])).size).equal(0);
    const rest = await makeContainer({ frames: frames.slice(0, 1), seed: 2 });
    await accept(stores, rest);
    const again = await stores.ingest.recordByRecipe({ ...request, packs: [pack.id, rest.id] });
    expect(again.recorded).length(1);
  });

  it('records nothing that the store did not keep, and blames the store for it', async () => {
    const { stores, backend } = await world();
    const bytes = seededBytes(13, 20_000);
    const frames = await framesFor(bytes);
    const pack = await makeContainer({ frames });
    await accept(stores, pack);
    const [stored] = await listed(backend, 'pools/');
    const key = (stored?.key ?? '') as Key;
    const kept = await collect(backend.get(key), 1_000_000);
    await backend.remove(key);
    // Behind the first frame's header: a byte of the file itself.
    await backend.putIfAbsent(
      key,
      bytesBody(withBitFlipped(kept, 8 * (kept.indexOf(bytes.subarray(0, 16)) + 5))),
    );
    const claim = claimOf(bytes, frames);
    const request = { packs: [pack.id], blobs: [claim], pages: [] };
    const outcome = await stores.ingest.recordByRecipe(request);
    expect(outcome.recorded).deep.equal([]);
    expect(outcome.failed.map(({ error }) => error.code)).deep.equal(['CORRUPT']);
    expect((await stores.blobs.has([claim.oid])).size).equal(0);
  });

  it('refuses a blob whose chunks make another file, or another size', async () => {
    const { stores } = await world();
    const bytes = seededBytes(12, 5000);
    const frames = await framesFor(bytes);
    const pack = await makeContainer({ frames });
    await accept(stores, pack);
    const claim = claimOf(bytes, frames);
    const lies = [
      { ...claim, oid: digestOf('other') },
      { ...claim, sizeBytes: 4999 },
      { ...claim, chunks: claim.chunks.toReversed() },
      { oid: digestOf('nothing'), sizeBytes: 0, chunks: [] },
    ];
    for (const lie of lies) {
      const request = { packs: [pack.id], blobs: [lie], pages: [] };
      const outcome = await stores.ingest.recordByRecipe(request);
      expect(outcome.recorded).deep.equal([]);
      expect(outcome.failed.map(({ error }) => error.code)).deep.equal(['MISMATCH']);
      expect((await stores.blobs.has([lie.oid])).size).equal(0);
    }
  });

  it('records the empty blob', async () => {
    const { stores } = await world();
    const blobs = [{ oid: EMPTY_DIGEST, sizeBytes: 0, chunks: [] }];
    const outcome = await stores.ingest.recordByRecipe({ packs: [], blobs, pages: [] });
    expect(outcome.recorded).length(1);
    expect(await readBlob(stores, EMPTY_DIGEST)).length(0);
    expect((await stores.ingest.recipeOf(EMPTY_DIGEST)).chunks).deep.equal([]);
  });

  it('takes chunks of this repo without their being sent again', async () => {
    const { stores } = await world();
    const bytes = seededBytes(13, 20_000);
    await stores.blobs.put(blobOf(bytes));
    const edited = Buffer.concat([bytes, Buffer.from('more')]);
    const frames = await framesFor(edited);
    const digests = frames.map(({ digest }) => digest);
    const known = await stores.ingest.knownChunks(digests, [digestOf(bytes)]);
    const fresh = frames.filter((_, index) => !known[index]);
    expect(fresh.length).within(1, 2);
    const pack = await makeContainer({ frames: fresh });
    await accept(stores, pack);
    const blobs = [claimOf(edited, frames)];
    const outcome = await stores.ingest.recordByRecipe({ packs: [pack.id], blobs, pages: [] });
    expect(outcome.recorded[0]?.receipt.newBytes).below(2500);
    expect((await readBlob(stores, digestOf(edited))).equals(edited)).equal(true);
  });

  it('finds the chunks of what a blob resembles, however much was stored since', async () => {
    // Which segments are looked at is told by their ids.
    const random = seededRandom(7);
    const { stores, reopen } = await makeCasWorld({ pool: TINY_POOL, childrenOf, random });
    const bytes = seededBytes(60, 3000);
    await stores.blobs.put(blobOf(bytes));
    for (let seed = 61; seed < 66; seed += 1)
      await stores.blobs.put(blobOf(seededBytes(seed, 3000)));
    const frames = (await framesFor(bytes)).toReversed();
    const turned = Buffer.concat(frames.map(({ payload }) => payload));
    const blobs = [claimOf(turned, frames)];
    const record = async (basis: readonly Digest[]) =>
      (await reopen()).ingest.recordByRecipe({ packs: [], blobs, basis, pages: [] });
    expect((await record([])).missing).not.deep.equal([]);
    expect(await record([digestOf(bytes)])).deep.include({ missing: [], failed: [] });
  });

  it('knows nothing of another repo’s chunks, though they share a pool', async () => {
    const backend = createMemoryBackend();
    const one = await makeCasWorld({ pool: TINY_POOL, backend });
    const bytes = seededBytes(14, 20_000);
    await one.stores.blobs.put(blobOf(bytes));
    const other = await one.reopen({ repo: parseRepoName('acme/secret') });
    const frames = await framesFor(bytes);
    const claim = claimOf(bytes, frames);
    const known = await other.ingest.knownChunks(claim.chunks, [claim.oid]);
    expect(known.some((answer) => answer)).equal(false);
    const outcome = await other.ingest.recordByRecipe({ packs: [], blobs: [claim], pages: [] });
    expect(outcome.missing.length).equal(new Set(claim.chunks).size);
    expect(await codeOf(readBlob(other, claim.oid))).equal('NOT_FOUND');
    expect(await codeOf(other.ingest.recipeOf(claim.oid))).equal('NOT_FOUND');
  });

  it('refuses a pack that is not there', async () => {
    const { stores } = await world();
    const packs = ['cd'.repeat(16) as ContainerId];
    const recording = stores.ingest.recordByRecipe({ packs, blobs: [], pages: [] });
    expect(await codeOf(recording)).equal('INVALID');
  });

  it('lets one lie fail alone among many blobs', async () => {
    const { stores } = await world();
    const files = Array.from({ length: 12 }, (_, index) => seededBytes(200 + index, 900));
    const frames = (await Promise.all(files.map(framesFor))).flat();
    const pack = await makeContainer({ frames });
    await accept(stores, pack);
    const blobs = await Promise.all(
      files.map(async (bytes) => claimOf(bytes, await framesFor(bytes))),
    );
    const wrong = { ...(blobs[5] as (typeof blobs)[0]), oid: digestOf('lie') };
    const request = {
      packs: [pack.id],
      blobs: [...blobs.slice(0, 5), wrong, ...blobs.slice(6)],
      pages: [],
    };
    const outcome = await stores.ingest.recordByRecipe(request);
    expect(outcome.recorded).length(11);
    expect(outcome.failed.map(({ oid }) => oid)).deep.equal([digestOf('lie')]);
  });
});

for (const off of ['', 'joint-proof']) {
  describe(`recording files of one chunk${off && `, without ${off}`}`, () => {
    before(() => switchOffFastPaths({ [FAST_PATHS_OFF]: off }));
    after(() => switchOffFastPaths(process.env));

    const COUNT = 40;
    const files = Array.from({ length: COUNT }, (_, index) => seededBytes(300 + index, 50));
    const blobs = files.map((bytes) => claimOf(bytes, [frameOf(bytes)]));

    /** All of them in one pack; how often the store was read is counted. */
    async function sent() {
      const memory = createMemoryBackend();
      const counts = { get: 0 };
      const get: typeof memory.get = (key, range) => {
        counts.get += 1;
        return memory.get(key, range);
      };
      const backend = { ...memory, get };
      const { stores } = await makeCasWorld({ pool: TINY_POOL, childrenOf, backend });
      const pack = await makeContainer({ frames: files.map((bytes) => frameOf(bytes)) });
      await accept(stores, pack);
      const record = (claims = blobs) => {
        counts.get = 0;
        return stores.ingest.recordByRecipe({ packs: [pack.id], blobs: claims, pages: [] });
      };
      return { stores, memory, counts, pack, record };
    }

    it('reads neighbours together, and gives each back', async () => {
      const { stores, counts, record } = await sent();
      const outcome = await record();
      expect(outcome.recorded.map(({ oid }) => oid)).to.have.members(blobs.map(({ oid }) => oid));
      const newBytes = outcome.recorded.reduce((sum, { receipt }) => sum + receipt.newBytes, 0);
      expect(newBytes).equal(COUNT * 50);
      if (off === '') expect(counts.get).below(10);
      else expect(counts.get).at.least(COUNT);
      for (const [index, { oid }] of blobs.entries()) {
        expect((await readBlob(stores, oid)).equals(files[index] as Buffer)).equal(true);
      }
    });

    it('one that the store did not keep fails alone', async () => {
      const { stores, memory, pack, record } = await sent();
      const [stored] = await listed(memory, 'pools/');
      const key = (stored?.key ?? '') as Key;
      await memory.remove(key);
      const at = pack.bytes.indexOf(files[7] as Buffer);
      await memory.putIfAbsent(key, bytesBody(withBitFlipped(pack.bytes, 8 * at + 3)));
      const outcome = await record();
      expect(outcome.failed.map(({ oid, error }) => [oid, error.code])).deep.equal([
        [blobs[7]?.oid, 'CORRUPT'],
      ]);
      expect(outcome.recorded).length(COUNT - 1);
      for (const { oid } of outcome.recorded) await readBlob(stores, oid);
      expect(await codeOf(readBlob(stores, blobs[7]?.oid as Digest))).equal('NOT_FOUND');
    });

    it('one of another size, and one that was not sent, are told as such', async () => {
      const { record } = await sent();
      const longer = { ...(blobs[0] as (typeof blobs)[0]), sizeBytes: 51 };
      const absent = claimOf(Buffer.from('absent'), [frameOf(Buffer.from('absent'))]);
      const outcome = await record([longer, absent, ...blobs.slice(1)]);
      expect(outcome.failed.map(({ oid, error }) => [oid, error.code])).deep.equal([
        [longer.oid, 'MISMATCH'],
      ]);
      expect(outcome.missing).deep.equal([absent.oid]);
      expect(outcome.recorded).length(COUNT - 1);
    });
  });
}

describe('recording pages', () => {
  it('records pages whose children come along or are stored', async () => {
    const { stores } = await world();
    const leaf = Buffer.from('a leaf');
    const parent = Buffer.from(`children: ${digestOf(leaf)}`);
    const root = Buffer.from(`children: ${digestOf(parent)}`);
    const pages = [root, parent, leaf];
    const pack = await makeContainer({ frames: pages.map((page) => frameOf(page, 'page')) });
    await accept(stores, pack);
    const outcome = await stores.ingest.recordByRecipe({
      packs: [pack.id],
      blobs: [],
      pages: pages.map(digestOf),
    });
    expect(outcome).deep.include({ missing: [], failed: [] });
    for (const page of pages) {
      expect(Buffer.from(await stores.pages.getPage(digestOf(page))).equals(page)).equal(true);
    }
  });

  it('records no page above one that is missing, nor any above that', async () => {
    const { stores } = await world();
    const leaf = Buffer.from('a leaf');
    const parent = Buffer.from(`children: ${digestOf(leaf)}`);
    const root = Buffer.from(`children: ${digestOf(parent)}`);
    const pack = await makeContainer({ frames: [frameOf(root, 'page'), frameOf(parent, 'page')] });
    await accept(stores, pack);
    const pages = [digestOf(root), digestOf(parent)];
    const outcome = await stores.ingest.recordByRecipe({ packs: [pack.id], blobs: [], pages });
    expect(outcome.missing).include(digestOf(leaf));
    expect((await stores.pages.hasPages(pages)).size).equal(0);
  });

  it('does not take a chunk for a page', async () => {
    const { stores } = await world();
    const bytes = Buffer.from('a chunk');
    const pack = await makeContainer({ frames: [frameOf(bytes)] });
    await accept(stores, pack);
    const pages = [digestOf(bytes)];
    const outcome = await stores.ingest.recordByRecipe({ packs: [pack.id], blobs: [], pages });
    expect(outcome.missing).deep.equal(pages);
  });
});
