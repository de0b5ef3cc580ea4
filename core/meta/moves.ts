/**
 * What a moved ref leaves behind. The one rule: a branch's log gets an entry if its head stands where the ref came from; is
 * done where the head stands where the ref went; and else gets an entry marked as following a gap. Of two clients that saw
 * the same move one writes and the other finds it written.
 */
import type { Backend } from '../backend/backend.ts';
import type { Digest } from '../digest.ts';
import { DatamonError, isRetryable } from '../errors.ts';
import type { GitSha, PushId } from '../keys.ts';
import type { Log, LogEntry } from '../log.ts';
import type { CommitRecord, LabelRecord } from './events.ts';
import type { BranchEvent, BundleDescriptor, MoveOutcome, RefMove } from './model.ts';
import type { PushOutcome } from './pending.ts';
import { refTarget } from './ref-names.ts';

/** Paths that differ between two bundles though somebody else holds their lock. */
export type LockCheck = (change: {
  readonly before: Digest | null;
  readonly after: Digest;
  readonly by: string;
}) => Promise<readonly string[]>;

export interface MoveContext {
  readonly backend: Pick<Backend, 'now'>;
  /** INCOMPLETE where it is not stored. */
  readonly bundleOf: (bundle: Digest) => Promise<BundleDescriptor>;
  readonly canonicalRemote: () => Promise<string>;
  readonly commits: (commit: GitSha) => Log<CommitRecord>;
  readonly branches: (name: string) => Log<BranchEvent>;
  /** A head that was read a moment ago, to be tried first, once; undefined for none. */
  readonly takeLastHead: (name: string) => LogEntry<BranchEvent> | undefined;
  readonly labels: (name: string) => Log<LabelRecord>;
  readonly pushOutcome: (push: PushId) => Promise<PushOutcome | null>;
  readonly lockViolations: LockCheck;
}

/** How far back a confirmation that comes late is looked for. */
const REPEATED_ENTRY_COUNT_MAX = 256;

export async function recordMove(move: RefMove, context: MoveContext): Promise<MoveOutcome> {
  if ((move.gitNew === null) !== (move.bundle === null)) {
    throw new DatamonError('INVALID', `the move of ${move.ref} names a commit or a bundle alone`);
  }
  // The name is judged before anything is written.
  refTarget(move.ref, move.remote, move.remote);
  if (move.gitNew !== null && move.bundle !== null) {
    await indexCommit(move.gitNew, move.bundle, context);
  }
  const target = refTarget(move.ref, move.remote, await context.canonicalRemote());
  return target.kind === 'label'
    ? await recordTag(target.name, move, context)
    : await recordBranch(target.name, move, context);
}

async function indexCommit(commit: GitSha, bundle: Digest, context: MoveContext): Promise<void> {
  const descriptor = await context.bundleOf(bundle);
  if (descriptor.commit !== commit) {
    throw new DatamonError(
      'INVALID',
      `${bundle} is the bundle of ${descriptor.commit}, not ${commit}`,
    );
  }
  const { rules } = descriptor;
  await context
    .commits(commit)
    .update((head) => (head?.event.bundle === bundle ? null : { bundle, rules }));
}

async function recordBranch(
  branch: string,
  move: RefMove,
  context: MoveContext,
): Promise<MoveOutcome> {
  const log = context.branches(branch);
  let outcome: MoveOutcome = 'already';
  const guess = context.takeLastHead(branch);
  const decide = async (head: LogEntry<BranchEvent> | null): Promise<BranchEvent | null> => {
    outcome = 'already';
    const at = head?.event.gitNew ?? null;
    if (at === move.gitNew) return null;
    if (head !== null && (await wasRecorded(log, move, context))) return null;
    const gap = at !== move.gitOld;
    outcome = gap ? 'gap' : 'recorded';
    return await branchEvent(branch, move, context, { gap, before: head?.event.bundle ?? null });
  };
  await log.update(decide, guess === undefined ? {} : { guess });
  return outcome;
}

async function branchEvent(
  branch: string,
  move: RefMove,
  context: MoveContext,
  { gap, before }: { readonly gap: boolean; readonly before: Digest | null },
): Promise<BranchEvent> {
  const { bundle, gitOld, gitNew, totals, extraOids, missing, pushId, pushedBy, receipt } = move;
  const lockViolations =
    bundle === null ? [] : await violationsOf(before, bundle, pushedBy, context);
  return {
    branch,
    bundle,
    gitOld,
    gitNew,
    totals,
    extraOids,
    missing,
    pushId,
    pushedBy,
    pushedAt: (await context.backend.now()).toISOString(),
    receipt,
    gap,
    forced: move.forced,
    lockViolations,
  };
}

/** The ref has moved already, so a check that cannot be made, for want of a page say, must not keep that from being recorded. */
async function violationsOf(
  before: Digest | null,
  after: Digest,
  by: string,
  context: MoveContext,
): Promise<readonly string[]> {
  try {
    return await context.lockViolations({ before, after, by });
  } catch (error) {
    if (!(error instanceof DatamonError) || isRetryable(error)) throw error;
    return [];
  }
}

/**
 * True for a push that was confirmed before, when the branch has moved on since: another client's late confirmation must not
 * bring the old state back.
 */
async function wasRecorded(
  log: Log<BranchEvent>,
  move: RefMove,
  context: MoveContext,
): Promise<boolean> {
  if ((await context.pushOutcome(move.pushId)) !== 'confirmed') return false;
  let count = 0;
  for await (const { event } of log.entries()) {
    if (event.pushId === move.pushId && event.gitNew === move.gitNew) return true;
    count += 1;
    if (count >= REPEATED_ENTRY_COUNT_MAX) break;
  }
  return false;
}

/** A tag becomes the label of its name unless a person has set that label; a label set by the tag follows it. */
async function recordTag(label: string, move: RefMove, context: MoveContext): Promise<MoveOutcome> {
  let outcome: MoveOutcome = 'already';
  const { gitNew, bundle, pushedBy } = move;
  await context.labels(label).update(async (head) => {
    outcome = 'already';
    const current = head?.event ?? null;
    const isFree = current === null || current.bundle === null || current.tag !== null;
    if (!isFree || isAt(current, gitNew)) return null;
    outcome = 'recorded';
    const at = (await context.backend.now()).toISOString();
    return { label, bundle, by: pushedBy, at, tag: { gitNew } };
  });
  return outcome;
}

function isAt(label: LabelRecord | null, gitNew: GitSha | null): boolean {
  if (gitNew === null) return label === null || label.bundle === null;
  return label?.tag?.gitNew === gitNew && label.bundle !== null;
}
