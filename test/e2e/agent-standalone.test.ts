/** The agent under the real git-lfs, straight on a directory store: everything that went up comes down, byte for byte, wherever git runs. */
import { readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import {
  leftovers,
  lfsFolder,
  lfsPush,
  Standalone,
  wipeLocalObjects,
} from '../agent/support/standalone.ts';
import type { GitRepo } from '../support/git-repo.ts';
import { seededBytes } from '../support/splitmix64.ts';

const FILES: Readonly<Record<string, Uint8Array>> = {
  'one.bin': Uint8Array.of(7),
  'empty.bin': new Uint8Array(),
  'with space.bin': seededBytes(1, 1000),
  'quotes \' and ".bin': seededBytes(2, 16 * 1024 - 1),
  'new\nline.bin': seededBytes(3, 16 * 1024),
  'n\u00e9.bin': seededBytes(4, 16 * 1024 + 1),
  'e\u0301.bin': seededBytes(5, 64 * 1024),
  'dir/deep/$HOME `x`.bin': seededBytes(6, 256 * 1024),
  'dir/-dash.bin': seededBytes(7, 256 * 1024 + 1),
  'dir/zeros.bin': new Uint8Array(1024 * 1024),
  'dir/same as one.bin': Uint8Array.of(7),
  'big.bin': seededBytes(8, 3 * 1024 * 1024),
};

async function expectFiles(repo: GitRepo): Promise<void> {
  for (const [path, bytes] of Object.entries(FILES)) {
    expect((await repo.read(path)).equals(bytes), path).to.equal(true);
  }
}

describe('end to end: the agent without a server', function () {
  this.timeout(60_000);
  let lab: Standalone;
  let repo: GitRepo;
  let remote: GitRepo;

  before(async () => {
    lab = await Standalone.create();
    ({ repo, remote } = await lab.repo('weather'));
    for (const [path, bytes] of Object.entries(FILES)) await repo.write(path, bytes);
    await repo.commit('A dozen files');
    const pushed = await lfsPush(repo);
    expect(pushed.status, pushed.stderr).to.equal(0);
    await repo.git('push', '-q', '--no-verify', 'origin', 'main');
  });
  after(() => lab.world.remove());

  it('brings everything back after the local store was wiped, and git lfs fsck agrees', async () => {
    await wipeLocalObjects(repo);
    await repo.git('lfs', 'fetch', '--all');
    const fsck = await repo.run(['lfs', 'fsck']);
    expect(fsck.stdout + fsck.stderr).to.include('Git LFS fsck OK');
    expect(await leftovers(repo)).to.deep.equal([]);
  });

  it('hands back files with the mode the umask gives, never a private one', async () => {
    await wipeLocalObjects(repo);
    await repo.git('lfs', 'fetch', '--all');
    const oid = (await repo.git('lfs', 'ls-files', '-l', '-I', 'big.bin')).slice(0, 64);
    const file = join(await lfsFolder(repo, 'objects'), oid.slice(0, 2), oid.slice(2, 4), oid);
    expect((await stat(file)).mode & 0o044).to.equal(0o044);
  });

  it('serves a plain clone with nothing set up in it', async () => {
    await expectFiles(await lab.world.clone(remote, 'plain clone'));
  });

  it('sends nothing for a second push of the same', async () => {
    const pushed = await repo.run(['lfs', 'push', '--all', 'origin'], {
      env: { GIT_TRACE: '1', GIT_TRANSFER_TRACE: '1' },
    });
    expect(pushed.status, pushed.stderr).to.equal(0);
    await expectFiles(await lab.world.clone(remote, 'clone after a second push'));
  });

  it("writes no line that the client's own trace does not know", async () => {
    await repo.write('traced.bin', seededBytes(20, 700_000));
    await repo.commit('Traced');
    const traced = await repo.run(['lfs', 'push', 'origin', 'main'], {
      env: { GIT_TRACE: '1', GIT_TRANSFER_TRACE: '1' },
    });
    expect(traced.status, traced.stderr).to.equal(0);
    const received = traced.stderr.match(/(?<=received response: ).*/g) ?? [];
    expect(received.length).to.be.above(0);
    for (const line of received) expect(() => JSON.parse(line), line).to.not.throw();
    expect(traced.stderr).to.not.match(/unexpected|invalid|EOF/i);
  });

  it('pushes from a subdirectory', async () => {
    await repo.write('dir/sub.bin', seededBytes(30, 5000));
    await repo.commit('From below');
    const pushed = await repo.run(['lfs', 'push', 'origin', 'main'], { cwd: repo.path('dir') });
    expect(pushed.status, pushed.stderr).to.equal(0);
    await wipeLocalObjects(repo);
    await repo.git('lfs', 'fetch', '--all');
  });

  it('works in a linked worktree', async () => {
    await repo.git('worktree', 'add', '-q', '../linked tree', '-b', 'side');
    const linked = await lab.world.run('git', ['status', '--short'], {
      cwd: join(lab.world.root, 'linked tree'),
    });
    expect(linked.status).to.equal(0);
    const cwd = join(lab.world.root, 'linked tree');
    await repo.world.run('sh', ['-c', 'printf linked > linked.bin'], { cwd });
    await repo.run(['add', '-A'], { cwd });
    await repo.run(['commit', '-qm', 'In the linked tree'], { cwd });
    const pushed = await repo.run(['lfs', 'push', 'origin', 'side'], { cwd });
    expect(pushed.status, pushed.stderr).to.equal(0);
    await wipeLocalObjects(repo);
    const pulled = await repo.run(['lfs', 'fetch', 'origin', 'side'], { cwd });
    expect(pulled.status, pulled.stderr).to.equal(0);
    expect((await repo.run(['lfs', 'fsck'], { cwd })).status).to.equal(0);
    await repo.git('lfs', 'fetch', '--all');
  });

  it('works in a submodule, and in a clone with submodules', async () => {
    const outer = await lab.repo('outer');
    await outer.repo.git('submodule', 'add', '-q', remote.dir, 'inner');
    await outer.repo.write('outer.bin', seededBytes(40, 9000));
    await outer.repo.commit('With a submodule');
    expect((await lfsPush(outer.repo)).status).to.equal(0);
    await outer.repo.git('push', '-q', '--no-verify', 'origin', 'main');
    const cwd = outer.repo.path('inner');
    await repo.world.run('sh', ['-c', 'printf inside > inside.bin'], { cwd });
    await repo.run(['add', '-A'], { cwd });
    await repo.run(['commit', '-qm', 'In the submodule'], { cwd });
    const pushed = await repo.run(['lfs', 'push', 'origin', 'HEAD'], { cwd });
    expect(pushed.status, pushed.stderr).to.equal(0);
    const clone = await lab.world.clone(outer.remote, 'outer clone', '--recurse-submodules');
    expect(
      (await clone.read('inner/big.bin')).equals(FILES['big.bin'] ?? new Uint8Array()),
    ).to.equal(true);
    expect((await clone.read('outer.bin')).equals(seededBytes(40, 9000))).to.equal(true);
  });

  it('fetches into a bare clone', async () => {
    await repo.git('push', '-q', '--no-verify', 'origin', 'main');
    const bare = await lab.world.clone(remote, 'bare clone.git', '--bare');
    const fetched = await bare.run(['lfs', 'fetch', 'origin', 'main']);
    expect(fetched.status, fetched.stderr).to.equal(0);
    const oid = (await repo.git('lfs', 'ls-files', '-l', '-I', 'big.bin')).slice(0, 64);
    const path = bare.path('lfs', 'objects', oid.slice(0, 2), oid.slice(2, 4), oid);
    expect((await readFile(path)).equals(FILES['big.bin'] ?? new Uint8Array())).to.equal(true);
  });

  it('works where GIT_DIR and GIT_WORK_TREE are given and the caller stands elsewhere', async () => {
    await wipeLocalObjects(repo);
    const env = { GIT_DIR: repo.path('.git'), GIT_WORK_TREE: repo.dir };
    const fetched = await lab.world.run('git', ['lfs', 'fetch', '--all'], { cwd: '/', env });
    expect(fetched.status, fetched.stderr).to.equal(0);
    await repo.git('lfs', 'fsck', '--objects');
  });

  it('keeps its temps beside a storage that was moved elsewhere', async () => {
    const clone = await lab.world.clone(remote, 'moved storage', '-c', 'lfs.storage=../moved lfs');
    await expectFiles(clone);
  });

  it('honours core.sharedRepository', async () => {
    const clone = await lab.world.clone(remote, 'shared', '-c', 'core.sharedRepository=group');
    const oid = (await clone.git('lfs', 'ls-files', '-l', '-I', 'big.bin')).slice(0, 64);
    const file = join(await lfsFolder(clone, 'objects'), oid.slice(0, 2), oid.slice(2, 4), oid);
    expect((await stat(file)).mode & 0o060).to.equal(0o060);
  });

  it('archives through the agent, one process set per file', async () => {
    const clone = await lab.world.clone(remote, 'to archive', '-c', 'filter.lfs.smudge=cat');
    const archived = await clone.run(['archive', '-o', '../a.tar', 'HEAD', 'one.bin', 'empty.bin']);
    expect(archived.status, archived.stderr).to.equal(0);
  });

  it('names an object that is missing on both sides and uploads the others', async () => {
    const lost = await lab.repo('lost');
    for (const name of ['a', 'b', 'c', 'd'])
      await lost.repo.write(`${name}.bin`, `content of ${name}`);
    await lost.repo.commit('Four files');
    for (const name of ['b', 'c']) {
      const oid = (await lost.repo.git('lfs', 'ls-files', '-l', '-I', `${name}.bin`)).slice(0, 64);
      const folder = await lfsFolder(lost.repo, 'objects');
      await rm(join(folder, oid.slice(0, 2), oid.slice(2, 4), oid));
      await rm(lost.repo.path(`${name}.bin`));
    }
    await lost.repo.git('config', 'lfs.allowincompletepush', 'true');
    const pushed = await lfsPush(lost.repo);
    expect(pushed.stderr + pushed.stdout).to.match(/missing/i);
    await lost.repo.git('push', '-q', '--no-verify', 'origin', 'main');
    await wipeLocalObjects(lost.repo);
    const fetched = await lost.repo.run(['lfs', 'fetch', '--all']);
    expect(fetched.status).to.not.equal(0);
    expect(fetched.stderr.match(/datamon: /g)?.length).to.be.at.least(2);
    const kept = await lost.repo.run(['lfs', 'fetch', '-I', 'a.bin,d.bin', 'origin', 'main']);
    expect(kept.status, kept.stderr).to.equal(0);
    expect(await leftovers(lost.repo)).to.deep.equal([]);
  });

  it('says in one sentence what is wrong with an unusable address', async () => {
    const broken = await lab.repo('broken');
    await broken.repo.write('.lfsconfig', '[lfs]\n\turl = datamon::file:///nowhere/at/all\n');
    await broken.repo.write('a.bin', 'a');
    await broken.repo.commit('Address without a repo');
    const pushed = await lfsPush(broken.repo);
    expect(pushed.status).to.not.equal(0);
    expect(pushed.stderr + pushed.stdout).to.include('Put the repo behind two slashes');
    expect(pushed.stderr + pushed.stdout).to.not.match(/\n\s+at /);
  });

  it('refuses to vouch for a prune that it cannot see, and nothing is deleted', async () => {
    const clone = await lab.world.clone(remote, 'to prune');
    await clone.write('one.bin', Uint8Array.of(8));
    await clone.commit('Newer');
    expect((await lfsPush(clone)).status).to.equal(0);
    await clone.git('push', '-q', '--no-verify', 'origin', 'main:pruned');
    await rm(lab.storeDir, { recursive: true });
    const args = ['-c', 'lfs.fetchrecentrefsdays=0', '-c', 'lfs.fetchrecentcommitsdays=0'];
    const pruned = await clone.run([...args, 'lfs', 'prune', '--verify-remote', '--force']);
    expect(pruned.status).to.not.equal(0);
    expect((await clone.run(['lfs', 'fsck', '--objects'])).status).to.equal(0);
    expect(await lab.log()).to.include('nothing was deleted');
  });
});
