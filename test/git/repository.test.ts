/** Repos are found from everywhere git would find them, and git is never run from a repo's own folder. */
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { hasCode } from '../../core/errors.ts';
import { findProgram, isInside, safePath } from '../../git/binary.ts';
import { getAllConfig, getConfig, isTrue, setConfig, unsetConfig } from '../../git/config.ts';
import { openGit } from '../../git/git.ts';
import { openGitRepo } from '../../git/repository.ts';
import { errorOf } from '../support/code-of.ts';
import { GitWorld } from '../support/git-repo.ts';

describe('git/repository', () => {
  let world: GitWorld;
  before(async () => {
    world = await GitWorld.create();
  });
  after(() => world.remove());

  it('knows its folders from a subfolder', async () => {
    const repo = await world.init('plain');
    await repo.write('a/b/c.txt', 'x');
    const opened = await openGitRepo(repo.path('a', 'b'), world.env);
    expect(opened).to.include({
      topLevel: repo.dir,
      gitDir: repo.path('.git'),
      commonDir: repo.path('.git'),
      hooksDir: repo.path('.git', 'hooks'),
      hooksPath: null,
      isBare: false,
    });
  });

  it('shares hooks and common folder between work trees', async () => {
    const repo = await world.init('many');
    await repo.commit('one');
    await repo.git('worktree', 'add', '-q', '../many-other');
    const opened = await openGitRepo(join(world.root, 'many-other'), world.env);
    expect(opened).to.include({
      topLevel: join(world.root, 'many-other'),
      commonDir: repo.path('.git'),
      hooksDir: repo.path('.git', 'hooks'),
    });
    expect((await opened.git.bytes(['rev-parse', '--abbrev-ref', 'HEAD'])).toString()).to.equal(
      'many-other\n',
    );
  });

  it('opens a bare repo, by a hook’s GIT_DIR=. too', async () => {
    const bare = await world.bare('bare.git');
    const opened = await openGitRepo(bare.dir, { ...world.env, GIT_DIR: '.' });
    expect(opened).to.include({ topLevel: null, gitDir: bare.dir, isBare: true });
  });

  it('opens a submodule', async () => {
    const inner = await world.init('inner');
    await inner.commit('one');
    const outer = await world.init('outer');
    await outer.git('submodule', '--quiet', 'add', inner.dir, 'sub');
    const opened = await openGitRepo(outer.path('sub'), world.env);
    expect(opened).to.include({
      topLevel: outer.path('sub'),
      hooksDir: outer.path('.git', 'modules', 'sub', 'hooks'),
    });
  });

  it('resolves a relative core.hooksPath against the work tree’s top, whatever the folder', async () => {
    const repo = await world.init('hooked');
    await repo.git('config', 'core.hooksPath', '.husky');
    await repo.write('deep/er/x', '');
    const opened = await openGitRepo(repo.path('deep', 'er'), world.env);
    expect(opened.hooksPath).to.equal('.husky');
    expect(opened.hooksDir).to.equal(repo.path('.husky'));
  });

  it('reads the configuration once where asked to, and as git reads it', async () => {
    const repo = await world.init('settled');
    await repo.git('config', 'remote.Origin.URL', 'first');
    await repo.git('config', '--add', 'remote.Origin.url', 'last');
    const live = await openGitRepo(repo.dir, world.env);
    const once = await openGitRepo(repo.dir, world.env, { configuration: 'once' });
    for (const key of ['remote.Origin.url', 'REMOTE.Origin.Url', 'remote.origin.url']) {
      const values = await getAllConfig(live.git, key);
      expect(await getAllConfig(once.git, key), key).to.deep.equal(values);
    }
    await repo.git('config', '--unset-all', 'remote.Origin.url');
    expect(await getConfig(live.git, 'remote.Origin.url')).to.equal(null);
    expect(await getConfig(once.git, 'remote.Origin.url')).to.equal('last');
  });

  it('refuses a git too old to say where it is', async () => {
    const bin = join(world.root, 'old');
    await mkdir(bin);
    const script = '#!/bin/sh\n[ "$1" = --version ] && echo git version 2.20.1 || echo "$2"\n';
    await writeFile(join(bin, 'git'), script, { mode: 0o755 });
    const error = await errorOf(
      openGitRepo(world.root, { ...world.env, HOME: world.root, PATH: bin }),
    );
    expect(error.code).to.equal('UNSUPPORTED');
    expect(error.message).to.match(/2\.20\.1 is too old.*2\.31/);
  });

  it('says NOT_FOUND outside of a repo', async () => {
    const failure = await openGitRepo(world.root, world.env).catch((error: unknown) => error);
    expect(hasCode(failure, 'NOT_FOUND')).to.equal(true);
  });

  it('never runs a git that lies in the repo, though PATH begins with its folder', async () => {
    const repo = await world.init('planted');
    await repo.write('git', '#!/bin/sh\ntouch "$(dirname "$0")/canary"\n', 0o755);
    const path = `:.:${repo.dir}:${world.env['PATH']}`;
    const opened = await openGitRepo(repo.dir, { ...world.env, PATH: path });
    await opened.git.text(['rev-parse', '--git-dir']);
    expect(opened.git.binary.startsWith(repo.dir)).to.equal(false);
    const canary = await repo.read('canary').catch(() => null);
    expect(canary).to.equal(null);
  });

  it('runs on in its repo when a hook’s environment points elsewhere later', async () => {
    const repo = await world.init('bound');
    await repo.commit('one');
    const opened = await openGitRepo(repo.dir, { ...world.env, GIT_INDEX_FILE: '/nowhere/index' });
    expect(opened.git.env).to.not.have.property('GIT_INDEX_FILE');
    expect((await opened.git.text(['ls-files'])).length).to.equal(0);
  });
});

