/** Hooks go in where they may, touch nothing of others, never stop a push by themselves, and come out without a trace. */
import { createHash } from 'node:crypto';
import {
  chmod,
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { digestOf } from '../../core/digest.ts';
import { hookScript, ownerOf, quoteForSh } from '../../git/hook-scripts.ts';
import { inspectHooks, installHooks, removeHooks } from '../../git/hook-shims.ts';
import { openGitRepo } from '../../git/repository.ts';
import { type GitRepo, GitWorld } from '../support/git-repo.ts';

/** Every file of a folder with mode and content, so that a trace of any kind shows. */
async function fingerprint(folder: string): Promise<Readonly<Record<string, string>>> {
  const found: Record<string, string> = {};
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    const { mode } = await lstat(path);
    const content = entry.isSymbolicLink()
      ? await readlink(path)
      : entry.isFile()
        ? createHash('sha256')
            .update(await readFile(path))
            .digest('hex')
        : 'folder';
    found[path.slice(folder.length)] = `${mode.toString(8)} ${content}`;
  }
  return found;
}

describe('git/hook-shims', () => {
  let world: GitWorld;
  let launcher: string;
  let count = 0;
  before(async () => {
    world = await GitWorld.create();
    launcher = join(world.root, "it's a bin", 'datamon');
    await mkdir(join(world.root, "it's a bin"));
    await writeFile(launcher, '#!/bin/sh\n{ echo "datamon $*"; cat; } >>"$PWD/../log"\n');
    await chmod(launcher, 0o755);
  });
  after(() => world.remove());
  beforeEach(() => rm(join(world.root, 'log'), { force: true }));

  const log = (): Promise<string> => readFile(join(world.root, 'log'), 'utf8').catch(() => '');

  async function fresh(): Promise<GitRepo> {
    count += 1;
    const { repo } = await world.withRemote(`r${count}`);
    await repo.commit('one');
    return repo;
  }
  const open = (repo: GitRepo) => openGitRepo(repo.dir, world.env);
  const install = async (repo: GitRepo, options: { readonly chain?: boolean } = {}) =>
    installHooks(await open(repo), { launcher, ...options });

  it('replaces git-lfs’s own hook, keeps it, and brings it back, bytes and mode', async () => {
    const repo = await fresh();
    await repo.git('lfs', 'install', '--local');
    await chmod(repo.path('.git/hooks/pre-push'), 0o755);
    const before = await fingerprint(repo.path('.git'));
    const report = await install(repo);
    expect(report.state).to.equal('ours');
    expect(report.hooks.map(({ owner, chained }) => [owner, chained])).to.deep.equal([
      ['ours', false],
      ['ours', false],
    ]);
    const saved = await readFile(repo.path('.git/hooks/pre-push.before-datamon'), 'utf8');
    expect(ownerOf(saved)).to.equal('stock');
    expect((await removeHooks(await open(repo))).state).to.equal('stock');
    expect(await fingerprint(repo.path('.git'))).to.deep.equal(before);
  });

  it('knows the hook of the installed git-lfs, and is known for foreign by it', async () => {
    const repo = await fresh();
    await repo.git('lfs', 'install', '--local');
    const stock = await readFile(repo.path('.git/hooks/pre-push'), 'utf8');
    expect(ownerOf(stock)).to.equal('stock');
    await install(repo);
    expect((await repo.run(['lfs', 'update'])).status).to.not.equal(0);
    expect(ownerOf(await readFile(repo.path('.git/hooks/pre-push'), 'utf8'))).to.equal('ours');
  });

  it('leaves no trace where there were no hooks, nor a hooks folder', async () => {
    const repo = await fresh();
    await rm(repo.path('.git/hooks'), { recursive: true, force: true });
    const before = await fingerprint(repo.path('.git'));
    await install(repo);
    expect((await stat(repo.path('.git/hooks/pre-push'))).mode & 0o777).to.equal(0o755);
    await removeHooks(await open(repo));
    expect(await fingerprint(repo.path('.git'))).to.deep.equal(before);
  });

  it('changes nothing when it is run again, and replaces an older text of ours', async () => {
    const repo = await fresh();
    await install(repo);
    const first = await fingerprint(repo.path('.git'));
    await install(repo);
    expect(await fingerprint(repo.path('.git'))).to.deep.equal(first);
    const file = repo.path('.git/hooks/pre-push');
    await writeFile(file, `${await readFile(file, 'utf8')}# older\n`);
    await install(repo);
    expect(await fingerprint(repo.path('.git'))).to.deep.equal(first);
  });

  it('touches no foreign hook, and names the lines to paste', async () => {
    const repo = await fresh();
    await repo.writeHook('pre-push', '#!/bin/sh\nnpm test\n');
    const before = await fingerprint(repo.path('.git'));
    const report = await install(repo);
    expect(report.state).to.equal('refused');
    expect(report.snippet?.text).to.include('feed | datamon hook pre-push "$@" || exit $?');
    expect(await fingerprint(repo.path('.git'))).to.deep.equal(before);
  });

  for (const [manager, make] of [
    ['husky', (repo: GitRepo) => repo.git('config', 'core.hooksPath', '.husky/_')],
    ['core.hooksPath', (repo: GitRepo) => repo.git('config', 'core.hooksPath', 'tools/hooks')],
    ['lefthook', (repo: GitRepo) => repo.writeHook('pre-push', '#!/bin/sh\ncall_lefthook run\n')],
    [
      'pre-commit',
      (repo: GitRepo) => repo.writeHook('pre-push', '#!/bin/sh\n# File generated by pre-commit\n'),
    ],
  ] as const) {
    it(`leaves ${manager} alone and knows it by name`, async () => {
      const repo = await fresh();
      await make(repo);
      const before = await fingerprint(repo.path('.git'));
      const report = await install(repo, manager === 'core.hooksPath' ? { chain: true } : {});
      expect(report.state).to.equal('refused');
      expect(report.snippet?.manager).to.equal(manager);
      expect(await fingerprint(repo.path('.git'))).to.deep.equal(before);
    });
  }

  it('hands on to a foreign hook when asked: same input, same arguments, its failure ours', async () => {
    const repo = await fresh();
    const foreign =
      '#!/bin/sh\n{ echo "foreign $*"; cat; } >>"$PWD/../log"\nexit $(cat "$PWD/../status")\n';
    await repo.writeHook('pre-push', foreign);
    const before = await fingerprint(repo.path('.git/hooks'));
    await writeFile(join(world.root, 'status'), '0');
    const report = await install(repo, { chain: true });
    expect(report.hooks[0]).to.include({ owner: 'ours', chained: true });
    expect((await repo.run(['push', '-q', 'origin', 'main'])).status).to.equal(0);
    const sha = await repo.git('rev-parse', 'main');
    const line = `refs/heads/main ${sha} refs/heads/main ${'0'.repeat(40)}`;
    const url = await repo.git('remote', 'get-url', 'origin');
    const calls = await log();
    expect(calls).to.include(`foreign origin ${url}\n${line}\n`);
    expect(calls).to.include(`datamon hook pre-push origin ${url}\n${line}\n`);
    await writeFile(join(world.root, 'status'), '7');
    await rm(join(world.root, 'log'));
    await repo.commit('two');
    expect((await repo.run(['push', '-q', 'origin', 'main'])).status).to.not.equal(0);
    expect(await log()).to.not.include('datamon hook');
    await removeHooks(await open(repo));
    expect(await fingerprint(repo.path('.git/hooks'))).to.deep.equal(before);
  });

  it('fails the push where our hook fails', async () => {
    const repo = await fresh();
    const failing = join(world.root, 'failing');
    await writeFile(failing, '#!/bin/sh\ncat >/dev/null\nexit 3\n');
    await chmod(failing, 0o755);
    await installHooks(await open(repo), { launcher: failing });
    expect((await repo.run(['push', '-q', 'origin', 'main'])).status).to.not.equal(0);
  });

  for (const [what, body] of [
    ['gone', null],
    ['without its Node', '#!/bin/sh\nexec /nowhere/node "$@"\n'],
    ['not executable', '#!/nowhere/sh\n'],
  ] as const) {
    it(`leaves the push to git-lfs where datamon is ${what}`, async () => {
      const repo = await fresh();
      const broken = join(world.root, `broken-${count}`);
      if (body !== null) {
        await writeFile(broken, body);
        await chmod(broken, 0o755);
      }
      await repo.write('a.bin', 'data');
      await repo.commit('data');
      await installHooks(await open(repo), { launcher: broken });
      const ran = await repo.run(['push', 'origin', 'main']);
      expect(ran.status, ran.stderr).to.equal(0);
      const oid = digestOf('data');
      const stored = join(`${repo.dir}.git`, 'lfs/objects', oid.slice(0, 2), oid.slice(2, 4), oid);
      expect(await readFile(stored, 'utf8')).to.equal('data');
    });
  }

  it('asks datamon about moved remote-tracking refs of pushes only', async () => {
    const repo = await fresh();
    await install(repo);
    await repo.git('push', '-q', 'origin', 'main');
    expect(await log()).to.include('hook reference-transaction committed');
    await rm(join(world.root, 'log'));
    await repo.commit('two');
    await repo.git('branch', 'other');
    await repo.git('fetch', '-q', 'origin');
    await repo.git('push', '-q', 'origin', 'HEAD:refs/for/main');
    expect(await log()).to.not.include('reference-transaction');
  });

  it('starts nothing for a push that changes nothing', async () => {
    const repo = await fresh();
    await install(repo);
    await repo.git('push', '-q', 'origin', 'main');
    await mkdir(repo.path('.git/datamon/seen/refs/remotes/origin'), { recursive: true });
    await writeFile(
      repo.path('.git/datamon/seen/refs/remotes/origin/main'),
      `${await repo.git('rev-parse', 'main')}\n`,
    );
    await rm(join(world.root, 'log'));
    await repo.git('push', '-q', 'origin', 'main');
    expect(await log()).to.equal('');
  });

  it('takes a dangling link for somebody’s hook', async () => {
    const repo = await fresh();
    await mkdir(repo.path('.git/hooks'), { recursive: true });
    await symlink('/nowhere/hook', repo.path('.git/hooks/pre-push'));
    expect((await install(repo)).state).to.equal('refused');
    expect(await readlink(repo.path('.git/hooks/pre-push'))).to.equal('/nowhere/hook');
  });

  it('installs for a linked work tree, a submodule and a bare repo where git looks', async () => {
    const repo = await fresh();
    await repo.git('worktree', 'add', '-q', `${repo.dir}-linked`);
    const linked = await openGitRepo(`${repo.dir}-linked`, world.env);
    await installHooks(linked, { launcher });
    expect((await inspectHooks(await open(repo))).state).to.equal('ours');
    const outer = await fresh();
    await outer.git('submodule', '--quiet', 'add', repo.dir, 'sub');
    const inner = await openGitRepo(outer.path('sub'), world.env);
    expect((await installHooks(inner, { launcher })).state).to.equal('ours');
    expect(await readdir(outer.path('.git/modules/sub/hooks'))).to.include('pre-push');
    const bare = await world.bare(`bare-${count}.git`);
    const report = await installHooks(await open(bare), { launcher });
    expect(report.hooks[0]?.path).to.equal(bare.path('hooks', 'pre-push'));
  });

  it('survives git-lfs taking its place back, and is then removable too', async () => {
    const repo = await fresh();
    await repo.git('lfs', 'install', '--local');
    await install(repo);
    await repo.git('lfs', 'update', '--force');
    expect((await inspectHooks(await open(repo))).state).to.equal('stock');
    await removeHooks(await open(repo));
    const names = await readdir(repo.path('.git/hooks'));
    expect(names.filter((name) => name.includes('datamon'))).to.deep.equal([]);
    expect(names).to.include('pre-push').and.not.include('reference-transaction');
  });
});

