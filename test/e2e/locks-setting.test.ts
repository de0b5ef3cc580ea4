/** init tells git-lfs that our servers enforce locks: no question on the first push, locks hold, a server that is gone stops the push. */
import { expect } from 'chai';
import { seededBytes } from '../support/splitmix64.ts';
import { type Project, Stage } from './support/stage.ts';

describe('end to end: lock checks as init sets them', function () {
  this.timeout(60_000);
  let stage: Stage;
  let project: Project;
  let key: string;
  const locksVerify = async () =>
    (await project.repo.run(['config', '--local', key])).stdout.trim();

  before(async () => {
    stage = await Stage.set({ server: 'running' });
    project = await stage.project('quiet');
    key = `lfs.${project.url}.locksverify`;
  });
  after(() => stage.strike());

  it('the first push asks nothing', async () => {
    await project.repo.write('a.bin', seededBytes(1, 50_000));
    await project.repo.commit('First');
    const ran = await project.repo.run(['push', '-u', 'origin', 'main']);
    expect(ran.status, ran.stderr).to.equal(0);
    expect(ran.stderr)
      .to.match(/bundle [0-9a-f]{7}/)
      .and.not.contain('Locking support');
    expect(await locksVerify()).to.equal('true');
  });

  it('a push over one’s own lock goes through', async () => {
    await stage.mustRun('git', ['lfs', 'lock', 'a.bin'], { cwd: project.repo.dir });
    await project.repo.write('a.bin', seededBytes(2, 50_000));
    await project.repo.commit('Mine');
    const ran = await project.repo.run(['push', 'origin', 'main']);
    expect(ran.status, ran.stderr).to.equal(0);
  });

  it('init again keeps a “no” of the user’s', async () => {
    await project.repo.git('config', '--local', key, 'false');
    await stage.mustRun('datamon', ['init', project.url], { cwd: project.repo.dir });
    expect(await locksVerify()).to.equal('false');
    await project.repo.git('config', '--local', key, 'true');
  });

  it('a server that is gone stops the push and is named', async () => {
    await stage.killServer('SIGKILL');
    await project.repo.write('a.bin', seededBytes(3, 50_000));
    await project.repo.commit('Nobody there');
    const before = await project.remote.git('rev-parse', 'main');
    const ran = await project.repo.run(['push', 'origin', 'main']);
    expect(ran.status).to.not.equal(0);
    expect(ran.stderr).to.contain('cannot reach');
    expect(await project.remote.git('rev-parse', 'main')).to.equal(before);
  });

  it('uninstall takes the setting out', async () => {
    await stage.mustRun('datamon', ['uninstall']);
    expect(await locksVerify()).to.equal('');
  });
});
