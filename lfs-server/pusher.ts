/** Pays in the background what the replicas of the served store are owed, and says when that begins to fail and when it works again. */
import { setTimeout as sleep } from 'node:timers/promises';
import { DatamonError } from '../core/errors.ts';
import { drain } from '../core/replication/drain.ts';
import type { Group } from '../core/replication/group.ts';

/** How often debts are looked for. */
const INTERVAL_MS = 2_000;

export interface Pusher {
  /** Waits for the round that runs. */
  stop(): Promise<void>;
}

export function startPusher(group: Group, say: (line: string) => void): Pusher {
  const stopped = new AbortController();
  let trouble: string | null = null;
  const note = (found: string | null): void => {
    if (found !== trouble) say(`datamon: replica: ${found ?? 'everything owed is paid'}\n`);
    trouble = found;
  };
  const running = (async () => {
    while (!stopped.signal.aborted) {
      note(await round(group, stopped.signal));
      await sleep(INTERVAL_MS, undefined, { signal: stopped.signal }).catch(() => {});
    }
  })();
  return {
    stop: async () => {
      stopped.abort();
      await running;
    },
  };
}

/** What stands in the way; null where nothing is owed any more. */
async function round(group: Group, signal: AbortSignal): Promise<string | null> {
  try {
    await group.lookAround();
    group.checkWritable();
    const { home, others } = group;
    const report = await drain({ home, others, now: () => home.backend.now(), signal });
    const { owed, unreadable, failed, owedSince } = report;
    if (owed === 0 && unreadable === 0) return null;
    const since = owedSince === null ? '' : ` since ${owedSince.toISOString()}`;
    const who = failed.length === 0 ? '' : `; no copy went to ${failed.join(', ')}`;
    return `${owed} objects are owed${since}${who}`;
  } catch (error) {
    if (error instanceof DatamonError) return error.message;
    throw error;
  }
}
