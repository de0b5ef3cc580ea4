/** One push, one bundle: every way to push, on real git and git-lfs, straight on a store in a folder. */
import { rm } from 'node:fs/promises';
import { expect } from 'chai';
import { digestOf } from '../../core/digest.ts';
import { remoteIdOf } from '../../core/meta/ref-names.ts';
import { entries } from '../../core/meta/tree-reader.ts';
import { remoteId } from '../../git/remote-id.ts';
import { GitRepo } from '../support/git-repo.ts';
import { type HookedProject, HookStage } from '../support/hook-stage.ts';
import { seededBytes } from '../support/splitmix64.ts';

describe('hooks: pushes', function () {
  this.timeout(60_000);
  let stage: HookStage;
  let count = 0;
  before(async () => {
    stage = await HookStage.create();
  });
  after(() => stage.remove());

  /** A project whose `a.bin` was pushed once. */
  async function pushed(): Promise<HookedProject> {
    count += 1;
    const project = await stage.project(`p${count}`);
    await project.repo.write('a.bin', seededBytes(count, 200_000));
    await project.repo.commit('first');
    await stage.pushAndRecord(project);
    return project;
  }

  it('records a new branch, with a receipt after git’s own report', async () => {
    count += 1;
    const project = await stage.project(`p${count}`);
    await project.repo.write('a.bin', seededBytes(1, 200_000));
    const commit = await project.repo.commit('first');
    const ran = await project.repo.run(['push', 'origin', 'main']);
    expect(ran.status, ran.stderr).to.equal(0);
    const [event, ...more] = await stage.events(project);
    expect(more).to.deep.equal([]);
    expect(event).to.include({ gitOld: null, gitNew: commit, gap: false, forced: false });
    expect(event).to.include({ pushedBy: 'Ada <ada@example.org>' });
    expect(event?.totals).to.deep.equal({ fileCount: 1, sizeBytes: 200_000 });
    const lines = ran.stderr.trimEnd().split('\n');
    expect(lines[0]).to.equal('datamon: 1 file changed, 200 KB; looking for known parts');
    expect(lines[1]).to.match(/^datamon: 100% \(200 KB\), 200 KB new, sent 20\d KB, .*\/s, done$/);
    const git = lines.findIndex((line) => line.includes('[new branch]'));
    expect(lines[git + 1]).to.equal(
      `datamon: bundle ${event?.bundle?.slice(0, 7)} · 200 KB, 200 KB new · 0 % reused`,
    );
    expect(lines[git + 2]).to.equal(
      `datamon: see it with: datamon show ${event?.bundle?.slice(0, 7)}`,
    );
    expect(await stage.pendings(project.repo)).to.deep.equal([]);
    expect(await stage.announced(project)).to.equal(0);
  });

  it('sends only what changed on a fast-forward, and names what it reuses', async () => {
    const project = await pushed();
    const first = (await stage.events(project))[0];
    await project.repo.write(
      'a.bin',
      Buffer.concat([seededBytes(count, 200_000), Buffer.from('+')]),
    );
    const commit = await project.repo.commit('second');
    const { stderr } = await project.repo.run(['push', 'origin', 'main']);
    const second = (await stage.events(project))[1];
    expect(second).to.include({ gitOld: first?.gitNew, gitNew: commit, gap: false });
    expect(second?.receipt.newBytes).to.be.lessThan(200_000);
    expect(second?.receipt.reusedFrom).to.equal(first?.bundle);
    expect(stderr).to.match(/ % reused from [0-9a-f]{7}\n/);
  });

  it('is silent and starts no bundle when all is up to date', async () => {
    const project = await pushed();
    const { stderr } = await project.repo.run(['push', 'origin', 'main']);
    expect(stderr).to.equal('Everything up-to-date\n');
    expect(await stage.events(project)).to.have.length(1);
  });

  it('records a push that changed no data, without a word', async () => {
    const project = await pushed();
    await project.repo.write('code.py', 'x = 1\n');
    const commit = await project.repo.commit('code');
    const { stderr } = await project.repo.run(['push', 'origin', 'main']);
    expect(stderr).to.not.include('datamon');
    expect((await stage.events(project))[1]).to.include({ gitNew: commit, gap: false });
  });

  it('leaves the store alone for a repo without data', async () => {
    count += 1;
    const project = await stage.project(`p${count}`);
    await project.repo.write('code.py', 'x = 1\n');
    await project.repo.commit('code');
    const { stderr, status } = await project.repo.run(['push', 'origin', 'main']);
    expect(status).to.equal(0);
    expect(stderr).to.not.include('datamon');
    expect(await stage.visit(project, async () => true)).to.equal(null);
  });

  it('marks a forced push and keeps both bundles', async () => {
    const project = await pushed();
    await project.repo.write('a.bin', 'rewritten');
    await project.repo.git('commit', '-q', '-a', '--amend', '-m', 'other');
    await project.repo.git('push', '-q', '--force-with-lease', 'origin', 'main');
    const [first, second] = await stage.events(project);
    expect(second).to.include({ forced: true, gap: false, gitOld: first?.gitNew });
    expect(second?.bundle).to.not.equal(first?.bundle);
  });

  it('makes no bundle of a push that the remote refuses', async () => {
    const project = await pushed();
    await project.remote.writeHook('pre-receive', '#!/bin/sh\nexit 1\n');
    await project.repo.write('a.bin', 'refused');
    const commit = await project.repo.commit('refused');
    const ran = await project.repo.run(['push', 'origin', 'main']);
    expect(ran.status).to.not.equal(0);
    expect(ran.stderr).to.not.include('datamon: bundle');
    await stage.settled(project.repo);
    expect(await stage.events(project)).to.have.length(1);
    expect(await stage.announced(project)).to.equal(0);
    const bundle = await stage.visit(project, ({ history }) =>
      history.bundleOfCommit(commit as never),
    );
    expect(bundle).to.equal(null);
  });

  it('makes no bundle where the remote is ahead', async () => {
    const project = await pushed();
    const other = await stage.world.clone(project.remote, `other-${count}`, '--no-checkout');
    await other.git('commit', '-q', '--allow-empty', '-m', 'theirs');
    await other.git('push', '-q', 'origin', 'main');
    await project.repo.write('a.bin', 'mine');
    await project.repo.commit('mine');
    const ran = await project.repo.run(['push', 'origin', 'main']);
    expect(ran.stderr).to.include('fetch first');
    await stage.settled(project.repo);
    expect(await stage.events(project)).to.have.length(1);
  });

  it('records of two refs the one that was taken', async () => {
    const project = await pushed();
    await project.remote.writeHook('update', '#!/bin/sh\n[ "$1" != refs/heads/bad ]\n');
    await project.repo.write('a.bin', 'two refs');
    const commit = await project.repo.commit('both');
    const ran = await project.repo.run(['push', 'origin', 'main:good', 'main:bad']);
    expect(ran.status).to.not.equal(0);
    await stage.settled(project.repo);
    expect(await stage.branches(project)).to.deep.equal(['good', 'main']);
    expect((await stage.events(project, 'good'))[0]).to.include({ gitNew: commit });
    expect(ran.stderr.match(/datamon: bundle/g)).to.have.length(1);
    expect(await stage.announced(project)).to.equal(0);
  });

  it('stores several refs in one pass, each file counted once', async () => {
    const project = await pushed();
    await project.repo.write('b.bin', seededBytes(900 + count, 50_000));
    await project.repo.commit('b');
    await project.repo.git('branch', 'side');
    const { stderr } = await project.repo.run(['push', 'origin', 'main', 'side']);
    expect(stderr.match(/looking for known parts/g)).to.have.length(1);
    const [, main] = await stage.events(project);
    const [side] = await stage.events(project, 'side');
    expect(main?.bundle).to.equal(side?.bundle);
    expect([main?.receipt.newBytes, side?.receipt.newBytes].sort()).to.deep.equal([0, 50_000]);
  });

  it('does nothing on a dry run', async () => {
    const project = await pushed();
    await project.repo.write('a.bin', 'dry');
    await project.repo.commit('dry');
    const { stderr, status } = await project.repo.run(['push', '--dry-run', 'origin', 'main']);
    expect(status).to.equal(0);
    expect(stderr).to.not.include('datamon');
    expect(await stage.pendings(project.repo)).to.deep.equal([]);
    const held = await stage.visit(project, ({ blobs }) => blobs.has([digestOf('dry')]));
    expect(held?.size).to.equal(0);
  });

  it('catches up after --no-verify', async () => {
    const project = await pushed();
    await project.repo.write('a.bin', 'skipped');
    const commit = await project.repo.commit('skipped');
    const { stderr } = await project.repo.run(['push', '--no-verify', 'origin', 'main']);
    expect(stderr).to.include('datamon: hook was skipped; 1 file uploaded now');
    expect((await stage.events(project))[1]).to.include({ gitNew: commit, gap: false });
    expect((await stage.events(project))[1]?.missing).to.deep.equal([]);
  });

  it('marks what --no-verify could not upload', async () => {
    const project = await pushed();
    await project.repo.write('b.bin', 'here');
    await project.repo.write('raw/gone.bin', 'gone');
    await project.repo.commit('skipped');
    const oid = digestOf('gone');
    await rm(project.repo.path('.git/lfs/objects', oid.slice(0, 2), oid.slice(2, 4), oid));
    const { stderr, status } = await project.repo.run(['push', '--no-verify', 'origin', 'main']);
    expect(status).to.equal(0);
    expect(stderr).to.match(
      /hook was skipped; 1 of 2 files uploaded now, raw\/gone\.bin is not on this machine — bundle [0-9a-f]{7} is incomplete/,
    );
    expect((await stage.events(project))[1]?.missing).to.deep.equal([oid]);
  });

  it('makes a label of a tag, by the watcher', async () => {
    const project = await pushed();
    await project.repo.git('tag', '-a', '-m', 'one', 'v1');
    await project.repo.git('push', '-q', 'origin', 'v1');
    await stage.settled(project.repo);
    const [label] = await stage.labels(project);
    expect(label).to.include({ label: 'v1', bundle: (await stage.events(project))[0]?.bundle });
  });

  it('ends the log of a deleted branch', async () => {
    const project = await pushed();
    await project.repo.git('push', '-q', 'origin', 'main:feature');
    const { stderr } = await project.repo.run(['push', 'origin', ':feature']);
    expect(stderr).to.not.include('datamon');
    await stage.settled(project.repo);
    const log = await stage.events(project, 'feature');
    expect(log.map(({ gitNew, bundle }) => [gitNew !== null, bundle !== null])).to.deep.equal([
      [true, true],
      [false, false],
    ]);
  });

  it('records pushes to a bare URL', async () => {
    const project = await pushed();
    await project.repo.write('a.bin', 'by url');
    const commit = await project.repo.commit('by url');
    await project.repo.git('push', '-q', project.remote.dir, 'main');
    await stage.settled(project.repo);
    expect((await stage.events(project))[1]).to.include({ gitNew: commit, gap: false });
  });

  it('records pushes to refs that nobody tracks', async () => {
    const project = await pushed();
    await project.repo.write('a.bin', 'for review');
    const commit = await project.repo.commit('for review');
    await project.repo.git('push', '-q', 'origin', 'HEAD:refs/for/main');
    await stage.settled(project.repo);
    expect((await stage.events(project, 'refs/for/main'))[0]).to.include({ gitNew: commit });
  });

  it('keeps two push URLs apart: one bundle, two events', async () => {
    const project = await pushed();
    const mirror = await stage.world.bare(`mirror-${count}.git`);
    for (const { dir } of [project.remote, mirror]) {
      await project.repo.git('remote', 'set-url', '--add', '--push', 'origin', dir);
    }
    await project.repo.write('a.bin', 'twice');
    const commit = await project.repo.commit('twice');
    await project.repo.git('push', '-q', 'origin', 'main');
    await stage.settled(project.repo);
    const id = remoteIdOf(await remoteId(mirror.dir, '/'));
    expect(await stage.branches(project)).to.have.members(['main', `~${id}/main`]);
    const [other] = await stage.events(project, `~${id}/main`);
    expect(other).to.include({ gitNew: commit, bundle: (await stage.events(project))[1]?.bundle });
  });

  it('pushes from a linked work tree, a bare clone and a submodule', async () => {
    const project = await pushed();
    const linked = `${project.repo.dir}-linked`;
    await project.repo.git('worktree', 'add', '-q', '-b', 'linked', linked);
    const env = { cwd: linked };
    await stage.world.run(
      'sh',
      ['-c', 'echo linked > l.bin && git add . && git commit -qm l'],
      env,
    );
    const ran = await stage.world.run('git', ['push', 'origin', 'linked'], env);
    expect(ran.stderr).to.include('datamon: bundle');
    const bare = await stage.world.clone(project.repo, `bare-${count}.git`, '--bare');
    await bare.git('config', 'lfs.url', `datamon::${stage.urlOf(`bare-${count}`)}`);
    await bare.git('config', 'lfs.storage', project.repo.path('.git/lfs'));
    await stage.install(bare);
    const target = await stage.world.bare(`bare-target-${count}.git`);
    const fromBare = await bare.run(['push', target.dir, 'main']);
    expect(fromBare.status, fromBare.stderr).to.equal(0);
    await stage.settled(bare);
    expect(await stage.events({ url: stage.urlOf(`bare-${count}`) })).to.have.length(1);
    const outer = await stage.world.init(`outer-${count}`);
    const add = ['submodule', '--quiet', 'add', project.remote.dir, 'sub'];
    await outer.run(add, { env: { GIT_LFS_SKIP_SMUDGE: '1' } });
    const sub = { cwd: outer.path('sub') };
    await stage.world.run('git', ['config', 'lfs.url', `datamon::${project.url}`], sub);
    await stage.install(new GitRepo(stage.world, outer.path('sub')));
    await stage.world.run('sh', ['-c', 'echo sub > s.bin && git add . && git commit -qm s'], sub);
    const fromSub = await stage.world.run('git', ['push', 'origin', 'HEAD:from-sub'], sub);
    expect(fromSub.stderr).to.include('datamon: bundle');
    expect(await stage.branches(project)).to.have.members(['main', 'linked', 'from-sub']);
  });

  it('keeps versions that no tip has any more', async () => {
    const project = await pushed();
    for (const version of ['one', 'two', 'three']) {
      await project.repo.write('v.bin', version);
      await project.repo.commit(version);
    }
    await project.repo.git('push', '-q', 'origin', 'main');
    const event = (await stage.events(project))[1];
    const listed = await stage.visit(project, async ({ blobs, pages }) => {
      const oids: string[] = [];
      if (event?.extraOids)
        for await (const { oid } of entries(pages, event.extraOids)) oids.push(oid ?? '');
      const held = await blobs.has([digestOf('one'), digestOf('two'), digestOf('three')]);
      return { oids, held: held.size };
    });
    expect(listed?.oids).to.have.members([digestOf('one'), digestOf('two')]);
    expect(listed?.held).to.equal(3);
  });

  it('stores README and license with the data, readable without git', async () => {
    count += 1;
    const project = await stage.project(`p${count}`);
    await project.repo.write('a.bin', 'data');
    await project.repo.write('README.md', '# Weather\n');
    await project.repo.commit('first');
    await project.repo.git('push', '-q', 'origin', 'main');
    const held = await stage.visit(project, ({ blobs }) => blobs.has([digestOf('# Weather\n')]));
    expect(held?.get(digestOf('# Weather\n'))).to.equal(10);
  });

  it('sends nothing for data the store has under another name', async () => {
    const project = await pushed();
    await project.repo.git('mv', 'a.bin', 'renamed.bin');
    await project.repo.commit('renamed');
    const { stderr } = await project.repo.run(['push', 'origin', 'main']);
    expect(stderr).to.not.include('looking for known parts');
    expect(stderr).to.include('0 bytes new · 100 % reused');
  });

  it('survives paths with newlines, quotes, NFD and a leading dash, exec bits and links', async () => {
    count += 1;
    const project = await stage.project(`p${count}`);
    await project.repo.write('.datamon.yaml', 'record: all\n');
    const names = ['new\nline.bin', '"q".bin', 'e\u0301.bin', '-h.bin', ' lead.bin'];
    for (const name of names) await project.repo.write(name, `content of ${name}`, 0o755);
    await project.repo.commit('odd');
    await project.repo.git('branch', '-f', 'odd/ünï');
    const ran = await project.repo.run(['push', 'origin', 'odd/ünï', '-q']);
    expect(ran.status, ran.stderr).to.equal(0);
    const [event] = await stage.events(project, 'odd/ünï');
    const found = await stage.visit(project, async ({ history, pages }) => {
      const paths: string[] = [];
      if (event?.bundle) {
        const { tree } = await history.getBundle(event.bundle);
        for await (const { path, executable } of entries(pages, tree)) {
          if (executable) paths.push(Buffer.from(path, 'latin1').toString('utf8'));
        }
      }
      return paths;
    });
    expect(found).to.have.members(names);
  });
});
