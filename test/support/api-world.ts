/** What client tests need around a server: a pace without waiting, sources from bytes, a repository in one word. */

import { setTimeout as sleep } from 'node:timers/promises';
import { type OpenOptions, openRepositoryUrl } from '../../client/open.ts';
import type { Pace, RetryNotice } from '../../client/retry.ts';
import type { Repository } from '../../core/meta/repository.ts';
import { splitmix64 } from './splitmix64.ts';
import { makeTempDir } from './temp-dir.ts';

export { sourceOf } from './source-of.ts';

/** Sleeps not at all and remembers how long it should have. */
export function createFastPace(seed = 1): Pace & { readonly sleeps: number[] } {
  const sleeps: number[] = [];
  return {
    sleeps,
    sleep: async (ms, signal) => {
      sleeps.push(ms);
      signal?.throwIfAborted();
    },
    now: () => Date.parse('2026-01-01T00:00:00Z'),
    random: splitmix64(seed),
  };
}

/** Waits a tenth as long as it should: for tests in which a server goes away and comes back. */
export const createShortPace = (): Pace => ({
  ...createFastPace(),
  sleep: (ms, signal) => sleep(ms / 10, undefined, signal && { signal }),
});

export interface QuickOptions extends OpenOptions {
  readonly pace?: Pace;
  readonly onRetry?: (notice: RetryNotice) => void;
}

/** Opens with a spool that the test removes, and no waiting. */
export async function openQuick(url: string, options: QuickOptions = {}): Promise<Repository> {
  const { pace = createFastPace(), onRetry, ...rest } = options;
  return await openRepositoryUrl(url, {
    spoolDir: await makeTempDir(),
    ...rest,
    api: {
      pace,
      limits: { answerTimeoutMs: 2_000, stallTimeoutMs: 2_000 },
      ...rest.api,
      ...(onRetry && { onRetry }),
    },
  });
}
