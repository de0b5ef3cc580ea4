/**
 * Pushes through the real server behind a network where half of all requests fail, before or after they were done: they succeed. Every
 * tenth meets 99 %: it fails with a sentence, and goes through once the network is well. What was acknowledged reads at the end.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { DatamonError } from '../../../core/errors.ts';
import { HistoryChecker } from '../../support/history-checker.ts';
import {
  failingShare,
  startHttpFaultProxy,
  type Treatment,
} from '../../support/http-fault-proxy.ts';
import { hurried, openClient, pushOnce } from '../client-push.ts';
import type { SoakKind, SoakOptions, SoakResult } from '../kind.ts';
import { preparePrograms } from '../programs.ts';
import { killServer, startServer } from '../server-process.ts';
import { openSoakStore } from '../sight-of-store.ts';

/** As often as a person would run it again. */
const TRIES_MAX = 5;
const BAD_ONE_IN = 10;

type Treat = (nth: number) => Treatment;
const WELL: Treat = () => ({ kind: 'pass' });

async function run(options: SoakOptions): Promise<SoakResult> {
  const { count, seed, folder, report, starts, planted } = options;
  const programs = await preparePrograms(starts, folder);
  const root = join(folder, 'store');
  await mkdir(root);
  const server = await startServer(programs, root, 0);
  let treat: Treat = WELL;
  const proxy = await startHttpFaultProxy(
    () => server.port,
    (nth) => treat(nth),
  );
  const history = new HistoryChecker();
  const facts = { again: 0, refused: 0, requests: 0, faults: 0 };
  let done = 0;

  const push = async (number: number): Promise<void> => {
    const client = await openClient(proxy.origin, hurried(number), `${root}-spool`);
    try {
      await pushOnce(client, history, `push ${number}`, number);
    } finally {
      await client.close();
    }
  };
  const broken = (number: number, what: string): void =>
    report.broken({ what, replay: `npm run soak -- --only flaky --count 1 --seed ${number}` });

  /** True once it went through. */
  const attempt = async (number: number): Promise<boolean> => {
    try {
      await push(number);
      return true;
    } catch (error) {
      const isClean = error instanceof DatamonError && error.code === 'UNAVAILABLE';
      if (!isClean) broken(number, `it failed with ${String(error)}`);
      return false;
    }
  };

  for (; done < count && !report.enough; done += 1) {
    const number = seed + done;
    if (number % BAD_ONE_IN === 0) {
      treat = failingShare(0.99, number);
      if (!(await attempt(number))) facts.refused += 1;
      treat = WELL;
    } else treat = failingShare(0.5, number);
    let tries = 1;
    while (tries <= TRIES_MAX && !(await attempt(number))) tries += 1;
    if (tries > TRIES_MAX) broken(number, `no push got through in ${TRIES_MAX} tries`);
    facts.again += tries - 1;
    report.progress(done);
  }
  if (planted === 'a file is lost') await loseOne(root);
  await killServer(server);
  await proxy.close();
  const { repository, sight, damage } = await openSoakStore(root, { trees: 'all' });
  for (const what of [...(await history.check(sight)), ...(await damage())]) broken(seed, what);
  await repository.close();
  return { done, facts: { ...facts, requests: proxy.requestCount, faults: proxy.faultCount } };
}

/** Takes a segment away: the first by name. */
async function loseOne(root: string): Promise<void> {
  const { backend, repository } = await openSoakStore(root);
  for await (const { key } of backend.list('repos/')) {
    if (key.includes('/segments/')) return await backend.remove(key);
  }
  await repository.close();
}

export const flaky: SoakKind = {
  name: 'flaky',
  unit: 'pushes',
  promise:
    'pushes succeed where half of all requests fail; where 99 % do they fail cleanly and go through later',
  defaultCount: 200,
  sliceCount: 6,
  plants: ['a file is lost'],
  run,
};
