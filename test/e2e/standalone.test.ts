/** Straight on a directory, no server: push, dedup, clone, the messages of what cannot work there. */
import { rm } from 'node:fs/promises';
import { expect } from 'chai';
import { seededBytes } from '../support/splitmix64.ts';
import { type Project, Stage } from './support/stage.ts';

const MIB = 1024 * 1024;

describe('end to end: without a server', function () {
  this.timeout(120_000);
  let stage: Stage;
  let project: Project;
  const first = seededBytes(3, 16 * MIB);
  const second = Buffer.concat([
    first.subarray(0, 8 * MIB),
    seededBytes(4, MIB),
    first.subarray(8 * MIB),
  ]);
  let commits: string[];
  let grownBytes: number;

  before(async () => {
    stage = await Stage.set({ server: 'none' });
    project = await stage.project('plain', {
      url: `${stage.storeUrl}//team/plain`,
      initArgs: ['--shared'],
    });
    const { repo } = project;
    await repo.write('big.bin', first);
    for (let index = 0; index < 50; index += 1)
      await repo.write(`many/${index}.bin`, seededBytes(200 + index, 3000));
    commits = [await repo.commit('First')];
    const pushed = await repo.run(['push', '-u', 'origin', 'main']);
    expect(pushed.status, pushed.stderr).to.equal(0);
    expect(pushed.stderr).to.match(/datamon: bundle [0-9a-f]{7}/);
    await repo.write('big.bin', second);
    commits.push(await repo.commit('Second'));
    const before = await stage.storeBytes();
    const again = await repo.run(['push']);
    expect(again.status, again.stderr).to.equal(0);
    expect(again.stderr).to.match(/\d+ % reused/);
    grownBytes = (await stage.storeBytes()) - before;
  });
  after(() => stage.strike());

  it('the second push stored no more than what changed', () => {
    expect(grownBytes).to.be.at.most(1.75 * MIB);
  });

  it('each push is a bundle tied to its commit', async () => {
    expect((await stage.log(project)).map((bundle) => bundle.commit)).to.deep.equal(
      [...commits].reverse(),
    );
  });

  it('a clone on a machine with datamon needs no configuration', async () => {
    const clone = await stage.world.clone(project.remote, 'plain-clone');
    expect((await clone.read('big.bin')).equals(second)).to.equal(true);
    expect((await clone.read('many/7.bin')).equals(seededBytes(207, 3000))).to.equal(true);
  });

  it('an older commit checks out too, and fsck agrees', async () => {
    const clone = await stage.world.clone(project.remote, 'plain-old');
    await clone.git('checkout', '-q', commits[0] ?? '');
    expect((await clone.read('big.bin')).equals(first)).to.equal(true);
    expect((await clone.run(['lfs', 'fsck'])).status).to.equal(0);
  });

  it('the wiped local LFS store is fetched again', async () => {
    const clone = await stage.world.clone(project.remote, 'plain-wiped');
    await rm(clone.path('.git', 'lfs', 'objects'), { recursive: true });
    await clone.git('lfs', 'fetch', '--all');
    expect((await clone.run(['lfs', 'fsck'])).status).to.equal(0);
  });

  it('prune --verify-remote deletes nothing where it cannot see the store', async () => {
    const clone = await stage.world.clone(project.remote, 'plain-prune');
    await clone.git('config', 'lfs.fetchrecentcommitsdays', '0');
    await clone.git('config', 'lfs.fetchrecentrefsdays', '0');
    await clone.git('config', 'lfs.pruneoffsetdays', '0');
    await clone.git('lfs', 'fetch', '--all');
    const before = await clone.git('lfs', 'ls-files', '--all', '--long');
    const pruned = await clone.run(['lfs', 'prune', '--verify-remote']);
    expect(pruned.status).to.not.equal(0);
    expect((await clone.run(['lfs', 'fsck'])).status).to.equal(0);
    expect(await clone.git('lfs', 'ls-files', '--all', '--long')).to.equal(before);
  });

  it('a clone without datamon fails with git-lfs’s own words, and .lfsconfig says what to do', async () => {
    const home = await stage.plainHome();
    const cloned = await stage.world.run(
      'git',
      ['clone', '-q', project.remote.dir, 'plain-without'],
      { env: home },
    );
    expect(cloned.status).to.not.equal(0);
    const config = await stage.world.run('cat', [`${stage.world.root}/plain-without/.lfsconfig`]);
    expect(config.stdout).to.match(/^[#;].*datamon/m);
  });

  it('a linked worktree and a bare clone work like the clone they belong to', async () => {
    await project.repo.git('worktree', 'add', '-q', '../plain-tree', '-b', 'tree');
    const cwd = `${stage.world.root}/plain-tree`;
    await stage.world.run(
      'sh',
      ['-c', 'head -c 70000 /dev/zero > tree.bin && git add tree.bin && git commit -qm Tree'],
      { cwd },
    );
    const pushed = await stage.world.run('git', ['push', 'origin', 'tree'], { cwd });
    expect(pushed.status, pushed.stderr).to.equal(0);
    expect((await stage.log(project)).some((bundle) => bundle.branch === 'tree')).to.equal(true);
  });
});
