/** Many small files from a server under the real git-lfs: few requests, and whole clones also where the way ahead is cut, unknown or killed. */
import { spawn } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'chai';
import { FAST_PATHS_OFF } from '../../core/fast-paths.ts';
import { createBatchMemory } from '../../lfs-server/batch-memory.ts';
import { leftovers, lfsPush, Standalone, wipeLocalObjects } from '../agent/support/standalone.ts';
import type { GitRepo } from '../support/git-repo.ts';
import {
  type RealServer,
  type RealServerOptions,
  startRealServer,
  startRelay,
} from '../support/real-server.ts';
import { seededBytes } from '../support/splitmix64.ts';

const FILE_COUNT = 130;
/** git-lfs asks for so many at a time. */
const BATCH_SIZE = 100;
const KILL_WAIT_MS = 20_000;

describe('end to end: many small files from a server', function () {
  this.timeout(120_000);
  let lab: Standalone;
  let server: RealServer;
  let repo: GitRepo;

  beforeEach(async () => {
    lab = await Standalone.create();
    // What this suite is about: on in the programs, too, whatever a run of all tests switches off.
    lab.world.addEnv({ [FAST_PATHS_OFF]: '' });
  });
  afterEach(() => lab.world.remove());

  async function pushed(options: RealServerOptions = {}): Promise<void> {
    server = await startRealServer(options);
    ({ repo } = await lab.world.withRemote('work'));
    await useServer(server.origin);
    for (let n = 0; n < FILE_COUNT; n += 1) {
      await repo.write(`many/${n}.bin`, seededBytes(n, 10_000));
    }
    await repo.commit('Many small files');
    const push = await lfsPush(repo);
    expect(push.status, push.stderr).to.equal(0);
    await wipeLocalObjects(repo);
  }

  const useServer = (origin: string) =>
    repo.write('.lfsconfig', `[lfs]\n\turl = ${origin}/team/work\n`);

  /** Fetches all files, and returns what the server was asked meanwhile. */
  async function fetched(): Promise<readonly string[]> {
    const before = server.requests.length;
    const fetch = await repo.run(['lfs', 'fetch', 'origin', 'main']);
    expect(fetch.status, fetch.stderr).to.equal(0);
    expect((await repo.run(['lfs', 'fsck', '--objects'])).status).to.equal(0);
    expect(await leftovers(repo)).to.deep.equal([]);
    return server.requests.slice(before);
  }

  const alone = (requests: readonly string[]) =>
    requests.filter((request) => /^GET .*\/objects\/[0-9a-f]{64}$/.test(request));

  it('takes two requests for each batch, and none for a file', async () => {
    await pushed();
    const requests = await fetched();
    expect(alone(requests)).to.deep.equal([]);
    // Beside the batches: what server, repo and API this is.
    expect(requests.length, requests.join('\n')).to.be.below(2 * (FILE_COUNT / BATCH_SIZE + 1) + 6);
  });

  it('goes one by one where the server forgot its batches', async () => {
    const memory = createBatchMemory();
    let forgets = false;
    const recall = (id: string) => (forgets ? undefined : memory.recall(id));
    await pushed({ batches: { ...memory, recall } });
    forgets = true;
    expect(alone(await fetched())).to.have.length(FILE_COUNT);
  });

  it('goes on one by one where the connection is cut in the middle', async () => {
    await pushed();
    const relay = await startRelay(server.origin, (connection) =>
      connection < 3 ? { down: 100_000 } : null,
    );
    await useServer(relay.origin);
    const requests = await fetched();
    expect(relay.cutCount).to.be.above(0);
    expect(alone(requests).length).to.be.above(0).and.below(FILE_COUNT);
  });

  it('kill -9 of the agent with files ahead: the next fetch heals, and sweeps them away', async () => {
    await pushed();
    const fetch = spawn('git-lfs', ['fetch', 'origin', 'main'], {
      cwd: repo.dir,
      env: lab.world.env,
      stdio: 'ignore',
    });
    const ended = new Promise((resolve) => fetch.once('exit', resolve));
    const deadline = performance.now() + KILL_WAIT_MS;
    while ((await leftovers(repo)).length < 5 && performance.now() < deadline) await pause(1);
    const pids = [...(await lab.log()).matchAll(/Z (\d+) init download/g)];
    process.kill(Number(pids.at(-1)?.[1]), 'SIGKILL');
    await ended;
    expect((await leftovers(repo)).length, 'killed too late').to.be.above(0);
    await fetched();
  });
});
