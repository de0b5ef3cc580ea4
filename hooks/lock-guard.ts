/** Refuses a push that changes what somebody else holds locked, before a byte is sent. */
import type { Digest } from '../core/digest.ts';
import { DatamonError } from '../core/errors.ts';
import {
  LOCK_VIOLATION_COUNT_MAX,
  type LockViolation,
  lockViolations,
} from '../core/meta/lock-check.ts';
import type { Lock } from '../core/meta/model.ts';
import { displayPath } from '../core/meta/raw-path.ts';
import type { Repository } from '../core/meta/repository.ts';
import type { CommitBundle } from '../git/record-commit.ts';
import type { PlannedRef } from './push-plan.ts';
import { type HookWorld, say } from './world.ts';

export interface LockGuard {
  readonly world: HookWorld;
  readonly repository: Repository;
  /** As whom our own locks are known; null: not known, so locks are left to the server. */
  readonly lockOwner: string | null;
}

interface GuardedRef {
  readonly planned: PlannedRef;
  readonly bundle: Promise<CommitBundle>;
  readonly base: Digest | null;
}

const SHOWN_COUNT_MAX = 5;

/** Throws LOCKED, after a line for each file. */
export async function checkLocks(guard: LockGuard, refs: readonly GuardedRef[]): Promise<void> {
  if (guard.lockOwner === null) return;
  const held = await guard.repository.locks.list();
  if (held.length === 0) return;
  for (const ref of refs) {
    const found = await violationsOf(guard.repository, ref, { held, by: guard.lockOwner });
    if (found.length === 0) continue;
    for (const { path, lock } of found.slice(0, SHOWN_COUNT_MAX)) {
      say(guard.world, `${path} is locked by ${lock.owner} since ${lock.lockedAt}`);
    }
    const count =
      found.length === 1
        ? 'a file that somebody else holds'
        : `${found.length} ${found.length >= LOCK_VIOLATION_COUNT_MAX ? 'or more ' : ''}files that others hold`;
    throw new DatamonError(
      'LOCKED',
      `${ref.planned.ref} changes ${count} locked. Nothing was pushed.`,
      {
        hint: 'Ask the owner to run: git lfs unlock <path>; see them all: git lfs locks',
      },
    );
  }
}

/** Where no bundle tells what was there before, git's own comparison does: a new branch does not change all it lists. */
async function violationsOf(
  repository: Repository,
  { planned, bundle, base }: GuardedRef,
  locks: { readonly held: readonly Lock[]; readonly by: string },
): Promise<readonly LockViolation[]> {
  const { history, pages } = repository;
  const known =
    base ?? (planned.start === null ? null : await history.bundleOfCommit(planned.start));
  const before = known === null ? null : (await history.getBundle(known)).tree;
  const { descriptor } = await bundle;
  const found = await lockViolations({ pages, ...locks, before, after: descriptor.tree });
  if (known !== null) return found;
  const changed = new Set(planned.changed.map(({ path }) => displayPath(path)));
  return found.filter(({ path }) => changed.has(path));
}
