/** bench/peers/install.sh: what cannot be had is named, leaves its reason behind and fails nothing. No registry is asked here. */
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect } from 'chai';
import { findProgram } from '../../git/binary.ts';

const SCRIPT = resolve(import.meta.dirname, '../../bench/peers/install.sh');
const PEERS = ['borg', 'casync', 'dvc', 'giftless', 'lfs-test-server', 'restic', 'rudolfs'];

describe('bench: install.sh of the peers', () => {
  let root: string;

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'datamon-bench-test-'));
    await mkdir(join(root, 'bench', 'peers'), { recursive: true });
    await cp(SCRIPT, join(root, 'bench', 'peers', 'install.sh'));
    // A machine with the tools of a shell and nothing else.
    await mkdir(join(root, 'bin'));
    for (const name of ['sh', 'dirname', 'mkdir', 'cat', 'tail', 'cut', 'id', 'rm']) {
      const found = await findProgram(name, process.env);
      if (found === null) throw new Error(`this machine has no ${name}`);
      await symlink(found, join(root, 'bin', name));
    }
  });
  afterEach(() => rm(root, { recursive: true, force: true }));

  const install = (...args: string[]) =>
    new Promise<{ readonly status: number; readonly said: string }>((done) => {
      const script = join(root, 'bench', 'peers', 'install.sh');
      const child = execFile(
        '/bin/sh',
        [script, ...args],
        { env: { PATH: join(root, 'bin') } },
        (_, __, said) => done({ status: child.exitCode ?? -1, said }),
      );
    });

  it('names all that is not to be had, once with its reason for the benchmark', async () => {
    const { status, said } = await install();
    expect(status, said).to.equal(0);
    const tools = join(root, '.tools', 'bench');
    const absent = (await readdir(tools)).filter((name) => name.endsWith('.absent'));
    expect(absent.sort()).to.deep.equal(PEERS.map((name) => `${name}.absent`));
    for (const peer of PEERS) expect(said).to.include(`peers: ${peer}: not to be had here: `);
    const why = await readFile(join(tools, 'rudolfs.absent'), 'utf8');
    expect(why.trim()).to.equal('it is a Rust crate, and there is no cargo');
  });

  it('keeps what a tool said where an installation failed, and tries no second time', async () => {
    const cargo = join(root, 'bin', 'cargo');
    await writeFile(
      cargo,
      '#!/bin/sh\necho "tried" >&2\necho "error: no such crate" >&2\nexit 101\n',
      {
        mode: 0o755,
      },
    );
    const first = await install('rudolfs');
    expect(first.status, first.said).to.equal(0);
    expect(first.said).to.include('could not be installed: error: no such crate');
    await rm(cargo);
    const second = await install('rudolfs');
    expect(second.said).to.include('error: no such crate').and.not.include('there is no cargo');
  });

  it('leaves alone what is there in the pinned version, and replaces another', async () => {
    const cargo = join(root, 'bin', 'cargo');
    await writeFile(cargo, '#!/bin/sh\necho "$@" >>"$0.log"\n', { mode: 0o755 });
    for (const _ of [1, 2]) expect((await install('rudolfs')).status).to.equal(0);
    expect((await readFile(`${cargo}.log`, 'utf8')).split('\n')).to.have.length(2);
    await writeFile(join(root, '.tools', 'bench', 'rudolfs.version'), '0.0.1');
    await install('rudolfs');
    expect((await readFile(`${cargo}.log`, 'utf8')).split('\n')).to.have.length(3);
  });

  it('refuses a peer nobody knows', async () => {
    expect(await install('rsync')).to.deep.equal({
      status: 2,
      said: 'peers: no peer is called rsync\n',
    });
  });
});
