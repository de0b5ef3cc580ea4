/**
 * Asks the remote what became of a push, once `git push` has ended: for tags, bare URLs and other refs that no remote-tracking
 * ref follows, and for pushes that were rejected. Started apart from the push; its life is bounded, and it prints nothing.
 */
import { hasCode } from '../core/errors.ts';
import { parsePushId } from '../core/keys.ts';
import { openGitRepo } from '../git/repository.ts';
import { readPending } from './local-pending.ts';
import { settleByRemote } from './reconcile.ts';
import type { HookWorld } from './world.ts';

const ATTEMPT_DELAYS_MS = [0, 2_000, 10_000, 60_000];

/** `datamon hook watch <push id>`, in a folder of the clone. */
export async function watch(world: HookWorld, args: readonly string[]): Promise<void> {
  const push = parsePushId(args[0] ?? '');
  const { io } = world;
  const repo = await openGitRepo(io.cwd, io.env, { configuration: 'once' });
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
