/** datamon's own API, driven by the client that uses it and by hand where that would never ask. */
import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect } from 'chai';
import { openRepositoryUrl } from '../../client/open.ts';
import { collect } from '../../core/bytes.ts';
import { digestOf } from '../../core/digest.ts';
import { hasCode } from '../../core/errors.ts';
import { parseDiscovery, parseRepoAnswer } from '../../core/meta/api-wire.ts';
import { createSyntheticCommit } from '../../core/meta/commit-object.ts';
import { rawPathFromText } from '../../core/meta/raw-path.ts';
import { recordBundle } from '../../core/meta/record.ts';
import type { Repository } from '../../core/meta/repository.ts';
import { sourceOf } from '../support/api-world.ts';
import { seededBytes } from '../support/splitmix64.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { expectSchema } from './support/schemas.ts';
import {
  batchToken,
  entryOf,
  moveTo,
  pushVersion,
  READER,
  REMOTE,
  REPO,
  type ServerWorld,
  startServer,
  tokenFor,
  WRITER,
} from './support/server-world.ts';

const API = '/api/v1/repos/acme%2Fweather';
const big = seededBytes(7, 700_000);

async function openRemote(world: ServerWorld, token = WRITER): Promise<Repository> {
  return await openRepositoryUrl(`${world.origin}/${REPO}`, {
    spoolDir: await makeTempDir(),
    token: { get: async () => token, reject: async () => {} },
    create: { by: 'ada', remote: REMOTE },
  });
}