describe('git/binary', () => {
  it('drops empty and relative entries of PATH', () => {
    expect(safePath(':.:bin:/usr/bin::/bin:')).to.equal('/usr/bin:/bin');
    expect(safePath(undefined)).to.equal('');
  });

  it('knows inside from beside', () => {
    expect(isInside('/a/b', '/a')).to.equal(true);
    expect(isInside('/a', '/a')).to.equal(true);
    expect(isInside('/ab', '/a')).to.equal(false);
    expect(isInside('/a/..b', '/a')).to.equal(true);
  });

  it('takes executable files only', async () => {
    const world = await GitWorld.create();
    try {
      await mkdir(join(world.root, 'p', 'tool'), { recursive: true });
      await mkdir(join(world.root, 'q'));
      await writeFile(join(world.root, 'q', 'tool'), '');
      const env = { PATH: `${world.root}/p:${world.root}/q` };
      expect(await findProgram('tool', env)).to.equal(null);
      await chmod(join(world.root, 'q', 'tool'), 0o755);
      expect(await findProgram('tool', env)).to.equal(join(world.root, 'q', 'tool'));
      expect(await findProgram('tool', env, [world.root])).to.equal(null);
    } finally {
      await world.remove();
    }
  });
});

describe('git/config', () => {
  let world: GitWorld;
  before(async () => {
    world = await GitWorld.create();
  });
  after(() => world.remove());

  it('sets, reads and unsets per level', async () => {
    const repo = await world.init('config');
    const { git } = await openGitRepo(repo.dir, world.env);
    expect(await getConfig(git, 'datamon.receipt')).to.equal(null);
    await setConfig(git, 'global', 'datamon.receipt', 'short');
    await setConfig(git, 'local', 'datamon.receipt', 'off');
    expect(await getConfig(git, 'datamon.receipt')).to.equal('off');
    expect(await getAllConfig(git, 'datamon.receipt')).to.deep.equal(['short', 'off']);
    expect(await getConfig(git, 'datamon.receipt', 'global')).to.equal('short');
    expect(await unsetConfig(git, 'local', 'datamon.receipt')).to.equal(true);
    expect(await unsetConfig(git, 'local', 'datamon.receipt')).to.equal(false);
    expect(await getConfig(git, 'datamon.receipt')).to.equal('short');
  });

  it('keeps values with newlines, spaces and quotes', async () => {
    const repo = await world.init('values');
    const { git } = await openGitRepo(repo.dir, world.env);
    const value = ' "two"\nlines\t; # ';
    await setConfig(git, 'local', 'datamon.odd', value);
    expect(await getConfig(git, 'datamon.odd')).to.equal(value);
  });

  it('takes no key that would be an option', async () => {
    const git = await openGit({ cwd: world.root, env: world.env });
    const failure = await getConfig(git, '--list').catch((error: unknown) => error);
    expect(hasCode(failure, 'INVALID')).to.equal(true);
  });

  it('lets the user’s own GIT_SSH_COMMAND and askpass pass', async () => {
    const git = await openGit({
      cwd: world.root,
      env: { ...world.env, GIT_SSH_COMMAND: 'ssh -v', GIT_ASKPASS: '/bin/true', PAGER: 'less' },
    });
    expect(await git.text(['config', '--global', '--get', 'user.name'])).to.equal('Ada\n');
  });

  it('reads yes and no as git does', () => {
    expect(['true', 'Yes', 'on', '1'].map(isTrue)).to.deep.equal([true, true, true, true]);
    expect(['false', 'no', 'off', '0', '', null].map(isTrue)).to.not.include(true);
  });
});
