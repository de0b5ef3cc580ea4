/**
 * Which records of a repo are kept: all where no policy says otherwise; else those that a root reaches and those that are young, with
 * everything that a young page lists. Whatever is not kept may go.
 */
import type { FoundRecord } from '../cas/segment-index.ts';
import { DAY_MS } from '../cas/touch.ts';
import type { PoolOptions, Survey, SurveyedRepo } from './pool-survey.ts';
import { recordsOf } from './pool-survey.ts';
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
    if (isYoung(segment.createdAt)) {
      for await (const record of recordsOf(repo, segment)) await addYoung(reached, record);
    }
  }
  return ({ oid, kind }) => (kind === 'page' ? reached.pages : reached.blobs).has(oid);
}

/** Somebody may have been told that a page is stored, which says the same of all below it. */
async function addYoung(reached: Reached, { oid, kind }: FoundRecord): Promise<void> {
  if (kind === 'page') await reached.addTree(oid);
  else reached.blobs.add(oid);
}
