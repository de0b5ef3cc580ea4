/**
 * Which records of a repo are kept: all where no policy says otherwise; else those that a root reaches and those that are young, with
 * everything that a young page lists. Whatever is not kept may go.
 */
import type { FoundRecord } from '../cas/segment-index.ts';
import { DAY_MS } from '../cas/touch.ts';
import { hasCode } from '../errors.ts';
import {
  type PoolOptions,
  recordsOf,
  type Survey,
  type SurveyedRepo,
  type SurveyedSegment,
} from './pool-survey.ts';
import { openHands } from './repo-hands.ts';
import { markRoots, type Reached } from './roots.ts';

export type Keeps = (record: Pick<FoundRecord, 'oid' | 'kind'>) => boolean;

export const KEEPS_ALL: Keeps = () => true;

export async function keepsOf(
  options: PoolOptions,
  survey: Survey,
  repo: SurveyedRepo,
): Promise<Keeps> {
  const { condemned, now } = survey;
  const policy = condemned.policyOf(repo.repo);
  if (policy.unreferencedDays === null) return KEEPS_ALL;
  const ageMs = policy.unreferencedDays * DAY_MS;
  const isYoung = (at: Date): boolean => now.getTime() - at.getTime() <= ageMs;
  if (policy.at !== null && isYoung(new Date(policy.at))) return KEEPS_ALL;
  const { getPage } = openHands(options, repo, condemned);
  const { backend, random, signal } = options;
  const reached = await markRoots({
    backend,
    random,
    policy,
    now,
    getPage,
    repo: repo.repo,
    ...(signal && { signal }),
  });
  for (const segment of repo.segments) {
    if (isYoung(segment.createdAt)) await addYoung(survey, repo, segment, reached);
  }
  return ({ oid, kind }) => (kind === 'page' ? reached.pages : reached.blobs).has(oid);
}

/** Somebody may have been told that a page is stored, which says the same of all below it. */
async function addYoung(
  { condemned }: Survey,
  repo: SurveyedRepo,
  segment: SurveyedSegment,
  reached: Reached,
): Promise<void> {
  let leans = condemned.has(segment.ref.id);
  const failures: unknown[] = [];
  for await (const { kind, oid, runs } of recordsOf(repo, segment)) {
    leans ||= runs.some(({ container }) => condemned.has(container.id));
    if (kind === 'blob') reached.blobs.add(oid);
    else await reached.addTree(oid).catch((error: unknown) => failures.push(error));
  }
  for (const error of failures) {
    // Whoever published it has not looked yet: it leans on what is deleted by now, and nobody was told of it.
    const isGone = hasCode(error, 'CORRUPT') && hasCode(error.cause, 'NOT_FOUND');
    if (!leans || !isGone) throw error;
  }
}
