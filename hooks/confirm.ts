/** Turns an announced push into history once the remote's ref was seen to move; and lets go of those that never took. Whoever is first, writes. */
import { DatamonError, hasCode } from '../core/errors.ts';
import type { RefMove } from '../core/meta/model.ts';
import type { Repository } from '../core/meta/repository.ts';
import { headOf } from '../git/record-commit.ts';
import type { GitRepository } from '../git/repository.ts';
import { dropRef, type LocalPending, type PendingRef, removePending } from './local-pending.ts';
import { type ReceiptStyle, sayReceipt } from './receipt.ts';
import { openTarget } from './target.ts';
import type { HookWorld } from './world.ts';

export interface Confirming {
  readonly world: HookWorld;
  readonly repo: GitRepository;
  readonly signal: AbortSignal;
  /** How to tell the user; `off` where nobody waits for it. */
  readonly style: ReceiptStyle;
}

/** Records the refs as moved and takes them out of the pending push. */
export async function confirmRefs(
  confirming: Confirming,
  pending: LocalPending,
  refs: readonly PendingRef[],
): Promise<void> {
  if (refs.length === 0) return;
  await withRepository(confirming, pending, async (repository) => {
    for (const ref of refs) {
      await recordOne(repository, pending, ref);
      const { isLast } = await dropRef(confirming.repo, pending.pushId, ref.ref);
      if (isLast) await finish(confirming, repository, { pending, outcome: 'confirmed' });
      announceTo(confirming, repository, ref);
    }
  });
}

/** The push did not take, or took less than it meant to: what is left of it will never be confirmed. */
export async function abandon(confirming: Confirming, pending: LocalPending): Promise<void> {
  if (!pending.isAnnounced) return removePending(confirming.repo, pending.pushId);
  await withRepository(confirming, pending, (repository) =>
    finish(confirming, repository, { pending, outcome: 'abandoned' }),
  );
}

async function withRepository(
  { world, repo, signal }: Confirming,
  pending: LocalPending,
  work: (repository: Repository) => Promise<void>,
): Promise<void> {
  const target = await openTarget({ world, repo, lfsUrl: pending.lfsUrl, signal });
  if (target === null) {
    throw new DatamonError('UNAVAILABLE', `${pending.lfsUrl} does not answer as a datamon repo`);
  }
  try {
    await work(target.repository);
  } finally {
    await target.repository.close();
  }
}

async function finish(
  { repo }: Confirming,
  repository: Repository,
  end: { readonly pending: LocalPending; readonly outcome: 'confirmed' | 'abandoned' },
): Promise<void> {
  const { pending, outcome } = end;
  if (pending.isAnnounced) await repository.history.settle(pending.pushId, outcome);
  await removePending(repo, pending.pushId);
}

async function recordOne(
  repository: Repository,
  pending: LocalPending,
  ref: PendingRef,
): Promise<void> {
  // A branch nobody recorded leaves nothing behind when it goes.
  if (ref.gitNew === null && (await headOf(repository, ref.ref, pending.remote)) === null) return;
  try {
    await repository.history.recordMove(moveOf(pending, ref));
  } catch (error) {
    if (ref.gitNew !== null || !hasCode(error, 'NOT_FOUND')) throw error;
  }
}

function moveOf(pending: LocalPending, ref: PendingRef): RefMove {
  const { gitOld, gitNew, bundle, totals, extraOids, missing, forced, receipt } = ref;
  return {
    pushId: pending.pushId,
    remote: pending.remote,
    ref: ref.ref,
    gitOld,
    gitNew,
    bundle,
    totals,
    extraOids,
    missing,
    forced,
    pushedBy: pending.pushedBy,
    receipt,
  };
}

function announceTo({ world, style }: Confirming, repository: Repository, ref: PendingRef): void {
  if (ref.isQuiet || ref.bundle === null || ref.gitNew === null) return;
  sayReceipt(world, style, {
    bundle: ref.bundle,
    commit: ref.gitNew,
    totals: ref.totals,
    receipt: ref.receipt,
    webUrl: repository.webUrl,
  });
}
