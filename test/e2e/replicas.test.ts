/** A server on a pair of folders: home goes away during pushes, a clone comes from the replica, it is promoted, and the old home comes back. */
import { readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { seededBytes } from '../support/splitmix64.ts';
import { replicated } from './support/replicated.ts';
import { Stage } from './support/stage.ts';
import { describeOnFolder } from './support/store-place.ts';

describeOnFolder('a store in two places, end to end', 'it joins two folders itself', () => {
  let stage: Stage;
  afterEach(() => stage.strike());

  it('loses nothing with its home, goes on from the replica, and takes the old home back', async function () {
    this.timeout(180_000);
    stage = await Stage.set({ server: 'none' });
    const { home, replica } = await replicated(stage, 'sync');
    await stage.startServer({ args: ['--replica', replica.url] });
    const project = await stage.project('vision');
    const one = seededBytes(1, 2_000_000);
    await project.repo.write('one.bin', one);
    await project.repo.commit('One');
    await project.repo.git('push', 'origin', 'main');

    // Home goes away under the running server: a push cannot end well, and waits; what was pushed reads on.
    const away = `${home.dir}-away`;
    await rename(home.dir, away);
    const two = seededBytes(2, 300_000);
    await project.repo.write('two.bin', two);
    await project.repo.commit('Two');
    const pushing = project.repo.run(['push', 'origin', 'main']);
    const clone = await stage.world.clone(project.remote, 'from-replica');
    expect(Buffer.compare(await readFile(join(clone.dir, 'one.bin')), one)).to.equal(0);

    const promoted = await stage.mustRun('datamon', ['replicate', '--promote', replica.url]);
    expect(promoted).to.include('eu is home now, epoch 2');
    await stage.killServer('SIGKILL');
    await stage.startServer({ store: replica.url });
    // It went on against the new home, or gave up meanwhile: pushing again is all there is to do.
    if ((await pushing).status !== 0) await project.repo.git('push', 'origin', 'main');
    const [newest] = await stage.log(project);
    expect(newest?.commit).to.equal((await project.repo.git('rev-parse', 'HEAD')).trim());

    // The old home is back: fenced until a resync, then equal to the last key.
    await rename(away, home.dir);
    const refused = await stage.run('datamon', [
      'put',
      clone.dir,
      `${home.url}//team/other`,
      '-m',
      'x',
    ]);
    expect(refused.status).to.equal(12);
    expect(refused.stderr).to.include(replica.url);
    const resynced = await stage.mustRun('datamon', [
      'replicate',
      replica.url,
      '--resync',
      '--json',
    ]);
    const [report] = resynced
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(report).to.include({ name: 'home', equal: true });
    expect(report.homeDigest).to.equal(report.memberDigest);
    const status = await stage.mustRun('datamon', ['replicate', home.url, '--json']);
    const roles = status
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).role);
    expect(roles).to.have.members(['home', 'replica']);
    await project.repo.write('three.bin', seededBytes(3, 1000));
    await project.repo.commit('Three');
    await project.repo.git('push', 'origin', 'main');
    const again = await stage.world.clone(project.remote, 'again');
    expect(Buffer.compare(await readFile(join(again.dir, 'two.bin')), two)).to.equal(0);
  });
});
