/** Putting an edited file by its previous version's recipe: what is not asked and not sent, and what happens where a server will not, or lies. */
import { expect } from 'chai';
import { type BlobSource, EMPTY_RECEIPT } from '../../core/cas/blob-store.ts';
import { encodeChunkList } from '../../core/cas/recipe-copies.ts';
import { type Digest, digestOf } from '../../core/digest.ts';
import { FAST_PATHS_OFF, switchOffFastPaths } from '../../core/fast-paths.ts';
import { CHUNK_LIST_TYPE, type RecordRequest } from '../../core/meta/api-wire.ts';
import { openQuick, sourceOf } from '../support/api-world.ts';
import { codeOf } from '../support/code-of.ts';
import { type FakeApi, sendJson, startFakeApi } from '../support/fake-api.ts';
import { useFastPaths } from '../support/fast-paths.ts';
import { seededBytes } from '../support/splitmix64.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const before = seededBytes(1, 2 * MIB);
const edited = Buffer.concat([
  before.subarray(0, MIB),
  seededBytes(2, 40 * KIB),
  before.subarray(MIB),
]);

const editOf = (bytes: Buffer, previous: Buffer): BlobSource => ({
  ...sourceOf(bytes),
  basis: [digestOf(previous)],
});

/** A server that has `before`, and forgets that it was asked for it. */
async function startWithBefore() {
  const api = await startFakeApi();
  const { blobs } = await openQuick(api.url);
  await blobs.put(sourceOf(before));
  api.bodies.length = 0;
  api.seen.length = 0;
  return { api, blobs };
}

const recipePath = `/objects/${digestOf(before)}/recipe`;

const recorded = (api: FakeApi): RecordRequest[] =>
  api.bodies.flatMap(({ path, json }) => (path === '/objects' ? [json as RecordRequest] : []));

const copiesIn = (request: RecordRequest | undefined): number =>
  (request?.blobs ?? []).flatMap(({ chunks }) => chunks.filter((piece) => Array.isArray(piece)))
    .length;

function expectStored(api: FakeApi, bytes: Buffer): void {
  expect(api.blobs.get(digestOf(bytes))?.equals(bytes)).to.equal(true);
}

describe('putting by the recipe of the previous version', () => {
  useFastPaths();

  it('asks about and names new chunks only', async () => {
    const { api, blobs } = await startWithBefore();
    const receipt = await blobs.put(editOf(edited, before));
    expectStored(api, edited);
    expect(receipt.newBytes).to.be.within(40 * KIB, 40 * KIB + 2 * 16 * KIB);
    expect(api.count(recipePath)).to.equal(1);
    const [request] = recorded(api);
    expect(request?.bases.map(({ oid }) => oid)).to.deep.equal([digestOf(before)]);
    expect(copiesIn(request)).to.equal(2);
    const sentBytes = api.bodies.reduce((sum, { json }) => sum + JSON.stringify(json).length, 0);
    expect(sentBytes).to.be.below(6 * KIB);
  });

  it('sends nothing but the recipe of a file that is a piece of the previous version', async () => {
    const { api, blobs } = await startWithBefore();
    const piece = before.subarray(0, MIB + 512 * KIB);
    const receipt = await blobs.put(editOf(piece, before));
    expectStored(api, piece);
    expect(receipt.newBytes).to.be.at.most(16 * KIB);
  });

  it('reports progress that only grows and ends at the size', async () => {
    const { blobs } = await startWithBefore();
    const seen: number[] = [];
    const onProgress = (_oid: Digest, doneBytes: number): void => void seen.push(doneBytes);
    await blobs.put(editOf(edited, before), { onProgress });
    expect(seen).to.deep.equal([...seen].sort((a, b) => a - b));
    // Chunk by chunk, those too that are only told.
    expect(seen.length).to.be.above(256);
    expect(seen.at(-1)).to.equal(edited.length);
  });

  it('asks for no recipe where it would spare little, or there is no previous version', async () => {
    const { api, blobs } = await startWithBefore();
    const small = before.subarray(0, 900 * KIB);
    await blobs.put(editOf(small, before));
    await blobs.put(sourceOf(edited));
    expect(api.count(recipePath)).to.equal(0);
    expect(recorded(api).map(copiesIn)).to.deep.equal([0, 0]);
    expect(recorded(api).every((request) => !('bases' in request))).to.equal(true);
  });

  it('sends everything in full with the fast path off', async () => {
    const { api, blobs } = await startWithBefore();
    switchOffFastPaths({ [FAST_PATHS_OFF]: 'recipe-copies' });
    try {
      await blobs.put(editOf(edited, before));
    } finally {
      switchOffFastPaths({});
    }
    expectStored(api, edited);
    expect(api.count(recipePath)).to.equal(0);
    expect(copiesIn(recorded(api)[0])).to.equal(0);
  });

  it('uses what it can of a base that has nothing in common with the file', async () => {
    const { api, blobs } = await startWithBefore();
    const other = seededBytes(3, 2 * MIB);
    const receipt = await blobs.put(editOf(other, before));
    expectStored(api, other);
    expect(receipt.newBytes).to.equal(other.length);
    expect(copiesIn(recorded(api)[0])).to.equal(0);
  });
});

