/**
 * kill -9 of the real server under the load of several clients, at any moment, and a new one at the same address: what clients were told
 * is stored stays stored, and the new server is ready within seconds. Clients go on by trying again, as they do.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DatamonError } from '../../../core/errors.ts';
import { HistoryChecker } from '../../support/history-checker.ts';
import { splitmix64 } from '../../support/splitmix64.ts';
import { hurried, openClient, pushOnce } from '../client-push.ts';
import type { SoakKind, SoakOptions, SoakResult } from '../kind.ts';
import { preparePrograms } from '../programs.ts';
import { killServer, startServer } from '../server-process.ts';
import { openSoakStore } from '../sight-of-store.ts';

const CLIENT_COUNT = 3;
const ALIVE_MAX_MS = 400;
const READY_MAX_MS = 15_000;
const KILLS_PER_LOOK = 50;

async function run(options: SoakOptions): Promise<SoakResult> {
  const { count, seed, folder, report, starts, planted } = options;
  const programs = await preparePrograms(starts, folder);
  const root = join(folder, 'store');
  await mkdir(root);
  const history = new HistoryChecker();
  const random = splitmix64(seed);
  let server = await startServer(programs, root, 0);
  const { port } = server;
  let over = false;
  let pushes = 0;
  let failedPushes = 0;
  let readyMaxMs = 0;
  let done = 0;
  const broken = (what: string): void =>
    report.broken({
      what,
      replay: `npm run soak -- --only kill-server --count ${count} --seed ${seed}`,
    });

  const client = async (index: number): Promise<void> => {
    for (let n = 0; !over; n += 1) {
      const number = (seed * CLIENT_COUNT + index) * 100_000 + n;
      try {
        const opened = await openClient(
          `http://127.0.0.1:${port}`,
          hurried(number),
          `${root}-spool-${index}`,
        );
        await pushOnce(opened, history, `push ${number}`, number).finally(() => opened.close());
        pushes += 1;
      } catch (error) {
        failedPushes += 1;
        if (!(error instanceof DatamonError)) broken(`a client failed with ${String(error)}`);
        await sleep(20);
      }
    }
  };
  const look = async (): Promise<void> => {
    const { repository, sight } = await openSoakStore(root);
    for (const what of await history.check(sight)) broken(what);
    await repository.close();
  };

  const clients = Promise.all(Array.from({ length: CLIENT_COUNT }, (_, index) => client(index)));
  for (; done < count && !report.enough; done += 1) {
    await sleep(random() * ALIVE_MAX_MS);
    const { signal, said } = await killServer(server);
    if (signal !== 'SIGKILL') broken(`the server ended by itself: ${said}`);
    const began = performance.now();
    server = await startServer(programs, root, port);
    const readyMs = performance.now() - began;
    readyMaxMs = Math.max(readyMaxMs, Math.round(readyMs));
    if (readyMs > READY_MAX_MS) broken(`the server took ${Math.round(readyMs)} ms to be ready`);
    if (done % KILLS_PER_LOOK === KILLS_PER_LOOK - 1) await look();
    report.progress(done);
  }
  over = true;
  await clients;
  await killServer(server);
  if (planted === 'forgets')
    history.end(
      history.begin({ kind: 'entry', name: 'main', content: 'never pushed' }),
      'acknowledged',
    );
  await look();
  for (const what of await (await openSoakStore(root)).damage()) broken(what);
  return {
    done,
    facts: { pushes, failedPushes, readyMaxMs, acknowledged: history.counts.acknowledged },
  };
}

export const killTheServer: SoakKind = {
  name: 'kill-server',
  unit: 'kills',
  promise:
    'kill -9 of the server under load loses nothing that a client was told is stored, and the next one is soon ready',
  defaultCount: 500,
  sliceCount: 3,
  plants: ['forgets'],
  run,
};
