/** Chunk lists out, copies of recipes in: by hand, as clients that never should would. */
import { expect } from 'chai';
import { encodeChunkList } from '../../core/cas/recipe-copies.ts';
import { type Digest, digestOf } from '../../core/digest.ts';
import { CHUNK_LIST_TYPE } from '../../core/meta/api-wire.ts';
import { seededBytes } from '../support/splitmix64.ts';
import { expectSchema } from './support/schemas.ts';
import {
  type Answer,
  batchToken,
  READER,
  type ServerWorld,
  STRANGER,
  startServer,
  tokenFor,
  WRITER,
} from './support/server-world.ts';

const API = '/api/v1/repos/acme%2Fweather';
const OTHER = '/api/v1/repos/acme%2Fother';
const WRITE_ONLY = tokenFor('joe', 'write:acme/*');
const big = seededBytes(7, 700_000);

const askList = (
  world: ServerWorld,
  token = READER,
  path = `${API}/objects/${digestOf(big)}/recipe`,
) => world.call(path, { token, headers: { Accept: CHUNK_LIST_TYPE } });

/** A server that has `big`, with its recipe. */
async function startWithBig() {
  const world = await startServer();
  await world.put(big);
  const { body } = await world.json(`${API}/objects/${digestOf(big)}/recipe`, { token: READER });
  const chunks: { digest: Digest; size: number }[] = body.chunks;
  const digests = chunks.map(({ digest }) => digest);
  const base = { oid: digestOf(big), recipe: digestOf(encodeChunkList(digests)) };
  /** The bytes of chunks `first` to before `end`. */
  const bytesOf = (first: number, end: number): Buffer => {
    const sizes = chunks.map(({ size }) => size);
    const start = sizes.slice(0, first).reduce((sum, size) => sum + size, 0);
    const length = sizes.slice(first, end).reduce((sum, size) => sum + size, 0);
    return big.subarray(start, start + length);
  };
  return { world, digests, base, bytesOf };
}

interface Sent {
  readonly token?: string;
  readonly api?: string;
}

const record = (
  world: ServerWorld,
  json: object,
  { token = WRITER, api = API }: Sent = {},
): Promise<{ status: number; body: Answer }> =>
  world.json(`${api}/objects`, { token, json: { packs: [], pages: [], ...json } });

const blobOf = (bytes: Buffer, chunks: readonly unknown[]) => ({
  oid: digestOf(bytes),
  size: bytes.length,
  chunks,
});

describe('chunk lists', () => {
  it('are the digests of a recipe, named by their own', async () => {
    const { world, digests, base } = await startWithBig();
    const answer = await askList(world);
    const list = Buffer.from(await answer.arrayBuffer());
    expect(answer.status).to.equal(200);
    expect(answer.headers.get('content-type')).to.equal(CHUNK_LIST_TYPE);
    expect(answer.headers.get('etag')).to.equal(`"${base.recipe}"`);
    expect(list.equals(encodeChunkList(digests))).to.equal(true);
    expect(digests.length).to.be.above(3);
  });

  it('are told to readers of the repo only', async () => {
    const { world } = await startWithBig();
    expect((await askList(world, batchToken({ operation: 'download' }))).status).to.equal(200);
    for (const token of [WRITE_ONLY, batchToken()]) {
      expect((await askList(world, token)).status).to.equal(403);
    }
    expect((await askList(world, STRANGER)).status).to.equal(404);
    const elsewhere = `${OTHER}/objects/${digestOf(big)}/recipe`;
    expect((await askList(world, READER, elsewhere)).status).to.equal(404);
  });

  it('of what is not there are errors as ever', async () => {
    const { world } = await startWithBig();
    const absent = await askList(world, READER, `${API}/objects/${digestOf('x')}/recipe`);
    expect(absent.status).to.equal(404);
    expectSchema(await absent.json(), 'errors#/$defs/api');
  });
});

