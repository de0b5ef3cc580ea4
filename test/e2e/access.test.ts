/** A server that wants tokens: who has none is told so, who may read cannot write, and a lock holds against others. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { FAST_PATHS_OFF } from '../../core/fast-paths.ts';
import type { GitRepo } from '../support/git-repo.ts';
import { seededBytes } from '../support/splitmix64.ts';
import { type Project, Stage } from './support/stage.ts';

describe('end to end: tokens and locks', function () {
  this.timeout(120_000);
  let stage: Stage;
  let project: Project;
  let ada: string;
  let bob: string;
  let reader: string;

  const pushAs = (repo: GitRepo, token: string | null) =>
    repo.run(['push', 'origin', 'HEAD'], token === null ? {} : { env: { DATAMON_TOKEN: token } });

  before(async () => {
    stage = await Stage.set({ server: 'running', access: 'tokens' });
    await stage.mustRun('datamon', ['install', '--server', stage.origin]);
    ada = await stage.token('ada', '--repo', 'team/*', '--read', '--write');
    bob = await stage.token('bob', '--repo', 'team/*', '--read', '--write');
    reader = await stage.token('eve', '--repo', 'team/*', '--read');
    const { repo, remote } = await stage.world.withRemote('guarded');
    const url = `${stage.origin}/team/guarded`;
    const initialised = await stage.run('datamon', ['init', url], {
      cwd: repo.dir,
      env: { DATAMON_TOKEN: ada },
    });
    expect(initialised.status, initialised.stderr).to.equal(0);
    project = { repo, remote, url };
    await repo.write('data.bin', seededBytes(1, 100_000));
    await repo.commit('First');
  });
  after(() => stage.strike());

  it('a push without a token fails, names the command, and moves nothing', async () => {
    const ran = await pushAs(project.repo, null);
    expect(ran.status).to.not.equal(0);
    expect(ran.stderr).to.contain('datamon login');
    expect(await project.remote.git('branch', '--list')).to.equal('');
  });

  it('a token that may only read cannot push', async () => {
    const ran = await pushAs(project.repo, reader);
    expect(ran.status).to.not.equal(0);
    expect(await project.remote.git('branch', '--list')).to.equal('');
  });

  it('a token that may write pushes, and the bundle is its subject\u2019s', async () => {
    const ran = await pushAs(project.repo, ada);
    expect(ran.status, ran.stderr).to.equal(0);
    const log = await stage.run('datamon', ['log', '--repo', project.url, '--json'], {
      env: { DATAMON_TOKEN: reader },
    });
    expect(JSON.parse(log.stdout)).to.include({ branch: 'main', pushedBy: 'ada' });
  });

  it('the log is closed to who has no token, with its own exit status', async () => {
    const log = await stage.run('datamon', ['log', '--repo', project.url]);
    expect(log.status).to.equal(12);
    expect(log.stderr).to.contain('datamon login');
  });

  it('a reader clones through git\u2019s credential helper', async () => {
    const cloned = await stage.world.run(
      'git',
      ['clone', '-q', project.remote.dir, 'guarded-clone'],
      { env: { DATAMON_TOKEN: reader } },
    );
    expect(cloned.status, cloned.stderr).to.equal(0);
  });

  it('a file somebody else locked cannot be pushed until it is unlocked', async () => {
    const { repo } = project;
    const locked = await repo.run(['lfs', 'lock', 'data.bin'], { env: { DATAMON_TOKEN: bob } });
    expect(locked.status, locked.stderr + locked.stdout).to.equal(0);
    await repo.run(['lfs', 'unlock', '--force', '--id', 'no-such'], {
      env: { DATAMON_TOKEN: ada },
    });
    await repo.write('data.bin', seededBytes(2, 100_000), 0o644);
    await repo.commit('Changed under a lock');
    const refused = await pushAs(repo, ada);
    expect(refused.status).to.not.equal(0);
    expect(refused.stderr).to.match(/data\.bin/);
    expect(refused.stderr).to.match(/bob/);
    const forced = await repo.run(['lfs', 'unlock', '--force', 'data.bin'], {
      env: { DATAMON_TOKEN: ada },
    });
    expect(forced.status, 'forcing another\u2019s lock needs the admin verb').to.not.equal(0);
    const unlocked = await repo.run(['lfs', 'unlock', '--force', 'data.bin'], {
      env: { DATAMON_TOKEN: bob },
    });
    expect(unlocked.status, unlocked.stderr + unlocked.stdout).to.equal(0);
    const pushed = await pushAs(repo, ada);
    expect(pushed.status, pushed.stderr).to.equal(0);
  });

  describe('a push of more files than git-lfs asks for at once', () => {
    const traced = (repo: GitRepo, token: string) =>
      repo.run(['push', 'origin', 'main'], {
        env: { DATAMON_TOKEN: token, GIT_TRACE: '1', [FAST_PATHS_OFF]: '' },
      });

    async function commitMany(repo: GitRepo, count: number, version: string): Promise<void> {
      for (let n = 0; n < count; n += 1) await repo.write(`many/${n}.bin`, `${n} ${version}`);
      await repo.commit(`${count} files, ${version}`);
    }

    it('is not asked for again by git-lfs; one of fewer is', async () => {
      const { repo } = project;
      await commitMany(repo, 100, 'first');
      const few = await traced(repo, ada);
      expect(few.status, few.stderr).to.equal(0);
      expect(few.stderr).to.include('trace git-lfs:');
      await commitMany(repo, 101, 'second');
      const many = await traced(repo, ada);
      expect(many.status, many.stderr).to.equal(0);
      expect(many.stderr).to.include('datamon: bundle ').and.not.include('trace git-lfs:');
      const clone = await stage.world.run(
        'git',
        ['clone', '-q', project.remote.dir, 'many-clone'],
        {
          env: { DATAMON_TOKEN: reader },
        },
      );
      expect(clone.status, clone.stderr).to.equal(0);
      const file = join(stage.world.root, 'many-clone', 'many', '100.bin');
      expect(await readFile(file, 'utf8')).to.equal('100 second');
    });

    it('does not pass over the lock of somebody else', async () => {
      const { repo } = project;
      const locked = await repo.run(['lfs', 'lock', 'many/7.bin'], { env: { DATAMON_TOKEN: bob } });
      expect(locked.status, locked.stderr + locked.stdout).to.equal(0);
      await commitMany(repo, 101, 'third');
      const refused = await traced(repo, ada);
      expect(refused.status).to.not.equal(0);
      expect(refused.stderr).to.include('many/7.bin is locked by bob');
    });
  });
});
