/** What one client does through a server: some files and a push of them, each noted in the history. */

import { setTimeout as sleep } from 'node:timers/promises';
import { openRepositoryUrl } from '../../client/open.ts';
import type { Pace } from '../../client/retry.ts';
import type { Repository } from '../../core/meta/repository.ts';
import type { HistoryChecker } from '../support/history-checker.ts';
import { fileEntry, pushIdOf, recordSimplePush } from '../support/simple-push.ts';
import { sourceOf } from '../support/source-of.ts';
import { seededBytes, splitmix64 } from '../support/splitmix64.ts';

/** Waits a hundredth of what a patient client does. */
export function hurried(seed: number): Pace {
  const random = splitmix64(seed);
  return {
    sleep: (ms, signal) => sleep(ms / 100, undefined, signal && { signal }),
    now: Date.now,
    random,
  };
}

export function openClient(origin: string, pace: Pace, spoolDir: string): Promise<Repository> {
  return openRepositoryUrl(`${origin}/acme/soak`, {
    spoolDir,
    create: { by: 'soak', remote: null },
    api: { pace, limits: { answerTimeoutMs: 10_000, stallTimeoutMs: 10_000 } },
  });
}

/** Throws where something did not get through; the history knows what did. */
export async function pushOnce(
  repository: Repository,
  history: HistoryChecker,
  name: string,
  seed: number,
): Promise<void> {
  const random = splitmix64(seed);
  const sizes = [1 + random() * 3000, 1 + random() * 3000, 1 + random() * 200_000].map(Math.floor);
  const sources = sizes.map((size, index) => sourceOf(seededBytes(seed * 10 + index, size)));
  const attempts = new Map(
    sources.map(({ oid }) => [oid, history.begin({ kind: 'object', name: oid, content: oid })]),
  );
  const failures: unknown[] = [];
  for await (const outcome of repository.blobs.putMany(sources)) {
    const attempt = attempts.get(outcome.oid);
    if ('error' in outcome) failures.push(outcome.error);
    if (attempt) history.end(attempt, 'error' in outcome ? 'failed' : 'acknowledged');
  }
  if (failures.length > 0) throw failures[0];
  const entries = sources.map(({ oid, sizeBytes }, index) =>
    fileEntry(`data/${index}`, oid, sizeBytes),
  );
  const attempt = history.begin({ kind: 'entry', name: 'main', content: pushIdOf(name) });
  try {
    await recordSimplePush(repository, { name, entries });
    history.end(attempt, 'acknowledged');
  } catch (error) {
    history.end(attempt, 'failed');
    throw error;
  }
}
