/** A plan of a collection: what would be condemned, and why. A sealed JSON file an operator can read, keep and hand to `gc --apply`. */
import type { CollectPolicies } from '../cas/condemned.ts';
import { DatamonError, hasCode } from '../errors.ts';
import { type Json, openSealedJson, sealJson } from '../json.ts';
import {
  type ContainerId,
  type PoolName,
  parseContainerId,
  parsePoolName,
  parseRepoName,
  type RepoName,
} from '../keys.ts';
import {
  count,
  listOf,
  nullable,
  object,
  oneOf,
  type Parse,
  record,
  text,
  time,
} from '../shape.ts';
import { type Candidate, type Dropped, REASONS } from './choose.ts';

export const PLAN_SIZE_MAX_BYTES = 256 * 1024 * 1024;
const VERSION = 1;

export interface CollectPlan {
  /** 32 hex digits; stands in the log of condemned containers once the plan was applied. */
  readonly id: string;
  /** URL of the store, for people. */
  readonly store: string;
  readonly pool: PoolName;
  /** By the store's clock. */
  readonly at: string;
  readonly poolBytes: number;
  readonly candidates: readonly Candidate[];
  /** What the policies let go. */
  readonly dropped: Dropped;
  readonly policies: CollectPolicies;
}

export const planBytes = (plan: CollectPlan): Buffer =>
  sealJson({ version: VERSION, ...plan } as unknown as Json);

const parseCandidate = record<Candidate>({
  id: (value) => parseContainerId(String(value)),
  kind: oneOf(['pack', 'segment']),
  repo: nullable<RepoName>((value, where) => parseRepoName(text(value, where))),
  sizeBytes: count,
  liveBytes: count,
  why: oneOf(REASONS),
});

const parseFields = record<CollectPlan>({
  id: text,
  store: text,
  pool: (value, where) => parsePoolName(text(value, where)),
  at: time,
  poolBytes: count,
  candidates: listOf(parseCandidate),
  dropped: record<Dropped>({ recordCount: count, sizeBytes: count }),
  policies: object as Parse<CollectPolicies>,
});

/** CORRUPT where the file was changed: a plan is what was looked at, or it is none. */
export function parsePlan(bytes: Uint8Array): CollectPlan {
  const fields = openSealedJson(bytes, 'the plan');
  if (fields['version'] !== VERSION) {
    throw new DatamonError('UNSUPPORTED', `the plan has version ${String(fields['version'])}`, {
      hint: 'Make a new plan: datamon gc STORE --plan FILE',
    });
  }
  try {
    return parseFields(fields, 'plan');
  } catch (error) {
    if (!hasCode(error, 'INVALID')) throw error;
    throw new DatamonError('CORRUPT', error.message, { cause: error });
  }
}

/** Bytes that go, those left out that a merge holds a second time. */
export const condemnedBytes = ({ candidates }: Pick<CollectPlan, 'candidates'>): number =>
  candidates
    .filter(({ why }) => why !== 'replaced')
    .reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);

export const allBytes = ({ candidates }: Pick<CollectPlan, 'candidates'>): number =>
  candidates.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);

export const copiedBytes = ({ candidates }: Pick<CollectPlan, 'candidates'>): number =>
  candidates.reduce((sum, { liveBytes }) => sum + liveBytes, 0);

/** In whole percent, rounded up. */
export function sharePercent(plan: Pick<CollectPlan, 'candidates' | 'poolBytes'>): number {
  const bytes = condemnedBytes(plan);
  return plan.poolBytes === 0 ? 0 : Math.ceil((bytes * 100) / plan.poolBytes);
}

export const idsOf = ({ candidates }: Pick<CollectPlan, 'candidates'>): readonly ContainerId[] =>
  candidates.map(({ id }) => id);