describe('recipes with copies', () => {
  it('record a file, which reads back', async () => {
    const { world, digests, base, bytesOf } = await startWithBig();
    const turned = Buffer.concat([bytesOf(2, digests.length), bytesOf(0, 2)]);
    const chunks = [[0, 2, digests.length - 2], digests[0], [0, 1, 1]];
    const { status, body } = await record(world, {
      bases: [base],
      blobs: [blobOf(turned, chunks)],
    });
    expect([status, body.missing, body.failed]).to.deep.equal([200, [], []]);
    expect(body.recorded[0].oid).to.equal(digestOf(turned));
    const back = await world.call(`/acme/weather/objects/${digestOf(turned)}`, { token: READER });
    expect(Buffer.from(await back.arrayBuffer()).equals(turned)).to.equal(true);
  });

  it('record nothing that hashes to another oid', async () => {
    const { world, base, bytesOf } = await startWithBig();
    const wrong = { ...blobOf(bytesOf(1, 2), [[0, 1, 1]]), oid: digestOf('wrong') };
    const { status, body } = await record(world, { bases: [base], blobs: [wrong] });
    expect([status, body.recorded]).to.deep.equal([200, []]);
    expect(body.failed[0]).to.include({ oid: wrong.oid, code: 'MISMATCH' });
  });

  it('are taken from readers only, so that nobody learns what copies make', async () => {
    const { world, base, bytesOf } = await startWithBig();
    const json = { bases: [base], blobs: [blobOf(bytesOf(0, 1), [[0, 0, 1]])] };
    for (const token of [WRITE_ONLY, batchToken()]) {
      const { status, body } = await record(world, json, { token });
      expect([status, body.code]).to.deep.equal([403, 'FORBIDDEN']);
      expectSchema(body, 'errors#/$defs/api');
      const stranger = { ...base, oid: digestOf('not there') };
      const absent = await record(world, { ...json, bases: [stranger] }, { token });
      expect(absent.status).to.equal(403);
    }
    const full = { blobs: [blobOf(big, [])] };
    expect((await record(world, full, { token: WRITE_ONLY })).status).to.equal(200);
  });

  it('copy from no other repo', async () => {
    const { world, base } = await startWithBig();
    await world.json(OTHER, { method: 'PUT', json: {}, token: WRITER });
    const json = { bases: [base], blobs: [blobOf(big, [[0, 0, 1]])] };
    const { status, body } = await record(world, json, { api: OTHER });
    expect([status, body.code]).to.deep.equal([409, 'CONFLICT']);
  });

  it('are refused where the base has another recipe than the client thinks', async () => {
    const { world, base } = await startWithBig();
    for (const stale of [
      { ...base, recipe: digestOf('x') },
      { ...base, oid: digestOf('x') },
    ]) {
      const { status, body } = await record(world, {
        bases: [stale],
        blobs: [blobOf(big, [[0, 0, 1]])],
      });
      expect([status, body.code]).to.deep.equal([409, 'CONFLICT']);
      expect(body.hint).to.include('in full');
    }
  });

  for (const [what, piece] of [
    ['a copy of two numbers', [0, 0]],
    ['a copy of four numbers', [0, 0, 1, 1]],
    ['a negative count', [0, 0, -1]],
    ['a fraction', [0, 0.5, 1]],
    ['text for a number', [0, '0', 1]],
    ['no count', [0, 0, 0]],
    ['a copy past the end', [0, 1, 100_000]],
    ['a base that is not named', [1, 0, 1]],
    ['an object', { base: 0 }],
    ['null', null],
    ['a digest in capitals', 'A'.repeat(64)],
    ['a shortened digest', 'a'.repeat(16)],
  ] as const) {
    it(`are refused with ${what}`, async () => {
      const { world, base } = await startWithBig();
      const { status, body } = await record(world, {
        bases: [base],
        blobs: [blobOf(seededBytes(1, 10), [piece])],
      });
      expect(status).to.be.oneOf([400, 413]);
      expectSchema(body, 'errors#/$defs/api');
    });
  }

  for (const [what, bases] of [
    ['is no list', 'x'],
    ['has no recipe', [{ oid: 'a'.repeat(64) }]],
    ['has no oid', [{ recipe: 'a'.repeat(64) }]],
  ] as const) {
    it(`are refused where what they copy from ${what}`, async () => {
      const { world } = await startWithBig();
      const { status, body } = await record(world, { bases, blobs: [] });
      expect([status, body.code]).to.deep.equal([400, 'INVALID']);
    });
  }

  it('are refused where few bytes say millions of chunks, or there are too many bases', async () => {
    const { world, base, digests } = await startWithBig();
    const much = Array(Math.ceil(1_000_001 / digests.length)).fill([0, 0, digests.length]);
    const blobs = [blobOf(seededBytes(1, 10), much)];
    const { status, body } = await record(world, { bases: [base], blobs });
    expect([status, body.code]).to.deep.equal([413, 'TOO_LARGE']);
    const many = await record(world, { bases: Array(101).fill(base), blobs: [] });
    expect([many.status, many.body.code]).to.deep.equal([413, 'TOO_LARGE']);
  });

  it('name missing chunks between copies', async () => {
    const { world, base, bytesOf } = await startWithBig();
    const absent = digestOf('a chunk that was never sent');
    const { body } = await record(world, {
      bases: [base],
      blobs: [blobOf(bytesOf(0, 2), [[0, 0, 1], absent])],
    });
    expect(body.missing).to.deep.equal([absent]);
    expect(body.recorded).to.deep.equal([]);
  });
});
