/** Whether a push is ours to handle: asked of the server once, remembered, and never in the way of somebody else's LFS. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { hasCode } from '../../core/errors.ts';
import { type GitRepository, openGitRepo } from '../../git/repository.ts';
import { nothingPushed, openTarget } from '../../hooks/target.ts';
import { GitWorld } from '../support/git-repo.ts';
import { hookWorld } from '../support/hook-world.ts';

const DAY_MS = 24 * 60 * 60 * 1000;

describe('hooks/target', function () {
  this.timeout(20_000);
  let world: GitWorld;
  let repo: GitRepository;
  let server: Server;
  let asked: string[];
  let isDatamon: boolean;
  let origin: string;

  beforeEach(async () => {
    world = await GitWorld.create();
    repo = await openGitRepo((await world.init('r')).dir, world.env);
    asked = [];
    isDatamon = false;
    server = createServer((request, response) => {
      asked.push(`${request.method} ${request.url}`);
      const info = {
        pool: 'team',
        remote: null,
        createdBy: 'Ada',
        createdAt: '2026-01-01T00:00:00Z',
      };
      const repoAnswer = {
        repo: 'team/r',
        info,
        webUrl: `${origin}/team/r`,
        verbs: ['read', 'write'],
      };
      const discovery = {
        datamon: { version: 1, api: `${origin}/api/v1`, repo: 'team/r', transfers: ['datamon'] },
      };
      response.statusCode = isDatamon ? 200 : 404;
      response.setHeader('Content-Type', 'application/json');
      const isApi = request.url?.startsWith('/api/') === true;
      response.end(JSON.stringify(isDatamon ? (isApi ? repoAnswer : discovery) : {}));
    });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterEach(async () => {
    await stop();
    await world.remove();
  });

  async function stop(): Promise<void> {
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
  }
  const open = (nowMs = 0, lfsUrl = `${origin}/team/r`) =>
    openTarget({
      world: hookWorld({ env: world.env, cwd: world.root, nowMs }),
      repo,
      lfsUrl,
      signal: AbortSignal.timeout(15_000),
    });

  it('asks a stranger once a day', async () => {
    expect(await open(0)).to.equal(null);
    const count = asked.length;
    expect(count).to.be.greaterThan(0);
    expect(await open(DAY_MS - 1)).to.equal(null);
    expect(asked).to.have.length(count);
    expect(await open(DAY_MS + 1)).to.equal(null);
    expect(asked.length).to.be.greaterThan(count);
  });

  it('never asks about URLs that cannot be ours', async () => {
    expect(await open(0, `${origin}/gitlab/sub/group/r.git/info/lfs`)).to.equal(null);
    expect(asked).to.deep.equal([]);
  });

  it('knows a server whose URL names a user', async () => {
    isDatamon = true;
    const target = await open(0, `${origin.replace('//', '//ada@')}/team/r`);
    expect(target?.mode).to.equal('negotiated');
    await target?.repository.close();
  });

  it('fails where a server known for ours does not answer, and says nothing was pushed', async () => {
    isDatamon = true;
    const target = await open();
    expect(target?.mode).to.equal('negotiated');
    expect(target?.repository.webUrl).to.equal(`${origin}/team/r`);
    await target?.repository.close();
    await stop();
    const failure = await open().catch((error: unknown) => error);
    expect(hasCode(failure, 'UNAVAILABLE')).to.equal(true);
    const shown = nothingPushed(failure);
    expect((shown as Error).message).to.match(/Nothing was pushed\.$/);
  });

  it('leaves it to git-lfs where a server nobody knows does not answer', async () => {
    await stop();
    expect(await open()).to.equal(null);
  });
});