describe('putting by the recipe of the previous version, where the server will not', () => {
  useFastPaths();

  it('asks an older server once and sends in full', async () => {
    const { api, blobs } = await startWithBefore();
    api.speaksLists = false;
    const other = Buffer.concat([edited, Buffer.from('more')]);
    for await (const outcome of blobs.putMany([editOf(edited, before), editOf(other, before)])) {
      expect(outcome).to.have.property('receipt');
    }
    expect(api.count(recipePath)).to.equal(1);
    expect(copiesIn(recorded(api)[0])).to.equal(0);
    expectStored(api, edited);
    expectStored(api, other);
  });

  it('asks once where the caller may not read', async () => {
    const { api, blobs } = await startWithBefore();
    api.bend = ({ path }, response) => {
      if (path !== recipePath) return false;
      sendJson(response, 403, { code: 'FORBIDDEN', message: 'this needs read' });
      return true;
    };
    const other = Buffer.concat([edited, Buffer.from('more')]);
    for await (const outcome of blobs.putMany([editOf(edited, before), editOf(other, before)])) {
      expect(outcome).to.have.property('receipt');
    }
    expect(api.count(recipePath)).to.equal(1);
    expectStored(api, edited);
  });

  it('sends in full where the previous version is not on the server', async () => {
    const { api, blobs } = await startWithBefore();
    await blobs.put(editOf(edited, Buffer.from('never pushed')));
    expectStored(api, edited);
    expect(copiesIn(recorded(api)[0])).to.equal(0);
  });

  for (const [status, code] of [
    [409, 'CONFLICT'],
    [400, 'INVALID'],
    [403, 'FORBIDDEN'],
    [413, 'TOO_LARGE'],
  ] as const) {
    it(`sends in full what was refused by copies: ${code}`, async () => {
      const { api, blobs } = await startWithBefore();
      let refusals = 0;
      api.bend = ({ path }, response, request) => {
        if (path !== '/objects' || refusals > 0) return false;
        refusals += 1;
        request.resume();
        sendJson(response, status, { code, message: 'no' });
        return true;
      };
      const receipt = await blobs.put(editOf(edited, before));
      expect(refusals).to.equal(1);
      expectStored(api, edited);
      expect(recorded(api)[0]?.blobs[0]?.chunks.length).to.be.above(256);
      expect(copiesIn(recorded(api)[0])).to.equal(0);
      expect(api.packSizes.length).to.equal(2);
      expect(receipt.newBytes).to.be.below(80 * KIB);
    });
  }

  it('tries no second time what was refused in full', async () => {
    const { api, blobs } = await startWithBefore();
    let refusals = 0;
    api.bend = ({ path }, response, request) => {
      if (path !== '/objects') return false;
      refusals += 1;
      request.resume();
      sendJson(response, 400, { code: 'INVALID', message: 'no' });
      return true;
    };
    expect(await codeOf(blobs.put(editOf(edited, before)))).to.equal('INVALID');
    expect(refusals).to.equal(2);
  });

  it('sends chunks again that the base has and the server has not any more', async () => {
    const { api, blobs } = await startWithBefore();
    const lost = api.recipes.get(digestOf(before))?.slice(3, 9) ?? [];
    for (const digest of lost) api.chunks.delete(digest);
    const receipt = await blobs.put(editOf(edited, before));
    expectStored(api, edited);
    expect(api.count('/objects')).to.equal(2);
    expect(receipt.newBytes).to.be.above(40 * KIB + 6 * KIB);
  });

  it('sends in full where the base is stored by another recipe meanwhile', async () => {
    const { api, blobs } = await startWithBefore();
    api.bend = ({ path }) => {
      const chunks = api.recipes.get(digestOf(before)) ?? [];
      if (path === '/objects') api.recipes.set(digestOf(before), chunks.toReversed());
      return false;
    };
    await blobs.put(editOf(edited, before));
    expectStored(api, edited);
    expect(recorded(api).map(copiesIn)).to.deep.equal([2, 0]);
  });
});