describe('git/hook-scripts', () => {
  it('tells stock hooks of several versions from hooks with a line more', () => {
    const stock = [
      '#!/bin/sh\ngit lfs pre-push "$@"',
      '#!/bin/sh\ngit lfs push --stdin $*\n',
      '#!/bin/sh\ncommand -v git-lfs >/dev/null 2>&1 || { echo >&2 "\\nThis repository is configured for Git LFS but \'git-lfs\' was not found on your path.\\n"; exit 2; }\ngit lfs pre-push "$@"\n',
    ];
    expect(stock.map(ownerOf)).to.deep.equal(['stock', 'stock', 'stock']);
    expect(stock.map((text) => ownerOf(`${text}\nnpm test\n`))).to.not.include('stock');
    expect(ownerOf('#!/bin/sh\nnpm test\ngit lfs pre-push "$@"\n')).to.equal('foreign');
    expect(ownerOf('')).to.equal('foreign');
  });

  it('quotes any launcher for sh', async () => {
    const world = await GitWorld.create();
    const nasty = `a'b"c $(touch canary) \`id\` \\ ; x`;
    const ran = await world.run('sh', ['-c', `printf %s ${quoteForSh(nasty)}`]);
    await world.remove();
    expect(ran.stdout).to.equal(nasty);
  });

  it('is accepted by sh, chained and not', async () => {
    const world = await GitWorld.create();
    for (const hook of ['pre-push', 'reference-transaction'] as const) {
      for (const chained of [false, true]) {
        const input = hookScript(hook, { launcher: "/x y/it's", chained });
        const ran = await world.run('sh', ['-n'], { input });
        expect(ran.status, ran.stderr).to.equal(0);
      }
    }
    await world.remove();
  });
});
