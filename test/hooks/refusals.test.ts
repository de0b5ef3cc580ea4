/** Pushes that must fail, those that are none of our business, and a repo that means harm. */
import { chmod, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { digestOf } from '../../core/digest.ts';
import { removeHooks } from '../../git/hook-shims.ts';
import { openGitRepo } from '../../git/repository.ts';
import { type HookedProject, HookStage } from '../support/hook-stage.ts';

describe('hooks: pushes that must fail, and those that are none of our business', function () {
  this.timeout(60_000);
  let stage: HookStage;
  let count = 0;
  before(async () => {
    stage = await HookStage.create();
  });
  after(() => stage.remove());

  async function committed(): Promise<HookedProject & { readonly commit: string }> {
    count += 1;
    const project = await stage.project(`f${count}`);
    await project.repo.write('a.bin', `data ${count}`);
    return { ...project, commit: await project.repo.commit('first') };
  }
  const onRemote = (project: HookedProject): Promise<string> =>
    project.remote.git('for-each-ref', '--format=%(refname)');

  it('fails where the store cannot be written, and git sends nothing', async () => {
    const project = await committed();
    await project.repo.git('config', 'lfs.url', 'datamon::file:///dev/null/store//team/x');
    const ran = await project.repo.run(['push', 'origin', 'main']);
    expect(ran.status).to.not.equal(0);
    expect(ran.stderr).to.match(/^datamon: /);
    expect(ran.stderr).to.not.match(/\n\s+at /);
    expect(await onRemote(project)).to.equal('');
  });

  it('fails where data is neither here nor there, naming files and the command that helps', async () => {
    const project = await committed();
    await project.repo.git('remote', 'set-url', 'origin', 'git@github.com:acme/weather.git');
    await project.repo.git('remote', 'set-url', '--push', 'origin', project.remote.dir);
    await rm(project.repo.path('.git/lfs'), { recursive: true });
    const ran = await project.repo.run(['push', 'origin', 'main']);
    expect(ran.status).to.not.equal(0);
    const old = 'https://github.com/acme/weather.git/info/lfs';
    expect(ran.stderr).to.include('datamon: a.bin is neither on this machine nor in the store');
    expect(ran.stderr).to.include(`datamon: 1 file of this push are still on ${old}`);
    expect(ran.stderr).to.include(`Run: git -c lfs.url=${old} lfs fetch --all origin && git push`);
    expect(await onRemote(project)).to.equal('');
  });

  it('lets it go where the user allows incomplete pushes, and marks it', async () => {
    const project = await committed();
    await project.repo.git('config', 'lfs.allowincompletepush', 'true');
    await rm(project.repo.path('.git/lfs'), { recursive: true });
    const ran = await project.repo.run(['push', '-q', 'origin', 'main']);
    expect(ran.status, ran.stderr).to.equal(0);
    expect((await stage.events(project))[0]?.missing).to.deep.equal([digestOf(`data ${count}`)]);
  });

  it('fails where the file changed under its name, and records nothing', async () => {
    const project = await committed();
    const oid = digestOf(`data ${count}`);
    const file = project.repo.path('.git/lfs/objects', oid.slice(0, 2), oid.slice(2, 4), oid);
    await chmod(file, 0o644);
    await writeFile(file, `DATA ${count}`);
    const ran = await project.repo.run(['push', 'origin', 'main']);
    expect(ran.status).to.not.equal(0);
    expect(ran.stderr).to.include('datamon: a.bin: ');
    expect(await onRemote(project)).to.equal('');
    expect(await stage.events(project)).to.deep.equal([]);
  });

  it('fails on a path that somebody else holds locked, naming both, before bytes move', async () => {
    const project = await committed();
    await stage.pushAndRecord(project);
    await stage.visit(project, async ({ locks }) => {
      await locks.lock({ path: 'a.bin', owner: 'Bob <bob@example.org>', ref: null });
      await locks.lock({ path: 'mine.bin', owner: 'Ada <ada@example.org>', ref: null });
    });
    await project.repo.write('mine.bin', 'my own');
    await project.repo.commit('mine');
    expect((await project.repo.run(['push', '-q', 'origin', 'main'])).status).to.equal(0);
    await project.repo.write('a.bin', 'locked');
    await project.repo.commit('locked');
    const ran = await project.repo.run(['push', 'origin', 'main']);
    expect(ran.status).to.not.equal(0);
    expect(ran.stderr).to.include('datamon: a.bin is locked by Bob <bob@example.org>');
    const held = await stage.visit(project, ({ blobs }) => blobs.has([digestOf('locked')]));
    expect(held?.size).to.equal(0);
    expect(await stage.events(project)).to.have.length(2);
  });

  it('lets a new branch pass that does not touch what is locked', async () => {
    const project = await committed();
    await stage.pushAndRecord(project);
    await stage.visit(project, ({ locks }) =>
      locks.lock({ path: 'a.bin', owner: 'Bob <bob@example.org>', ref: null }),
    );
    await project.repo.write('b.bin', 'beside');
    await project.repo.commit('beside');
    const ran = await project.repo.run(['push', '-q', 'origin', 'main:feature']);
    expect(ran.status, ran.stderr).to.equal(0);
  });

  it('fails on rules nobody understands, naming the file', async () => {
    const project = await committed();
    await project.repo.write('.datamon.yaml', 'record: some\n');
    await project.repo.commit('rules');
    const ran = await project.repo.run(['push', 'origin', 'main']);
    expect(ran.status).to.not.equal(0);
    expect(ran.stderr).to.include('.datamon.yaml of commit');
  });

  for (const [what, key, value] of [
    ['a remote with LFS of its own', 'remote.origin.lfsurl', null],
    ['hooks switched off', 'datamon.hooks', 'off'],
  ] as const) {
    it(`leaves the push to git-lfs: ${what}`, async () => {
      const project = await committed();
      await project.repo.git('config', '--unset', 'lfs.url');
      await project.repo.git('config', key, value ?? `file://${project.remote.dir}`);
      const ran = await project.repo.run(['push', 'origin', 'main']);
      expect(ran.status, ran.stderr).to.equal(0);
      expect(ran.stderr).to.not.include('datamon');
      const names = await readdir(join(project.remote.dir, 'lfs', 'objects'));
      expect(names).to.have.length(1);
      expect(await stage.events(project)).to.deep.equal([]);
    });
  }

  it('passes on the exit status of git-lfs', async () => {
    const project = await committed();
    await project.repo.git('config', 'lfs.url', 'http://127.0.0.1:9/nobody/here');
    const ran = await project.repo.run(['push', 'origin', 'main']);
    expect(ran.status).to.not.equal(0);
    expect(await onRemote(project)).to.equal('');
  });

  it('honours GIT_LFS_SKIP_PUSH: nothing is sent, the bundle is marked', async () => {
    const project = await committed();
    const ran = await project.repo.run(['push', 'origin', 'main'], {
      env: { GIT_LFS_SKIP_PUSH: '1' },
    });
    expect(ran.status, ran.stderr).to.equal(0);
    expect(ran.stderr)
      .to.contain('GIT_LFS_SKIP_PUSH is set; 1 file not sent')
      .and.contain('datamon record')
      .and.not.contain('not on this machine');
    const held = await stage.visit(project, ({ blobs }) => blobs.has([digestOf(`data ${count}`)]));
    expect(held?.size).to.equal(0);
    expect((await stage.events(project))[0]?.missing).to.have.length(1);
  });

  for (const [style, lineCount] of [
    ['off', 0],
    ['short', 1],
  ] as const) {
    it(`prints ${lineCount} lines after the push with datamon.receipt=${style}`, async () => {
      const project = await committed();
      await project.repo.git('config', 'datamon.receipt', style);
      const { stderr } = await project.repo.run(['push', 'origin', 'main']);
      const after = stderr.slice(stderr.indexOf('[new branch]')).split('\n').slice(1, -1);
      expect(after).to.have.length(lineCount);
      expect(await stage.events(project)).to.have.length(1);
    });
  }

  it('runs nothing that lies in the repo', async () => {
    const project = await committed();
    const canary = '#!/bin/sh\ntouch "$(dirname "$0")/canary"\nexit 1\n';
    for (const name of ['git', 'node', 'git-lfs', 'sh', 'tail', 'cat', 'datamon']) {
      await project.repo.write(name, canary, 0o755);
    }
    await project.repo.commit('planted');
    const ran = await project.repo.run(['push', '-q', 'origin', 'main:-h'], {
      env: { PATH: `${stage.world.env['PATH']}:.:` },
    });
    expect(ran.stderr).to.not.include('canary');
    expect(await project.repo.read('canary').catch(() => null)).to.equal(null);
  });

  for (const form of ['our own hook', 'a chained hook', 'the lines for husky'] as const) {
    it(`never lets git send commits whose data a dead server lacks: ${form}`, async () => {
      const project = await committed();
      await removeHooks(await openGitRepo(project.repo.dir, stage.world.env));
      await project.repo.git('config', 'lfs.url', 'http://127.0.0.1:9/team/dead');
      if (form === 'our own hook') await stage.install(project.repo);
      if (form === 'a chained hook') {
        await project.repo.writeHook('pre-push', '#!/bin/sh\ncat >/dev/null\necho theirs >&2\n');
        await stage.install(project.repo, { chain: true });
      }
      if (form === 'the lines for husky') {
        await project.repo.git('config', 'core.hooksPath', '.husky');
        const { snippet } = await stage.install(project.repo);
        const theirs = 'feed | cat >/dev/null\necho theirs >&2\n';
        await project.repo.write('.husky/pre-push', `#!/bin/sh\n${snippet?.text}${theirs}`, 0o755);
      }
      const path = `${join(stage.launcher, '..')}:${stage.world.env['PATH']}`;
      const ran = await project.repo.run(['push', 'origin', 'main'], { env: { PATH: path } });
      expect(ran.status).to.not.equal(0);
      expect(await onRemote(project)).to.equal('');
      expect(ran.stderr.includes('theirs')).to.equal(form === 'a chained hook');
    });
  }
});
