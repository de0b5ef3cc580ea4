/** Asks the remote what became of pushes nobody confirmed: the watcher's work right after a push, and any later hook's or command's. */
import type { GitSha } from '../core/keys.ts';
import { isAncestor, listRemoteRefs } from '../git/commit.ts';
import { type GitRepository, openGitRepo } from '../git/repository.ts';
import { abandon, type Confirming, confirmRefs } from './confirm.ts';
import { type LocalPending, listPending, type PendingRef } from './local-pending.ts';
import type { HookWorld } from './world.ts';

export const LIST_REFS_TIMEOUT_MS = 10_000;
/** A push may still be running for so long. */
export const PENDING_TTL_MS = 24 * 60 * 60 * 1000;

export type PendingFate = 'confirmed' | 'abandoned' | 'open';

/** Settles one push by what the remote shows now. Throws UNAVAILABLE where it cannot be asked. */
export async function settleByRemote(
  confirming: Confirming,
  pending: LocalPending,
): Promise<PendingFate> {
  const { repo, world, signal } = confirming;
  const refs = await listRemoteRefs(repo.git, pending.remoteUrl, {
    timeoutMs: LIST_REFS_TIMEOUT_MS,
    signal,
  });
  const taken: PendingRef[] = [];
  for (const ref of pending.refs) {
    if (await hasTaken(repo, ref, refs.get(ref.ref) ?? null)) taken.push(ref);
  }
  await confirmRefs(confirming, pending, taken);
  if (taken.length === pending.refs.length) return 'confirmed';
  if (mayStillRun(world, pending)) return 'open';
  const left = pending.refs.filter((ref) => !taken.includes(ref));
  await abandon(confirming, { ...pending, refs: left });
  return 'abandoned';
}

/** True where the remote's ref is at what was pushed, or past it. */
async function hasTaken(
  repo: GitRepository,
  ref: PendingRef,
  now: GitSha | null,
): Promise<boolean> {
  if (ref.gitNew === null || ref.tip === null) return now === null;
  if (now === null) return false;
  if (now === ref.tip) return true;
  return (await isAncestor(repo.git, ref.gitNew, now)) === true;
}

function mayStillRun(world: HookWorld, pending: LocalPending): boolean {
  return isYoung(world, pending) && (pending.gitPid === null || world.isAlive(pending.gitPid));
}

/** After a day the number of a process says nothing: another may have it by now. */
const isYoung = (world: HookWorld, { createdAtMs }: LocalPending): boolean =>
  world.nowMs() - createdAtMs < PENDING_TTL_MS;

/** All that earlier pushes of this clone left open, but for those still running. One that cannot be settled stays for later. */
export async function reconcile(confirming: Confirming): Promise<readonly PendingFate[]> {
  const fates: PendingFate[] = [];
  for (const pending of await listPending(confirming.repo)) {
    if (confirming.signal.aborted) break;
    if (pending.gitPid !== null && mayStillRun(confirming.world, pending)) continue;
    try {
      fates.push(await settleByRemote(confirming, pending));
    } catch {
      fates.push('open');
    }
  }
  return fates;
}

/** The same for the clone around the working folder: what any command may ask for. */
export async function reconcileHere(world: HookWorld): Promise<void> {
  const { io } = world;
  const repo = await openGitRepo(io.cwd, io.env, { configuration: 'once' });
  await reconcile({ world, repo, signal: io.signal, style: 'off' });
}
