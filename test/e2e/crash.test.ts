/** The plug is pulled in the middle of a push; the next push is whole. */
import { expect } from 'chai';
import { seededBytes } from '../support/splitmix64.ts';
import { openProxy, type Project, Stage } from './support/stage.ts';

const MIB = 1024 * 1024;

describe('end to end: killed in the middle', function () {
  this.timeout(180_000);
  let stage: Stage;
  before(async () => {
    stage = await Stage.set({ server: 'running' });
  });
  after(() => stage.strike());

  const bytes = seededBytes(64, 96 * MIB);

  async function isWhole(project: Project, commit: string, clone: string): Promise<void> {
    expect((await stage.log(project)).map((bundle) => bundle.commit)).to.deep.equal([commit]);
    const cloned = await stage.world.clone(project.remote, clone);
    expect((await cloned.read('big.bin')).equals(bytes)).to.equal(true);
  }

  /** Makes this clone reach the server through a proxy that acts once `afterBytes` went up. */
  async function through(
    project: Project,
    afterBytes: number,
    onBytes: () => void,
  ): Promise<() => Promise<void>> {
    const proxy = await openProxy({ to: () => stage.serverPort, afterBytes, onBytes });
    await project.repo.git('config', 'lfs.url', project.url.replace(/:\d+\//, `:${proxy.port}/`));
    return async () => {
      proxy.close();
      await project.repo.git('config', '--unset', 'lfs.url');
    };
  }

  it('kill -9 of the server during the upload: the push fails in words, the next one is whole', async () => {
    const project = await stage.project('server-killed');
    await project.repo.write('big.bin', bytes);
    const commit = await project.repo.commit('Big');
    const killed: Promise<unknown>[] = [];
    const back = await through(project, 20 * MIB, () => killed.push(stage.killServer('SIGKILL')));
    const pushing = await project.repo.run(['push', 'origin', 'main']);
    await back();
    await Promise.all(killed);
    expect(killed.length).to.equal(1);
    expect(pushing.status, pushing.stderr).to.not.equal(0);
    expect(pushing.stderr).to.match(/datamon: .*(cannot reach|connection|server)/i);
    expect(pushing.stderr).to.not.match(/\n\s+at /);
    await stage.startServer();
    const again = await project.repo.run(['push', 'origin', 'main']);
    expect(again.status, again.stderr).to.equal(0);
    await isWhole(project, commit, 'server-killed-clone');
  });

  it('kill -9 of the agent during the upload: git-lfs reports it, the next push is whole', async () => {
    const project = await stage.project('agent-killed', { initArgs: ['--no-hooks'] });
    await project.repo.git('config', 'datamon.hooks', 'off');
    await project.repo.git('lfs', 'install', '--local', '--force');
    await project.repo.write('big.bin', bytes);
    const commit = await project.repo.commit('Big');
    const killed: Promise<number>[] = [];
    const back = await through(project, 20 * MIB, () => {
      killed.push(
        stage.processes('agent/main.ts').then((pids) => {
          for (const pid of pids) process.kill(pid, 'SIGKILL');
          return pids.length;
        }),
      );
    });
    const pushing = await project.repo.run(['lfs', 'push', 'origin', 'main']);
    await back();
    expect(await Promise.all(killed)).to.deep.equal([1]);
    expect(pushing.status).to.not.equal(0);
    const again = await project.repo.run(['lfs', 'push', 'origin', 'main']);
    expect(again.status, again.stderr).to.equal(0);
    await project.repo.git('push', '-q', '--no-verify', 'origin', 'main');
    await stage.mustRun('datamon', ['record', 'main'], { cwd: project.repo.dir });
    await isWhole(project, commit, 'agent-killed-clone');
  });

  it('no server at all: the push fails and says which command helps', async () => {
    const project = await stage.project('unreachable');
    await project.repo.write('a.bin', 'a');
    const pushed = await project.repo.commit('Small');
    await project.repo.git('push', '-q', 'origin', 'main');
    await project.repo.write('b.bin', 'b');
    await project.repo.commit('Another');
    await stage.killServer('SIGTERM');
    const pushing = await project.repo.run(['push', 'origin', 'main']);
    expect(pushing.status).to.not.equal(0);
    expect(pushing.stderr).to.contain('datamon doctor');
    expect(pushing.stderr).to.contain('cannot reach');
    expect(await project.remote.git('rev-parse', 'main')).to.equal(pushed);
    await stage.startServer();
  });

  it('SIGTERM ends the server with status 0', async () => {
    expect(await stage.killServer('SIGTERM')).to.equal(0);
    await stage.startServer();
  });
});
