/** What happens to bundles when refs move in other ways than forward: refused, raced, forced, tagged, deleted, unhooked. */
import { expect } from 'chai';
import { seededBytes } from '../support/splitmix64.ts';
import { type Project, Stage } from './support/stage.ts';

describe('end to end: refs and bundles', function () {
  this.timeout(120_000);
  let stage: Stage;
  before(async () => {
    stage = await Stage.set({ server: 'running' });
  });
  after(() => stage.strike());

  /** A project whose first push is done; returns that commit. */
  async function pushed(
    name: string,
  ): Promise<{ readonly project: Project; readonly commit: string }> {
    const project = await stage.project(name);
    await project.repo.write('data.bin', seededBytes(name.length, 200_000));
    const commit = await project.repo.commit('First');
    const ran = await project.repo.run(['push', '-u', 'origin', 'main']);
    expect(ran.status, ran.stderr).to.equal(0);
    return { project, commit };
  }

  it('a push that the remote refuses leaves no bundle', async () => {
    const { project, commit } = await pushed('refused');
    await project.remote.writeHook('pre-receive', '#!/bin/sh\necho no >&2\nexit 1\n');
    await project.repo.write('data.bin', seededBytes(77, 210_000));
    const refused = await project.repo.commit('Refused');
    const ran = await project.repo.run(['push']);
    expect(ran.status).to.not.equal(0);
    expect(ran.stderr).to.not.match(/datamon: bundle/);
    expect((await stage.log(project)).map((bundle) => bundle.commit)).to.deep.equal([commit]);
    const show = await stage.run('datamon', ['show', refused, '--repo', project.url]);
    expect(show.status).to.equal(10);
  });

  it('two clones push the same branch at once: one wins, one bundle, and the loser pushes after a pull', async () => {
    const { project } = await pushed('race');
    const clones = [
      await stage.world.clone(project.remote, 'race-a'),
      await stage.world.clone(project.remote, 'race-b'),
    ];
    for (const [index, clone] of clones.entries()) {
      await clone.write(`mine-${index}.bin`, seededBytes(500 + index, 150_000));
      await clone.commit(`From clone ${index}`);
    }
    const runs = await Promise.all(clones.map((clone) => clone.run(['push', 'origin', 'main'])));
    const winners = runs.filter((ran) => ran.status === 0);
    expect(winners.length, runs.map((ran) => ran.stderr).join('\n')).to.equal(1);
    expect((await stage.log(project)).length).to.equal(2);
    const loser = clones[runs.findIndex((ran) => ran.status !== 0)];
    await loser?.git('pull', '-q', '--rebase', 'origin', 'main');
    const again = await loser?.run(['push', 'origin', 'main']);
    expect(again?.status, again?.stderr).to.equal(0);
    const bundles = await stage.log(project);
    expect(bundles.length).to.equal(3);
    expect(bundles[0]?.commit).to.equal(await loser?.git('rev-parse', 'HEAD'));
    expect(bundles[0]?.files).to.equal(3);
  });

  it('two clones push different branches at once: both are recorded', async () => {
    const { project } = await pushed('pair');
    const clones = [
      await stage.world.clone(project.remote, 'pair-a'),
      await stage.world.clone(project.remote, 'pair-b'),
    ];
    const shared = seededBytes(900, 400_000);
    for (const [index, clone] of clones.entries()) {
      await clone.git('checkout', '-q', '-b', `topic/${index}`);
      await clone.write('shared.bin', shared);
      await clone.write('own.bin', seededBytes(901 + index, 100_000));
      await clone.commit(`Topic ${index}`);
    }
    const runs = await Promise.all(
      clones.map((clone, index) => clone.run(['push', '-u', 'origin', `topic/${index}`])),
    );
    for (const ran of runs) expect(ran.status, ran.stderr).to.equal(0);
    const branches = (await stage.log(project)).map((bundle) => bundle.branch).sort();
    expect(branches).to.deep.equal(['main', 'topic/0', 'topic/1']);
  });

  it('--no-verify: what is on this machine is uploaded after all, and the bundle is recorded', async () => {
    const { project } = await pushed('noverify');
    const bytes = seededBytes(321, 300_000);
    await project.repo.write('late.bin', bytes);
    const commit = await project.repo.commit('Unhooked');
    const ran = await project.repo.run(['push', '--no-verify']);
    expect(ran.status, ran.stderr).to.equal(0);
    expect(ran.stderr).to.match(/hook was skipped/);
    expect((await stage.log(project))[0]).to.include({ commit, files: 2 });
    const clone = await stage.world.clone(project.remote, 'noverify-clone');
    expect((await clone.read('late.bin')).equals(bytes)).to.equal(true);
  });

  it('a tag becomes a label', async () => {
    const { project, commit } = await pushed('tags');
    await project.repo.git('tag', '-a', 'v1', '-m', 'Version 1');
    const ran = await project.repo.run(['push', 'origin', 'v1']);
    expect(ran.status, ran.stderr).to.equal(0);
    await eventually(async () => {
      const labels = await stage.mustRun('datamon', [
        'label',
        'list',
        '--repo',
        project.url,
        '--json',
      ]);
      expect(labels).to.contain('"v1"');
    });
    const shown = await stage.mustRun('datamon', ['show', 'v1', '--repo', project.url]);
    expect(shown).to.contain(commit.slice(0, 7));
  });

  it('a force push is logged; the bundle it left behind stays', async () => {
    const { project, commit } = await pushed('forced');
    await project.repo.write('data.bin', seededBytes(5, 190_000));
    await project.repo.git('add', '-A');
    await project.repo.git('commit', '-q', '--amend', '-m', 'Rewritten');
    const rewritten = await project.repo.git('rev-parse', 'HEAD');
    const ran = await project.repo.run(['push', '--force']);
    expect(ran.status, ran.stderr).to.equal(0);
    expect((await stage.log(project)).map((bundle) => bundle.commit)).to.deep.equal([
      rewritten,
      commit,
    ]);
    const old = await stage.mustRun('datamon', [
      'cat',
      `${commit}:data.bin`,
      '--repo',
      project.url,
    ]);
    expect(old.length).to.be.greaterThan(0);
  });

  it('a dry run records nothing', async () => {
    const { project, commit } = await pushed('dry');
    await project.repo.write('more.bin', seededBytes(6, 100_000));
    await project.repo.commit('Not pushed');
    const ran = await project.repo.run(['push', '--dry-run']);
    expect(ran.status, ran.stderr).to.equal(0);
    expect((await stage.log(project)).map((bundle) => bundle.commit)).to.deep.equal([commit]);
  });

  it('several refs in one push: one bundle each', async () => {
    const { project } = await pushed('several');
    await project.repo.git('checkout', '-q', '-b', 'one');
    await project.repo.write('one.bin', 'one');
    await project.repo.commit('One');
    await project.repo.git('checkout', '-q', '-b', 'two');
    await project.repo.write('two.bin', 'two');
    await project.repo.commit('Two');
    const ran = await project.repo.run(['push', 'origin', 'one', 'two']);
    expect(ran.status, ran.stderr).to.equal(0);
    expect(new Set((await stage.log(project)).map((bundle) => bundle.branch))).to.deep.equal(
      new Set(['main', 'one', 'two']),
    );
  });

  it('git lfs push alone, then git push --no-verify in a clone without hooks, then datamon record', async () => {
    const project = await stage.project('alone', { initArgs: ['--no-hooks'] });
    await project.repo.git('config', 'datamon.hooks', 'off');
    await project.repo.write('data.bin', seededBytes(31, 250_000));
    const commit = await project.repo.commit('By hand');
    const objects = await project.repo.run(['lfs', 'push', 'origin', 'main']);
    expect(objects.status, objects.stderr).to.equal(0);
    expect((await stage.run('datamon', ['log', '--repo', project.url, '--json'])).stdout).to.equal(
      '',
    );
    await project.repo.git('push', '-q', '--no-verify', 'origin', 'main');
    await stage.mustRun('datamon', ['record', 'main'], { cwd: project.repo.dir });
    expect((await stage.log(project)).map((bundle) => bundle.commit)).to.deep.equal([commit]);
  });

  it('a file is locked, listed, unlocked, and pushed', async () => {
    const { project } = await pushed('locking');
    const { repo } = project;
    const locked = await repo.run(['lfs', 'lock', 'data.bin']);
    expect(locked.status, locked.stderr + locked.stdout).to.equal(0);
    expect(await repo.git('lfs', 'locks')).to.contain('data.bin');
    const unlocked = await repo.run(['lfs', 'unlock', 'data.bin']);
    expect(unlocked.status, unlocked.stderr + unlocked.stdout).to.equal(0);
    expect(await repo.git('lfs', 'locks')).to.equal('');
    await repo.write('data.bin', seededBytes(8, 220_000));
    await repo.commit('After the lock');
    const ran = await repo.run(['push']);
    expect(ran.status, ran.stderr).to.equal(0);
  });

  it('uninstalled, git is as it was before', async () => {
    const before = await stage.world.run('cat', [`${stage.world.root}/home/.gitconfig`]);
    expect(before.stdout).to.contain('datamon');
    const { project } = await pushed('leaving');
    await stage.mustRun('datamon', ['uninstall']);
    const after = await stage.world.run('cat', [`${stage.world.root}/home/.gitconfig`]);
    expect(after.stdout).to.not.contain('datamon');
    const hooks = await project.repo.git(
      'rev-parse',
      '--path-format=absolute',
      '--git-path',
      'hooks',
    );
    const left = await stage.world.run('sh', ['-c', `grep -rl datamon '${hooks}' || true`]);
    expect(left.stdout).to.equal('');
    await stage.mustRun('datamon', ['install']);
  });
});

/** Polls until `check` passes, for what happens after the command's end by design; fails with its last error after 10 s. */
async function eventually(check: () => Promise<void>): Promise<void> {
  const deadline = performance.now() + 10_000;
  for (;;) {
    try {
      await check();
      return;
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}
