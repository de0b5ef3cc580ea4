/** What of a damaged store nothing gives any more, asked of an index as it grows while repair goes on. */
import type { DirectParts } from '../cas/direct-store.ts';
import type { FoundRecord } from '../cas/segment-index.ts';
import type { ContainerId } from '../keys.ts';
import { countsAsAbsent, type RepoSurvey, type Survey, type Wanted } from './survey.ts';

type Index = Pick<DirectParts, 'index'>;

/** Only what is damaged or gone is left behind; what merely cannot be read at the moment may come back. */
export const isDoomed = ({ bad }: Survey, id: ContainerId): boolean => {
  const state = bad.get(id)?.state;
  return state === 'damaged' || state === 'missing';
};

/** A record that stands in a doomed segment goes with it, wherever its runs are. */
const leansOnDoomed = (survey: Survey, { segment, runs }: FoundRecord): boolean =>
  isDoomed(survey, segment) || runs.some(({ container }) => isDoomed(survey, container.id));

/** Verified records that stand in or lean on something doomed. */
export async function* doomedRecords(
  survey: Survey,
  repo: RepoSurvey,
  { index }: Index,
): AsyncGenerator<FoundRecord> {
  for (const segment of index.segments()) {
    for await (const record of index.records(segment)) {
      if (record.state !== 'verified' || countsAsAbsent(record, repo.pool)) continue;
      if (leansOnDoomed(survey, record)) yield record;
    }
  }
}

/** Whether a sound record has it that leans on nothing doomed. */
export async function isElsewhere(
  survey: Survey,
  repo: RepoSurvey,
  { index }: Index,
  { oid, kind }: Pick<Wanted, 'oid' | 'kind'>,
): Promise<boolean> {
  const records = (await index.peek([oid], kind)).get(oid) ?? [];
  return records.some((each) => !leansOnDoomed(survey, each) && !countsAsAbsent(each, repo.pool));
}

/** What nothing gives: broken without another copy, or listed by a bundle whose push did bring it. */
export async function lostOf(survey: Survey, repo: RepoSurvey, parts: Index): Promise<Wanted[]> {
  const lost: Wanted[] = [];
  const wanted = [...repo.broken.values(), ...repo.absent.values()];
  for (const each of wanted) {
    if (each.kind === 'blob' && repo.excused.has(each.oid)) continue;
    if (!(await isElsewhere(survey, repo, parts, each))) lost.push(each);
  }
  return lost;
}

export interface Left {
  /** Containers that records with no other copy stand in or lean on. */
  readonly causes: ReadonlySet<ContainerId>;
  readonly hasAbsent: boolean;
}

export async function whatIsLeft(survey: Survey, repo: RepoSurvey, parts: Index): Promise<Left> {
  const causes = new Set<ContainerId>();
  for await (const record of doomedRecords(survey, repo, parts)) {
    if (await isElsewhere(survey, repo, parts, record)) continue;
    causes.add(record.segment);
    for (const { container } of record.runs) causes.add(container.id);
  }
  const lost = await lostOf(survey, repo, parts);
  return { causes, hasAbsent: lost.some((each) => !('causes' in each)) };
}