describe('putting by the recipe of the previous version, where the server lies', () => {
  useFastPaths();

  async function putWithList(list: Buffer) {
    const { api, blobs } = await startWithBefore();
    api.bend = ({ path }, response) => {
      if (path !== recipePath) return false;
      response.writeHead(200, { 'Content-Type': CHUNK_LIST_TYPE });
      response.end(list);
      return true;
    };
    await blobs.put(editOf(edited, before));
    expectStored(api, edited);
    return api;
  }

  it('takes no list that is cut, empty, or of random bytes', async () => {
    for (const list of [Buffer.alloc(31), Buffer.alloc(0), seededBytes(9, 3200)]) {
      expect(copiesIn(recorded(await putWithList(list))[0])).to.equal(0);
    }
  });

  it('takes no list that is longer than a file of that size can have', async () => {
    const { api: honest, blobs } = await startWithBefore();
    await blobs.put(sourceOf(edited));
    const list = encodeChunkList(honest.recipes.get(digestOf(edited)) ?? []);
    const countMax = Math.ceil(edited.length / KIB);
    const padded = Buffer.concat([list, Buffer.alloc((countMax + 1) * 32 - list.length)]);
    expect(copiesIn(recorded(await putWithList(padded))[0])).to.equal(0);
    const fitting = recorded(await putWithList(padded.subarray(32)));
    expect(copiesIn(fitting[0])).to.be.above(0);
  });

  it('sends what a list claimed to be there and is not', async () => {
    const { api: honest, blobs } = await startWithBefore();
    await blobs.put(sourceOf(edited));
    const api = await putWithList(encodeChunkList(honest.recipes.get(digestOf(edited)) ?? []));
    expect(recorded(api).map(copiesIn)).to.deep.equal([1, 0, 0]);
  });

  it('acknowledges nothing where copies make another file', async () => {
    const { api, blobs } = await startWithBefore();
    api.bend = ({ path }, response, request) => {
      if (path !== '/objects') return false;
      request.resume();
      const failed = [{ oid: digestOf(edited), code: 'MISMATCH', message: 'another file' }];
      const receipt = { ...EMPTY_RECEIPT, fileCount: 1 };
      const others = [{ oid: digestOf(before), receipt }];
      sendJson(response, 200, { recorded: others, missing: [], failed });
      return true;
    };
    expect(await codeOf(blobs.put(editOf(edited, before)))).to.equal('MISMATCH');
  });
});
