/**
 * Collection of one pool: plan, condemn, and, a grace later, delete. Promises: what is kept is copied out and published before anything
 * is condemned, and once more, by a fresh listing, before anything is deleted; segments go before packs; any run may be killed
 * anywhere and repeated; only the store's clock counts. Any number of collectors may run: there is no lock.
 */
import { type CollectPolicies, type CollectPolicy, Condemned, condemn } from '../cas/condemned.ts';
import { DatamonError } from '../errors.ts';
import {
  type ContainerId,
  condemnedLog,
  type Key,
  logKey,
  packKey,
  type RepoName,
  segmentKey,
} from '../keys.ts';
import { randomHex } from '../random.ts';
import { choose, GRACE_MS } from './choose.ts';
import { KEEPS_ALL, type Keeps, keepsOf } from './keeping.ts';
import { type CollectPlan, idsOf, sharePercent } from './plan.ts';
import { type PoolOptions, type Survey, surveyPool } from './pool-survey.ts';
import { mustAllMove, type Relocation, relocate } from './relocate.ts';

/** A plan that would condemn more of a pool is refused unless told otherwise. */
export const LIMIT_PERCENT = 10;
const PLAN_ID_SIZE_BYTES = 16;

export async function makePlan(options: PoolOptions): Promise<CollectPlan> {
  const survey = await surveyPool(options);
  const { candidates, dropped, poolBytes } = await choose(survey, await keepsAll(options, survey));
  return {
    id: randomHex(options.random, PLAN_ID_SIZE_BYTES),
    store: options.backend.url,
    pool: options.pool,
    at: survey.now.toISOString(),
    poolBytes,
    candidates,
    dropped,
    policies: survey.condemned.policies(),
  };
}

export interface ApplyOptions {
  readonly by: string;
  /** Most of the pool's bytes that may be condemned, in percent. */
  readonly limitPercent?: number;
}

export interface Condemnation {
  readonly containerCount: number;
  /** Records that got a copy first. */
  readonly copiedCount: number;
  /** From when on `sweep` deletes them, by the store's clock. */
  readonly deletableAt: Date;
}

/** Copies out what is kept, then condemns what the plan names. CONFLICT where it is more than the limit allows. */
export async function condemnPlan(
  options: PoolOptions,
  plan: CollectPlan,
  apply: ApplyOptions,
): Promise<Condemnation> {
  const limit = apply.limitPercent ?? LIMIT_PERCENT;
  const share = sharePercent(plan);
  if (share > limit) {
    throw new DatamonError(
      'CONFLICT',
      `the plan would condemn ${share}% of the pool ${plan.pool}; ${limit}% are the limit`,
      { hint: `If that is meant: datamon gc --apply PLAN --limit ${share}%` },
    );
  }
  const survey = await surveyPool(options);
  const keeps = await keepsAll(options, survey);
  const ids = idsOf(plan).filter((id) => !survey.condemned.has(id));
  const moved = await moveAll(options, survey, new Set(ids), keeps);
  await condemn(options.backend, options.pool, options.random, {
    ids,
    by: apply.by,
    plan: plan.id,
  });
  const now = await options.backend.now();
  return {
    containerCount: ids.length,
    copiedCount: moved.reduce((sum, { recordCount }) => sum + recordCount, 0),
    deletableAt: new Date(now.getTime() + GRACE_MS),
  };
}

export interface SweepOptions {
  /** Called before each deletion; slows it down, or stops it by throwing. */
  readonly pace?: () => Promise<void>;
}

export interface Swept {
  readonly deletedCount: number;
  readonly deletedBytes: number;
  readonly copiedCount: number;
  /** Condemned, and to be read for a while yet. */
  readonly waitingCount: number;
  /** When the next of them may go. */
  readonly nextAt: Date | null;
  /** Files somebody published after their bytes had been condemned, without looking; he was told of no success. */
  readonly goneCount: number;
}

/** Deletes what was condemned a grace ago, whoever did it, after copying out whatever came to count on it meanwhile. */
export async function sweep(options: PoolOptions, { pace }: SweepOptions = {}): Promise<Swept> {
  const survey = await surveyPool(options);
  const standing = await standingCondemned(options, survey);
  const now = survey.now.getTime();
  const due = standing.filter(({ deletableAt }) => deletableAt <= now);
  const later = standing.filter(({ deletableAt }) => deletableAt > now);
  const nextAt = later.reduce<number | null>(
    (first, { deletableAt }) => Math.min(first ?? deletableAt, deletableAt),
    null,
  );
  let moved: readonly Relocation[] = [];
  if (due.length > 0) {
    moved = await moveAll(options, survey, new Set(), await keepsAll(options, survey));
  }
  for (const { key } of due) {
    await pace?.();
    options.signal?.throwIfAborted();
    await options.backend.remove(key);
  }
  return {
    deletedCount: due.length,
    deletedBytes: due.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    copiedCount: moved.reduce((sum, { recordCount }) => sum + recordCount, 0),
    waitingCount: later.length,
    nextAt: nextAt === null ? null : new Date(nextAt),
    goneCount: moved.reduce((sum, { gone }) => sum + gone.length, 0),
  };
}