describe('the API', () => {
  it('is discovered at the repo’s URL by whoever asks for JSON', async () => {
    const world = await startServer();
    for (const path of [`/${REPO}`, `/${REPO}.git`, `/${REPO}.git/info/lfs`, `/${REPO}/`]) {
      const { status, body } = await world.json(path, { headers: { Accept: 'application/json' } });
      expect(status, path).to.equal(200);
      expect(parseDiscovery(body.datamon, 'discovery')).to.deep.equal({
        version: 1,
        api: `${world.origin}/api/v1`,
        repo: REPO,
        transfers: ['datamon', 'basic'],
      });
    }
  });

  it('describes itself: every route of the table, in OpenAPI 3.1', async () => {
    const world = await startServer();
    const { body } = await world.json('/openapi.json');
    expect(body.openapi).to.equal('3.1.0');
    expect(body.servers).to.deep.equal([{ url: world.origin }]);
    expect(Object.keys(body.paths)).to.include.members([
      '/{repo}/objects/batch',
      '/api/v1/repos/{repo}/chunks/has',
      '/healthz',
      '/{repo}/tree/{path}',
    ]);
    for (const [path, methods] of Object.entries(body.paths)) {
      for (const operation of Object.values(methods as object)) {
        const inPath = operation.parameters.filter((each: { in: string }) => each.in === 'path');
        const named = inPath.map((each: { name: string }) => `{${each.name}}`);
        expect([...path.matchAll(/\{\w+\}/g)].map(String), path).to.have.members(named);
      }
    }
    expect(
      new Ajv2020().validateSchema(
        body.components.responses.Error.content['application/json'].schema,
      ),
    ).to.equal(true);
  });

  it('tells the pool’s parameters to writers only', async () => {
    const world = await startServer();
    await world.repository();
    const writer = parseRepoAnswer((await world.json(API, { token: WRITER })).body, 'repo');
    expect(writer.pool?.seed).to.match(/^[0-9a-f]{64}$/);
    expect(writer.verbs).to.deep.equal(['read', 'write']);
    const reader = parseRepoAnswer((await world.json(API, { token: READER })).body, 'repo');
    expect(reader.pool).to.equal(null);
    expect(reader.info).to.deep.equal(writer.info);
  });

  it('shows a repo that is not there to those who may begin it', async () => {
    const world = await startServer();
    const writer = await world.json(API, { token: WRITER });
    expect([writer.status, writer.body.info]).to.deep.equal([200, null]);
    expect((await world.json(API, { token: READER })).status).to.equal(404);
    const made = await world.json(API, { method: 'PUT', json: { remote: REMOTE }, token: WRITER });
    expect(made.body.info.remote).to.equal(REMOTE);
    expect((await world.json(API, { token: READER })).status).to.equal(200);
    const again = await world.json(API, {
      method: 'PUT',
      json: { remote: 'elsewhere.org/x' },
      token: WRITER,
    });
    expect(again.body.info.remote).to.equal(REMOTE);
  });

  it('lists the repos one may read, and no others', async () => {
    const world = await startServer();
    await world.repository();
    const names = async (token: string) =>
      (await world.json('/api/v1/repos', { token })).body.repos.map(
        (each: { repo: string }) => each.repo,
      );
    expect(await names(READER)).to.deep.equal([REPO]);
    expect(await names(tokenFor('eve', 'read:other/*'))).to.deep.equal([]);
    expect(await names(tokenFor('eve', 'write:*'))).to.deep.equal([]);
  });

  it('takes files by chunks and gives them back, whole and in part', async () => {
    const world = await startServer();
    const remote = await openRemote(world);
    const receipt = await remote.blobs.put(sourceOf(big));
    expect(receipt.newBytes).to.be.within(1, big.length);
    const { blobs } = await openRemote(world, READER);
    expect((await collect(blobs.get(digestOf(big)), big.length)).equals(big)).to.equal(true);
    const part = await collect(blobs.get(digestOf(big), { start: 300_000, end: 300_010 }), 10);
    expect(part.equals(big.subarray(300_000, 300_010))).to.equal(true);
    const edited = Buffer.concat([
      big.subarray(0, 350_000),
      Buffer.from('inserted'),
      big.subarray(350_000),
    ]);
    const second = await (await openRemote(world)).blobs.put(sourceOf(edited));
    expect(second.newBytes).to.be.below(big.length / 2);
    const direct = await world.repository();
    expect(
      (await collect(direct.blobs.get(digestOf(edited)), edited.length)).equals(edited),
    ).to.equal(true);
  });

  it('takes the token of a datamon batch for all of a transfer', async () => {
    const world = await startServer();
    await world.repository();
    const up = await openRemote(world, batchToken());
    await up.blobs.put(sourceOf(big));
    const down = await openRemote(world, batchToken({ operation: 'download' }));
    expect((await collect(down.blobs.get(digestOf(big)), big.length)).equals(big)).to.equal(true);
  });

  it('records bundles and moves, and shows them again', async () => {
    const world = await startServer();
    const remote = await openRemote(world);
    await remote.blobs.put(sourceOf(Buffer.from('1')));
    const { commit, commitObject } = createSyntheticCommit({
      message: 'one',
      author: { name: 'Ada', mail: 'ada@acme.io' },
      at: new Date(0),
      parents: [],
      treeLabel: '00',
    });
    const entries = [entryOf(rawPathFromText('a.csv'), digestOf('1'), 1)];
    const recorded = await recordBundle(remote, {
      commit,
      commitObject,
      entries,
      rules: { recorder: 1, config: null },
      pointerExtensions: [],
    });
    const move = moveTo(recorded, commit, { files: {} });
    expect(await remote.history.recordMove(move)).to.equal('recorded');
    expect(await remote.history.recordMove(move)).to.equal('already');
    expect(await remote.history.bundleOfCommit(commit)).to.equal(recorded.bundle);
    expect(await remote.history.getBundle(recorded.bundle)).to.deep.equal(recorded.descriptor);
    expect(await remote.history.findBundles(recorded.bundle.slice(0, 8), 5)).to.deep.equal([
      recorded.bundle,
    ]);
    await remote.history.setLabel('v1', recorded.bundle, 'somebody else');
    for await (const { event } of remote.history.labels()) expect(event.by).to.equal('ada');
    for await (const { event } of remote.history.branches())
      expect([event.branch, event.pushedBy]).to.deep.equal(['main', 'ada']);
    await remote.history.setLabel('v1', null, 'ada');
    await remote.history.settle(move.pushId, 'confirmed');
  });

  it('says which chunks of a stranger’s repo it knows: none', async () => {
    const world = await startServer();
    await (await openRemote(world)).blobs.put(sourceOf(big));
    const recipe = await world.json(`${API}/objects/${digestOf(big)}/recipe`, { token: READER });
    const digests = recipe.body.chunks.map((each: { digest: string }) => each.digest);
    expect(digests.length).to.be.above(3);
    const have = async (api: string) =>
      (
        await world.json(`${api}/chunks/has`, {
          json: { digests, basis: [digestOf(big)] },
          token: WRITER,
        })
      ).body.have;
    expect(await have(API)).to.have.length(digests.length);
    await world.json('/api/v1/repos/acme%2Fother', { method: 'PUT', json: {}, token: WRITER });
    expect(await have('/api/v1/repos/acme%2Fother')).to.deep.equal([]);
  });

  it('records no blob from chunks that only another repo has', async () => {
    const world = await startServer();
    await (await openRemote(world)).blobs.put(sourceOf(big));
    const recipe = (await world.json(`${API}/objects/${digestOf(big)}/recipe`, { token: READER }))
      .body;
    const chunks = recipe.chunks.map((each: { digest: string }) => each.digest);
    const stolen = await world.json('/api/v1/repos/acme%2Fother/objects', {
      token: WRITER,
      json: { packs: [], blobs: [{ oid: digestOf(big), size: big.length, chunks }], pages: [] },
    });
    expect(stolen.status).to.equal(200);
    expect(stolen.body.recorded).to.deep.equal([]);
    expect(stolen.body.missing).to.have.members([...new Set(chunks)]);
    expect(
      (await world.call(`/acme/other/objects/${digestOf(big)}`, { token: WRITER })).status,
    ).to.equal(404);
  });

  it('takes no forged, foreign or borrowed pack ticket', async () => {
    const world = await startServer();
    await world.repository();
    for (const ticket of ['x', batchToken(), WRITER, 'a.b.c']) {
      const { status, body } = await world.json(`${API}/objects`, {
        token: WRITER,
        json: { packs: [ticket], blobs: [], pages: [] },
      });
      expect([status, body.code]).to.deep.equal([400, 'INVALID']);
    }
  });

  it('refuses packs that are none, without a length, or too large', async () => {
    const world = await startServer();
    const pack = `${API}/packs/${'d'.repeat(32)}`;
    const put = (body: Buffer) => world.call(pack, { method: 'PUT', body, token: WRITER });
    expect((await put(Buffer.from('not a pack'))).status).to.equal(400);
    expect((await put(Buffer.alloc(0))).status).to.equal(400);
    expect((await put(Buffer.alloc(81 * 1024 * 1024))).status).to.equal(413);
  }).timeout(10_000);

  it('lists the files of a bundle, page by page', async () => {
    const world = await startServer();
    const files = Object.fromEntries(
      Array.from({ length: 25 }, (_, n) => [`d${n % 3}/f${n}`, String(n)]),
    );
    const { bundle } = await pushVersion(world, { files });
    const paths: string[] = [];
    for (let after: string | null = ''; after !== null; ) {
      const { body } = await world.json(
        `${API}/bundles/${bundle}/entries?limit=10&after=${after}`,
        { token: READER },
      );
      paths.push(...body.entries.map((each: { path: string }) => each.path));
      after = body.next;
    }
    expect(paths).to.have.length(25);
    const below = await world.json(`${API}/bundles/${bundle}/entries?prefix=d1/`, {
      token: READER,
    });
    expect(
      below.body.entries.every((each: { path: string }) => each.path.startsWith('d1/')),
    ).to.equal(true);
  });

  it('pages through a branch’s log', async () => {
    const world = await startServer();
    let parent = (await pushVersion(world, { files: { a: '0' }, message: '0' })).commit;
    for (let n = 1; n < 5; n += 1)
      parent = (await pushVersion(world, { files: { a: String(n) }, message: String(n), parent }))
        .commit;
    const numbers = async (query: string) =>
      (await world.json(`${API}/branches/main/log?${query}`, { token: READER })).body.events.map(
        (each: { n: number }) => each.n,
      );
    expect(await numbers('limit=2')).to.deep.equal([5, 4]);
    expect(await numbers('limit=2&before=4')).to.deep.equal([3, 2]);
    expect(await numbers('before=1')).to.deep.equal([]);
    expect(
      (await world.json(`${API}/branches/main/log?limit=x`, { token: READER })).status,
    ).to.equal(400);
  });

  for (const [method, path, json] of [
    ['POST', '/objects/has', { oids: ['x'] }],
    ['POST', '/objects/has', { oids: Array(10_001).fill('a'.repeat(64)) }],
    ['POST', '/objects/has', {}],
    ['POST', '/objects/has', []],
    ['POST', '/chunks/has', { digests: [null], basis: [] }],
    ['POST', '/objects', { packs: 'x', blobs: [], pages: [] }],
    [
      'POST',
      '/objects',
      { packs: [], blobs: [{ oid: 'a'.repeat(64), size: -1, chunks: [] }], pages: [] },
    ],
    ['PUT', '/bundles', { tree: 'x' }],
    ['PUT', '/labels/v1', { bundle: 7 }],
    ['POST', '/pushes', { pushId: '../../x' }],
    ['POST', `/pushes/${'a'.repeat(32)}/moves`, { pushId: 'b'.repeat(32) }],
    ['POST', `/pushes/${'a'.repeat(32)}/done`, { outcome: 'maybe' }],
    ['POST', '/pushes/..%2f..%2fx/done', { outcome: 'confirmed' }],
    ['GET', '/bundles?prefix=..%2f', undefined],
    ['GET', '/commits/xyz', undefined],
    ['GET', '/pages/xyz', undefined],
  ] as const) {
    it(`answers ${method} ${path} with ${JSON.stringify(json)?.slice(0, 50) ?? 'nothing'} by a named error`, async () => {
      const world = await startServer();
      await world.repository();
      const { status, body } = await world.json(API + path, {
        method,
        token: WRITER,
        ...(json === undefined ? {} : { json }),
      });
      expect(status).to.be.oneOf([400, 413]);
      expectSchema(body, 'errors#/$defs/api');
      expect(JSON.stringify(body)).not.to.match(/\.ts:|node:|at async/);
    });
  }

  it('refuses a body that is no JSON, broken UTF-8 or a prototype in disguise', async () => {
    const world = await startServer();
    await world.repository();
    const send = (body: Buffer | string) =>
      world.json(`${API}/objects/has`, {
        method: 'POST',
        body,
        token: WRITER,
        headers: { 'Content-Type': 'application/json' },
      });
    expect((await send('{')).status).to.equal(400);
    expect((await send(Buffer.from([0x7b, 0xff, 0x7d]))).status).to.equal(400);
    expect((await send('{"__proto__":{"oids":[]}}')).status).to.equal(400);
    expect((await send(`${'['.repeat(100_000)}`)).status).to.equal(400);
    expect(({} as { oids?: unknown }).oids).to.equal(undefined);
  });

  it('tells a failure nobody foresaw by its number alone, and the log what it was', async () => {
    const world = await startServer({
      repos: (repos) => ({
        ...repos,
        find: async () => {
          throw new Error('secret detail of acme/weather');
        },
      }),
    });
    for (const path of [API, `/${REPO}`, `/${REPO}/locks`]) {
      const response = await world.call(path, {
        token: WRITER,
        headers: { 'X-Request-Id': 'quoted-7' },
      });
      const body = await response.text();
      expect(response.status).to.equal(500);
      expect(body).not.to.contain('secret');
      expect(body).to.contain('quoted-7');
      expect(world.log.at(-1)?.trace).to.contain('secret detail');
    }
  });

  it('is ready when the store answers, and says no more than 503 when not', async () => {
    const world = await startServer();
    expect((await world.json('/readyz')).body).to.deep.equal({ status: 'ready' });
    const broken = await startServer({
      repos: (repos) => ({
        ...repos,
        probe: async () => {
          throw new Error('bucket acme-secret is gone');
        },
      }),
    });
    const { status, body, headers } = await broken.json('/readyz', {
      headers: { Accept: 'application/json' },
    });
    expect(status).to.equal(503);
    expect(headers.get('retry-after')).to.match(/^\d+$/);
    expect(JSON.stringify(body)).not.to.contain('acme');
    expect((await broken.json('/healthz')).status).to.equal(200);
  });

  it('echoes a request id that is one, and makes its own otherwise', async () => {
    const world = await startServer();
    const idFor = async (given: string) =>
      (await world.call('/healthz', { headers: { 'X-Request-Id': given } })).headers.get(
        'x-request-id',
      );
    expect(await idFor('abc-123')).to.equal('abc-123');
    expect(await idFor('<script>')).to.match(/^[0-9a-f]{16}$/);
  });

  it('says nothing of what it is built with', async () => {
    const world = await startServer();
    const { headers } = await world.call('/healthz');
    expect(headers.get('x-powered-by')).to.equal(null);
    expect(headers.get('access-control-allow-origin')).to.equal(null);
  });

  it('lets a reader read and refuses what he writes by name', async () => {
    const world = await startServer();
    await world.repository();
    const reader = await openRemote(world, READER);
    const refused = await reader.history
      .setLabel('v1', null, 'bob')
      .catch((error: unknown) => error);
    expect(hasCode(refused, 'FORBIDDEN')).to.equal(true);
  });
});
