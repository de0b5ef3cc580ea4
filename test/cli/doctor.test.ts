/** doctor inside a clone: what only shows with a history, a git host, a server that refuses, or a clock that is off. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect } from 'chai';
import { clockFinding } from '../../cli/doctor-store.ts';
import { probeRepository } from '../../client/probe.ts';
import { DatamonError } from '../../core/errors.ts';
import { type GitRepo, GitWorld } from '../support/git-repo.ts';
import { datamon, memoryRepo, withRepo } from './support/cli.ts';

describe('datamon doctor in a clone', function () {
  // Each test runs git and git-lfs dozens of times.
  this.timeout(40_000);
  let world: GitWorld;
  let repo: GitRepo;
  let store: string;
  const run = (...argv: string[]) => datamon(argv, { cwd: repo.dir, env: world.env });
  const check = async (name: string) =>
    (await run('doctor', '--json')).json.find((row) => row['check'] === name);

  beforeEach(async () => {
    world = await GitWorld.create();
    ({ repo } = await world.withRemote('weather'));
    store = join(world.root, 'store');
  });
  afterEach(() => world.remove());

  it('finds bytes in git where pointers are expected, and no other file', async () => {
    await run('init', store, '--no-hooks');
    await repo.write('.gitattributes', '*.bin filter=lfs diff=lfs merge=lfs -text\n');
    await repo.write('a.bin', 'a pointer stands for this');
    await repo.write('code.txt', 'no LFS file');
    await repo.commit('Well');
    expect(await check('real-data')).to.include({ ok: true });
    await repo.write('small.bin', 'bytes');
    await repo.write('large.bin', 'bytes '.repeat(1000));
    // A machine without git-lfs: the filter does nothing.
    const off = ['-c', 'filter.lfs.clean=cat', '-c', 'filter.lfs.process=', '-c'];
    await repo.git(...off, 'filter.lfs.required=false', 'add', 'small.bin', 'large.bin');
    await repo.git('commit', '-q', '-m', 'Badly');
    const found = await check('real-data');
    expect(found).to.include({ ok: false });
    expect(found?.['says']).to.match(/bytes of 2 LFS files of HEAD, such as (small|large)\.bin/);
    await repo.git('add', '--renormalize', '.');
    await repo.git('commit', '-q', '-m', 'As doctor says');
    expect(await check('real-data')).to.include({ ok: true });
  });

  it('names the oldest branch or tag where it would look elsewhere', async () => {
    await repo.git('remote', 'set-url', 'origin', 'https://git.example.org/acme/weather.git');
    await repo.write('a.txt', 'before datamon');
    await repo.git('add', '-A');
    const env = { GIT_COMMITTER_DATE: '2020-01-02T03:04:05Z' };
    await world.run('git', ['commit', '-q', '-m', 'Old'], { cwd: repo.dir, env });
    await repo.git('tag', 'v1');
    await run('init', store, '--shared', '--no-hooks');
    await repo.commit('Data in datamon');
    expect(await check('old-commits')).to.include({ ok: true });
    await repo.git('config', '--local', '--unset', 'lfs.url');
    const found = await check('old-commits');
    expect(found).to.include({ ok: false, fix: 'datamon init' });
    expect(found?.['says']).to.contain('v1, the oldest branch or tag').and.contain('git.example');
    await run('doctor', '--fix');
    expect(await check('old-commits')).to.include({ ok: true });
  });

  it('init again keeps what the team agreed on', async () => {
    await run('init', store, '--shared', '--no-hooks');
    await repo.git('config', '--local', '--unset', 'lfs.url');
    const { json, stderr } = await run('init', '--json');
    expect(json[0]).to.include({ written: null });
    expect(stderr).to.not.contain('--shared');
    expect(await repo.git('config', '--local', 'lfs.url')).to.contain(store);
  });

  it('tells of the traps of GitHub and GitLab, only where the data is elsewhere', async () => {
    await repo.git('remote', 'set-url', 'origin', 'git@github.com:acme/weather.git');
    await repo.git('remote', 'add', 'lab', 'https://gitlab.com/acme/weather.git');
    expect(await check('git-host-origin')).to.equal(undefined);
    await run('init', store, '--no-hooks');
    const hub = await check('git-host-origin');
    expect(hub).to.include({ ok: null });
    expect(hub?.['says']).to.contain('GH008').and.contain('https://github.com/acme/weather.git/');
    expect((await check('git-host-lab'))?.['says']).to.contain('Settings');
  });

  it('says what one may do in a store, and that clocks agree', async () => {
    await run('init', store, '--no-hooks');
    await repo.write('a.txt', 'x');
    await repo.commit('One');
    expect(await check('access')).to.include({ ok: true });
    expect(await check('clock')).to.include({ ok: true });
  });

  it('a clock that is off by more than tokens forgive is named, either way', () => {
    const here = new Date('2026-01-02T03:04:05Z');
    const at = (offsetMs: number) => clockFinding(new Date(here.getTime() + offsetMs), here);
    expect(at(29_000).ok).to.equal(true);
    expect(at(31_000)).to.include({ ok: false });
    expect(at(31_000).says).to.contain('31 s behind');
    expect(at(-3_600_000).says).to.contain('1 h ahead of');
    expect(clockFinding(null, here).ok).to.equal(null);
  });
});

describe('probeRepository', () => {
  const token = (value: string | null) => ({
    token: { get: () => Promise.resolve(value), reject: () => Promise.resolve() },
  });

  it('of a store: writes and tells the time', async () => {
    const url = memoryRepo();
    await withRepo(url, () => Promise.resolve());
    const { mayWrite, clock } = await probeRepository(url, {});
    expect([mayWrite, clock instanceof Date]).to.deep.equal([true, true]);
  });

  it('of a server: what the token allows, and asks for one where reading needs none', async () => {
    const server = await fakeServer();
    try {
      const of = async (value: string | null) => probeRepository(server.url, token(value));
      expect(await of('writer')).to.include({ mayWrite: true, why: null });
      expect((await of('reader')).why).to.contain('the token may read acme/x');
      const anonymous = await of(null);
      expect(anonymous.why).to.contain('without a token');
      expect(anonymous.clock?.toISOString()).to.equal('2026-01-02T03:04:05.000Z');
    } finally {
      await server.close();
    }
  });

  it('a server that is gone is UNAVAILABLE', async () => {
    const server = await fakeServer();
    await server.close();
    const failed = await probeRepository(server.url, {}).catch((error: unknown) => error);
    expect(failed).to.be.instanceOf(DatamonError).and.include({ code: 'UNAVAILABLE' });
  });
});

/** Discovery and description of one repo; everybody reads, the token `writer` writes. */
async function fakeServer(): Promise<{ readonly url: string; close(): Promise<unknown> }> {
  const server: Server = createServer((request, response) => {
    const { port } = server.address() as AddressInfo;
    const writes = request.headers.authorization?.includes('writer') === true;
    const discovery = {
      datamon: {
        repo: 'acme/x',
        version: 1,
        api: `http://127.0.0.1:${port}/api/v1`,
        transfers: ['datamon'],
      },
    };
    const described = {
      repo: 'acme/x',
      info: null,
      webUrl: null,
      verbs: writes ? ['read', 'write'] : ['read'],
      pool: null,
    };
    response.writeHead(200, {
      'content-type': 'application/json',
      date: 'Fri, 02 Jan 2026 03:04:05 GMT',
    });
    response.end(JSON.stringify(request.url?.startsWith('/api/') ? described : discovery));
  });
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/acme/x`,
    close: () => new Promise((done) => server.close(done)),
  };
}
