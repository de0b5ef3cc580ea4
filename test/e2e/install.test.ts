/** The real ./install.sh into a home of its own: launchers that work from anywhere, a push through them, and nothing left after --uninstall. */
import { cp, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { expect } from 'chai';
import { findProgram } from '../../git/binary.ts';
import { type GitRepo, GitWorld, runProgram } from '../support/git-repo.ts';
import { seededBytes } from '../support/splitmix64.ts';
import { makeTempDir } from '../support/temp-dir.ts';

const ROOT = resolve(import.meta.dirname, '../..');
/** What install.sh needs besides git, git-lfs, Node and apt-get. */
const TOOLS = ['dirname', 'cat', 'tail', 'grep', 'sed', 'mkdir', 'cksum', 'env', 'sh', 'uname'];

describe('end to end: install.sh', function () {
  this.timeout(120_000);
  let world: GitWorld;
  let home: string;
  let env: Record<string, string>;
  const at = (...parts: string[]) => join(home, ...parts);
  const sh = (args: readonly string[], more: Record<string, string> = {}) =>
    runProgram('sh', [join(ROOT, 'install.sh'), ...args], { cwd: '/', env: { ...env, ...more } });

  before(async () => {
    world = await GitWorld.create();
    home = join(world.root, 'a home');
    await mkdir(home);
    const { XDG_CONFIG_HOME: _c, XDG_STATE_HOME: _s, XDG_CACHE_HOME: _k, ...plain } = world.env;
    const keep = Object.entries(process.env).filter(([name]) => /CERT|PROXY|CA_BUNDLE/i.test(name));
    env = { ...Object.fromEntries(keep), ...plain, HOME: home } as Record<string, string>;
    env['GIT_CONFIG_GLOBAL'] = at('.gitconfig');
    env['NPM_CONFIG_CAFILE'] ??= env['NODE_EXTRA_CA_CERTS'] ?? '';
    const ran = await sh([]);
    expect(ran.status, ran.stderr).to.equal(0);
  });
  after(() => world.remove());

  it('puts both launchers into ~/.local/bin and connects git', async () => {
    expect((await readdir(at('.local/bin'))).sort()).to.deep.equal(['datamon', 'git-lfs-datamon']);
    expect(await readFile(at('.gitconfig'), 'utf8')).to.contain(at('.local/bin/git-lfs-datamon'));
  });

  it('the launcher works wherever HOME, XDG_* and the working folder are, and is one process', async () => {
    const elsewhere = {
      PATH: '/usr/bin:/bin',
      HOME: '/nonexistent',
      XDG_DATA_HOME: '/nonexistent',
    };
    const run = (script: string) => runProgram('sh', ['-c', script], { cwd: '/', env: elsewhere });
    const ran = await run(`'${at('.local/bin/datamon')}' version`);
    expect([ran.status, ran.stdout.split(' ')[0]]).to.deep.equal([0, 'datamon']);
    // The process that the shell started is Node itself: exec, so that signals reach it.
    const launcher = await readFile(at('.local/bin/datamon'), 'utf8');
    expect(launcher.trimEnd().split('\n').at(-1)).to.match(/^exec "\$node" /);
  });

  it('a push goes through the installed programs', async () => {
    const { repo, remote } = await world.withRemote('installed');
    const git = (...args: string[]) => runProgram('git', args, { cwd: repo.dir, env });
    const installed = (...args: string[]) =>
      runProgram(at('.local/bin/datamon'), args, { cwd: repo.dir, env });
    const init = await installed('init', join(world.root, 'the store'));
    expect(init.status, init.stderr).to.equal(0);
    await commitData(repo);
    const pushed = await git('push', 'origin', 'HEAD:main');
    expect(pushed.status, pushed.stderr).to.equal(0);
    expect(pushed.stderr).to.match(/bundle [0-9a-f]{7}/);
    expect(await remote.git('branch', '--list')).to.contain('main');
    expect((await installed('log', '-q')).stdout).to.match(/^[0-9a-f]{64}\n$/);
  });

  it('--uninstall leaves nothing, and a second time says so', async () => {
    const ran = await sh(['--uninstall']);
    expect(ran.status, ran.stderr).to.equal(0);
    const left = (await readdir(home, { recursive: true, withFileTypes: true }))
      .filter((entry) => !entry.isDirectory())
      .map((entry) => join(entry.parentPath, entry.name))
      .filter((file) => !/\/\.npm\/|\/\.cache\//.test(file));
    expect(left).to.deep.equal([]);
    expect((await sh(['--uninstall'])).status).to.equal(0);
  });

  it('names git-lfs and the remedy where it is missing and cannot be installed', async () => {
    const bin = await makeTempDir();
    for (const tool of [...TOOLS, 'git', 'npm']) {
      const found = await findProgram(tool, process.env);
      if (found !== null) await symlink(found, join(bin, tool));
    }
    await symlink(process.execPath, join(bin, 'node'));
    await writeFile(join(bin, 'id'), '#!/bin/sh\necho 1000\n', { mode: 0o755 });
    const ran = await sh([], { PATH: bin, GIT_EXEC_PATH: bin });
    expect(ran.status).to.equal(1);
    expect(ran.stderr).to.contain('git-lfs is missing').and.contain('apt-get install git-lfs');
  });

  it('without HOME it says so', async () => {
    const { HOME: _home, ...homeless } = env;
    const ran = await runProgram('sh', [join(ROOT, 'install.sh')], { cwd: '/', env: homeless });
    expect([ran.status, ran.stderr.includes('HOME is not set')]).to.deep.equal([1, true]);
  });
});

async function commitData(repo: GitRepo): Promise<void> {
  await repo.write('.gitattributes', '*.bin filter=lfs diff=lfs merge=lfs -text\n');
  await repo.write('a.bin', seededBytes(1, 100_000));
  await repo.commit('Data');
}

describe('end to end: install.sh beside packages of another checkout', () => {
  it('refuses to install through a link, and leaves what it points to alone', async () => {
    const dir = await makeTempDir();
    await mkdir(join(dir, 'theirs'));
    await writeFile(join(dir, 'theirs', 'kept'), 'a package');
    for (const file of ['install.sh', 'package.json', 'package-lock.json']) {
      await cp(join(ROOT, file), join(dir, file));
    }
    await symlink(join(dir, 'theirs'), join(dir, 'node_modules'));
    // Does what npm would do, and asks no registry.
    await mkdir(join(dir, 'bin'));
    await writeFile(join(dir, 'bin', 'npm'), '#!/bin/sh\nrm -f node_modules/*\n', { mode: 0o755 });
    const path = [join(dir, 'bin'), dirname(process.execPath), process.env['PATH'] ?? ''].join(':');
    const env = { PATH: path, HOME: dir };
    const ran = await runProgram('sh', [join(dir, 'install.sh'), '--demo'], { cwd: dir, env });
    expect(ran.status).to.equal(1);
    expect(ran.stderr).to.contain('node_modules is a link');
    expect(await readdir(join(dir, 'theirs'))).to.deep.equal(['kept']);
  });
});
