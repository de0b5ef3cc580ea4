/**
 * Waits, apart from the push, until `git push` has ended, then asks the remote: for tags, bare URLs and other refs that no
 * remote-tracking ref follows, and for pushes that were rejected. Its life is bounded, and it prints nothing.
 */
import { hasCode } from '../core/errors.ts';
import { type PushId, parsePushId } from '../core/keys.ts';
import { openGitRepo } from '../git/repository.ts';
import { readPending } from './local-pending.ts';
import { settleByRemote } from './reconcile.ts';
import type { HookWorld } from './world.ts';

const POLL_MS = 100;
/** Longer pushes are left to the next hook or command. */
const WATCH_MAX_MS = 12 * 60 * 60 * 1000;
const ATTEMPT_DELAYS_MS = [0, 2_000, 10_000, 60_000];

/** `datamon hook watch <push id> <pid of git push>`, in a folder of the clone. */
export async function watch(world: HookWorld, args: readonly string[]): Promise<void> {
  const [pushText = '', pidText = ''] = args;
  const push = parsePushId(pushText);
  const pid = Number(pidText);
  const { signal } = world.io;
  const endsAtMs = world.nowMs() + WATCH_MAX_MS;
  while (pid > 1 && world.isAlive(pid) && world.nowMs() < endsAtMs && !signal.aborted) {
    await world.sleep(POLL_MS, signal);
  }
  if (!world.isAlive(pid)) await settle(world, push);
}

async function settle(world: HookWorld, push: PushId): Promise<void> {
  const { io } = world;
  const repo = await openGitRepo(io.cwd, io.env);
  for (const delayMs of ATTEMPT_DELAYS_MS) {
    if (delayMs > 0) await world.sleep(delayMs, io.signal);
    // The reference-transaction hook may have been here meanwhile.
    const pending = await readPending(repo, push);
    if (pending === null || io.signal.aborted) return;
    try {
      await settleByRemote({ world, repo, signal: io.signal, style: 'off' }, pending);
      return;
    } catch (error) {
      if (!hasCode(error, 'UNAVAILABLE')) return;
    }
  }
}