/** Copies everything that a plan condemned, also what a policy let go: its records are young again. */
export async function restorePlan(
  options: PoolOptions,
  planId: string,
): Promise<{ readonly recordCount: number; readonly gone: number }> {
  const survey = await surveyPool(options);
  const ids = await condemnedBy(survey, planId);
  if (ids.size === 0) {
    throw new DatamonError('NOT_FOUND', `nothing was condemned by the plan ${planId}`, {
      hint: 'See what was: datamon gc STORE --status',
    });
  }
  const moved: Relocation[] = [];
  for (const repo of survey.repos) {
    moved.push(await relocate(options, { survey, repo, ids, keeps: KEEPS_ALL }));
  }
  for (const each of moved) mustAllMove(each);
  return {
    recordCount: moved.reduce((sum, { recordCount }) => sum + recordCount, 0),
    gone: moved.reduce((sum, { gone }) => sum + gone.length, 0),
  };
}

/** Sets a repo's policy, or, with nulls, takes it back. From now on, by the store's clock. */
export async function setPolicy(
  options: Omit<PoolOptions, 'spoolDir'>,
  repo: RepoName,
  change: Pick<CollectPolicy, 'unreferencedDays' | 'historyDays'> & { readonly by: string },
): Promise<CollectPolicy> {
  const { backend, pool, random } = options;
  const condemned = new Condemned(backend, pool, random);
  const at = (await backend.now()).toISOString();
  const { by, ...days } = change;
  const policy: CollectPolicy = { ...days, at };
  await condemned.log.update(async () => {
    await condemned.look();
    const policies: CollectPolicies = { ...condemned.policies(), [repo]: policy };
    return { condemned: [], at, by, plan: null, policies };
  });
  return policy;
}

async function keepsAll(
  options: PoolOptions,
  survey: Survey,
): Promise<ReadonlyMap<RepoName, Keeps>> {
  const keeps = new Map<RepoName, Keeps>();
  for (const repo of survey.repos) keeps.set(repo.repo, await keepsOf(options, survey, repo));
  return keeps;
}

async function moveAll(
  options: PoolOptions,
  survey: Survey,
  ids: ReadonlySet<ContainerId>,
  keeps: ReadonlyMap<RepoName, Keeps>,
): Promise<readonly Relocation[]> {
  const moved: Relocation[] = [];
  for (const repo of survey.repos) {
    const request = { survey, repo, ids, keeps: keeps.get(repo.repo) ?? KEEPS_ALL };
    moved.push(await relocate(options, request));
  }
  for (const each of moved) mustAllMove(each);
  return moved;
}

async function condemnedBy({ condemned }: Survey, plan: string): Promise<Set<ContainerId>> {
  const ids = new Set<ContainerId>();
  for await (const { event } of condemned.log.entries()) {
    if (event.plan === plan) for (const id of event.condemned) ids.add(id);
  }
  return ids;
}

interface Standing {
  readonly id: ContainerId;
  readonly key: Key;
  readonly sizeBytes: number;
  readonly deletableAt: number;
}

/** Condemned containers that are still there, segments first: index before data. */
export async function standingCondemned(
  { backend, pool }: PoolOptions,
  survey: Survey,
): Promise<Standing[]> {
  const entries = survey.condemned.entries();
  const atOf = new Map<number, number>();
  for (const n of new Set(entries.values())) {
    const entry = await backend.stat(logKey(condemnedLog(pool), n));
    if (entry === null) throw new DatamonError('CORRUPT', `entry ${n} of the gc log is missing`);
    atOf.set(n, entry.createdAt.getTime());
  }
  const found: Standing[] = [];
  const add = (id: ContainerId, key: Key, sizeBytes: number): void => {
    const n = entries.get(id);
    if (n === undefined) return;
    found.push({ id, key, sizeBytes, deletableAt: (atOf.get(n) ?? 0) + GRACE_MS });
  };
  for (const { repo, segments, unreadable } of survey.repos) {
    for (const { ref } of segments) add(ref.id, segmentKey(repo, ref.tier, ref.id), ref.sizeBytes);
    for (const { ref } of unreadable)
      add(ref.id, segmentKey(repo, ref.tier, ref.id), ref.sizeBytes);
  }
  for (const [id, { sizeBytes }] of survey.packs) add(id, packKey(pool, id), sizeBytes);
  return found;
}
