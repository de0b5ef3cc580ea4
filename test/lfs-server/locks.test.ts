/** File locks as git-lfs uses them: never null lists, never 404 on the check, owners from tokens alone. */
import { expect } from 'chai';
import { parseRepoName } from '../../core/keys.ts';
import { expectSchema } from './support/schemas.ts';
import {
  ADMIN,
  type Answer,
  LFS,
  pushVersion,
  READER,
  REPO,
  type ServerWorld,
  STRANGER,
  startServer,
  tokenFor,
  WRITER,
} from './support/server-world.ts';

const BOB = tokenFor('bob', 'read:acme/*', 'write:acme/*');

const ask = (world: ServerWorld, path: string, json?: object, token = WRITER) =>
  world.json(`/${REPO}${path}`, {
    token,
    headers: { Accept: LFS },
    ...(json === undefined ? {} : { json }),
  });

async function lock(
  world: ServerWorld,
  path: string,
  token = WRITER,
  ref = 'refs/heads/main',
): Promise<Answer> {
  return await ask(world, '/locks', { path, ref: { name: ref } }, token);
}

describe('locks', () => {
  it('are made, listed, checked and given back', async () => {
    const world = await startServer();
    const made = await lock(world, 'data/a.bin');
    expect(made.status).to.equal(201);
    expect(made.headers.get('content-type')).to.equal(LFS);
    expectSchema(made.body, 'lfs-locks#/$defs/created');
    expect(made.body.lock.owner.name).to.equal('ada');
    const list = await ask(world, '/locks');
    expectSchema(list.body, 'lfs-locks#/$defs/list');
    expect(list.body.locks).to.deep.equal([made.body.lock]);
    const check = await ask(world, '/locks/verify', { ref: { name: 'refs/heads/main' } });
    expectSchema(check.body, 'lfs-locks#/$defs/check');
    expect(check.body).to.deep.equal({ ours: [made.body.lock], theirs: [] });
    const back = await ask(world, `/locks/${made.body.lock.id}/unlock`, { force: false });
    expect(back.status).to.equal(200);
    expectSchema(back.body, 'lfs-locks#/$defs/created');
    expect((await ask(world, '/locks')).body).to.deep.equal({ locks: [] });
  });

  it('are empty lists, never null and never 404, before the repo exists', async () => {
    const world = await startServer();
    expect((await ask(world, '/locks')).body).to.deep.equal({ locks: [] });
    const check = await ask(world, '/locks/verify', {});
    expect([check.status, check.body]).to.deep.equal([200, { ours: [], theirs: [] }]);
    expect(await world.repos.find(REPO)).to.equal(null);
  });

  it('answer the check with 401 or 403 to those who may not push, never 404 or 501', async () => {
    const world = await startServer();
    const statusOf = async (token: string | undefined) =>
      (await world.call(`/${REPO}/locks/verify`, { json: {}, token })).status;
    expect(await statusOf(READER)).to.equal(403);
    expect(await statusOf(STRANGER)).to.equal(403);
    expect(await statusOf(undefined)).to.equal(401);
  });

  it('answer 409 with the lock in the way, its twins too', async () => {
    const world = await startServer();
    const made = await lock(world, 'data/a.bin');
    for (const path of [
      'data/a.bin',
      'data//a.bin',
      './data/a.bin',
      'data/./a.bin',
      'DATA/A.bin',
    ]) {
      const refused = await lock(world, path, BOB);
      expect(refused.status, path).to.equal(409);
      expectSchema(refused.body, 'lfs-locks#/$defs/conflict');
      expect(refused.body.lock).to.deep.equal(made.body.lock);
    }
  });

  for (const path of [
    '',
    '/etc/passwd',
    '../x',
    'a/../../x',
    'a\nb',
    'a\\b',
    '.',
    'x'.repeat(5000),
  ]) {
    it(`are not made on ${JSON.stringify(path.slice(0, 20))}`, async () => {
      const world = await startServer();
      expect((await lock(world, path)).status).to.equal(400);
    });
  }

  it('take the owner from the token, whatever the body says', async () => {
    const world = await startServer();
    const made = await ask(world, '/locks', { path: 'a', owner: { name: 'bob' } });
    expect(made.body.lock.owner.name).to.equal('ada');
    const api = await world.json('/api/v1/repos/acme%2Fweather/locks', {
      json: { path: 'b', owner: 'bob', ref: null },
      token: WRITER,
    });
    expect(api.body.lock.owner).to.equal('ada');
  });

  it('of others stay, with force too, unless one is admin', async () => {
    const world = await startServer();
    const { id } = (await lock(world, 'a')).body.lock;
    for (const force of [false, true]) {
      const refused = await ask(world, `/locks/${id}/unlock`, { force }, BOB);
      expect(refused.status).to.equal(403);
      expectSchema(refused.body, 'errors#/$defs/lfs');
    }
    expect((await ask(world, `/locks/${id}/unlock`, { force: false }, ADMIN)).status).to.equal(403);
    expect((await ask(world, '/locks')).body.locks).to.have.length(1);
    expect((await ask(world, `/locks/${id}/unlock`, { force: true }, ADMIN)).status).to.equal(200);
  });

  it('of one’s own go with force, as git lfs unlock --force asks', async () => {
    const world = await startServer();
    const { id } = (await lock(world, 'a')).body.lock;
    expect((await ask(world, `/locks/${id}/unlock`, { force: true })).status).to.equal(200);
  });

  it('of another repo are not found by their id', async () => {
    const world = await startServer();
    const { id } = (await lock(world, 'a')).body.lock;
    await world.repository(parseRepoName('acme/other'));
    const answer = await world.json(`/acme/other/locks/${id}/unlock`, {
      json: { force: true },
      token: ADMIN,
    });
    expect(answer.status).to.equal(404);
    expect((await ask(world, '/locks')).body.locks).to.have.length(1);
  });

  it('are filtered by path, id and ref', async () => {
    const world = await startServer();
    const a = (await lock(world, 'a')).body.lock;
    await lock(world, 'b', BOB, 'refs/heads/next');
    const paths = async (query: string) =>
      (await ask(world, `/locks?${query}`)).body.locks.map((each: Answer) => each.path);
    expect(await paths('path=a')).to.deep.equal(['a']);
    expect(await paths(`id=${a.id}`)).to.deep.equal(['a']);
    expect(await paths('refspec=refs/heads/next')).to.deep.equal(['b']);
    expect(await paths('path=nothing')).to.deep.equal([]);
    expect((await ask(world, '/locks?path=a&path=b')).status).to.equal(400);
  });

  it('come page by page, each once', async () => {
    const world = await startServer();
    for (let n = 0; n < 7; n += 1) await lock(world, `f${n}`, n % 2 === 0 ? WRITER : BOB);
    const listed: string[] = [];
    for (let cursor = ''; ; ) {
      const { body } = await ask(world, `/locks?limit=3&cursor=${cursor}`);
      expectSchema(body, 'lfs-locks#/$defs/list');
      listed.push(...body.locks.map((each: Answer) => each.path));
      cursor = body.next_cursor ?? '';
      if (cursor === '') break;
    }
    expect(listed.sort()).to.deep.equal(['f0', 'f1', 'f2', 'f3', 'f4', 'f5', 'f6']);
    const first = (await ask(world, '/locks/verify', { limit: 5 })).body;
    const second = (await ask(world, '/locks/verify', { limit: 5, cursor: first.next_cursor }))
      .body;
    expect([first, second].flatMap(({ ours }) => ours)).to.have.length(4);
    expect([first, second].flatMap(({ theirs }) => theirs)).to.have.length(3);
    expect((await ask(world, '/locks?limit=-1')).status).to.equal(400);
  });

  it('belong to the user name given, where nobody needs a token', async () => {
    const world = await startServer({ anonymous: 'write' });
    const owner = async (headers: Record<string, string>, path: string) =>
      (await world.json(`/${REPO}/locks`, { json: { path }, headers })).body.lock.owner.name;
    expect(await owner({}, 'a')).to.equal('anonymous');
    const Authorization = `Basic ${Buffer.from('grace:').toString('base64')}`;
    expect(await owner({ Authorization }, 'b')).to.equal('grace');
  });

  it('refuse a push over them when it is announced, before git moves anything', async () => {
    const world = await startServer();
    const v1 = await pushVersion(world, { files: { 'a.csv': '1', 'b.csv': '1' } });
    const v2 = await pushVersion(world, {
      files: { 'a.csv': '2', 'b.csv': '1' },
      parent: v1.commit,
      branch: 'next',
      message: '2',
    });
    const announce = (token: string) =>
      world.json('/api/v1/repos/acme%2Fweather/pushes', {
        token,
        json: {
          pushId: 'c'.repeat(32),
          remote: 'git.example.org/acme/weather',
          pushedBy: 'Eve <eve@acme.io>',
          receipt: {
            newBytes: 0,
            resumedBytes: 0,
            storedBytes: 0,
            packCount: 0,
            requestCount: 0,
            durationMs: 0,
            reusedFrom: null,
            measured: true,
          },
          refs: [
            {
              ref: 'refs/heads/main',
              gitOld: v1.commit,
              gitNew: v2.commit,
              bundle: v2.bundle,
              totals: v2.totals,
              extraOids: null,
              missing: [],
              forced: false,
            },
          ],
        },
      });
    await lock(world, 'b.csv', BOB);
    expect((await announce(WRITER)).status).to.equal(201);
    await lock(world, 'a.csv', BOB);
    const refused = await announce(WRITER);
    expect([refused.status, refused.body.code]).to.deep.equal([409, 'LOCKED']);
    expect(refused.body.message).to.contain('a.csv (bob)');
    expect((await announce(BOB)).status).to.be.oneOf([201, 409]);
    const { pushes } = (await world.json('/api/v1/repos/acme%2Fweather/pushes', { token: READER }))
      .body;
    expect(pushes[0].pushedBy).to.equal('ada');
  });
});
