/** Puts damage into words: which files of which bundles a bad container concerns, what no record has, and what to run. */
import type { Digest } from '../digest.ts';
import { bundleKey, type ContainerId, type Key, segmentKey } from '../keys.ts';
import { type AffectedBundle, type AffectedFile, type Finding, finding } from './finding.ts';
import type { BadContainer, BrokenRecord, RepoSurvey, Survey, Wanted } from './survey.ts';
import { wantedName } from './survey.ts';
import { NEWER_HINT } from './survey-logs.ts';
import type { Trouble } from './survey-trees.ts';

export type Troubles = ReadonlyMap<RepoSurvey, ReadonlyMap<string, Trouble>>;

/** Findings on containers, then on what is absent without one. */
export function* tellDamage(survey: Survey, troubles: Troubles): Generator<Finding> {
  for (const bad of survey.bad.values()) {
    if (!isCondemned(survey, bad)) yield* tellContainer(survey, troubles, bad);
  }
  for (const repo of survey.repos.values()) yield* tellAbsent(survey, troubles, repo);
}

function isCondemned({ pools }: Survey, { id }: BadContainer): boolean {
  return [...pools.values()].some(({ condemned }) => condemned.has(id));
}

function* tellContainer(survey: Survey, troubles: Troubles, bad: BadContainer): Generator<Finding> {
  const files: AffectedFile[] = [];
  const bundles = new Map<Digest, AffectedBundle>();
  let bundleCount = 0;
  for (const repo of survey.repos.values()) {
    for (const wanted of concernedBy(repo, bad)) {
      const trouble = troubles.get(repo)?.get(wantedName(wanted.kind, wanted.oid));
      files.push(affectedFile(wanted, trouble));
      for (const each of bundlesOf(trouble)) bundles.set(each.bundle, each);
      bundleCount = Math.max(bundleCount, trouble?.treeCount ?? 0);
    }
  }
  const isUsed = files.length > 0 || bad.kind === 'segment' || isLeanedOn(survey, bad.id);
  if (!isUsed && bad.state === 'missing') return;
  files.sort((a, b) => Number(a.served) - Number(b.served));
  yield finding({
    severity: isUsed ? 'damage' : 'note',
    kind: 'container',
    state: bad.state,
    key: bad.key,
    repo: bad.repo,
    message: messageOf(bad),
    files,
    bundles: [...bundles.values()],
    bundleCount: Math.max(bundleCount, bundles.size),
    meaning: isUsed ? meaningOf(files) : 'No file leans on it, so nobody misses it.',
    hint: hintOf(survey, bad, files),
  });
}

/** Records that do not read because of this container; where a segment does not tell its records, whatever is absent. */
function concernedBy(repo: RepoSurvey, bad: BadContainer): readonly (Wanted | BrokenRecord)[] {
  const broken = [...repo.broken.values()].filter(({ causes }) => causes.has(bad.id));
  return isOpaque(repo, bad) ? [...broken, ...unexcused(repo)] : broken;
}

/** A segment whose tables do not read. */
const isOpaque = (repo: RepoSurvey, bad: BadContainer): boolean =>
  bad.repo === repo.name &&
  bad.kind === 'segment' &&
  !repo.index.segments().some(({ ref }) => ref.id === bad.id);

/** What a push said it did not bring is nobody's damage. */
const isExcused = ({ excused }: RepoSurvey, { kind, oid }: Wanted): boolean =>
  kind === 'blob' && excused.has(oid);

const unexcused = (repo: RepoSurvey): Wanted[] =>
  [...repo.absent.values()].filter((wanted) => !isExcused(repo, wanted));

const isLeanedOn = ({ pools }: Survey, id: ContainerId): boolean =>
  [...pools.values()].some(({ used }) => used.has(id));

function affectedFile(wanted: Wanted | BrokenRecord, trouble: Trouble | undefined): AffectedFile {
  const { kind, oid, sizeBytes } = wanted;
  const path = trouble?.path ?? `${kind} ${oid}, in no bundle`;
  return { kind, path, oid, sizeBytes, served: 'served' in wanted && wanted.served };
}

export function bundlesOf(trouble: Trouble | undefined): AffectedBundle[] {
  return (trouble?.trees ?? []).flatMap(({ bundle, commit, names }) =>
    bundle === null ? [] : [{ bundle, commit, names }],
  );
}

function messageOf({ key, kind, state, flaws }: BadContainer): string {
  if (state === 'missing') return `the ${kind} ${key} is missing`;
  const [first] = flaws;
  if (first === undefined) return `the ${kind} ${key} is damaged`;
  const at = first.offset === null ? '' : ` (at byte ${first.offset})`;
  const more = flaws.length > 1 ? `, and ${flaws.length - 1} more` : '';
  return `${first.message}${at}${more}`;
}

export function meaningOf(files: readonly AffectedFile[]): string {
  const lost = files.filter(({ served }) => !served);
  const kept = files.filter(({ served }) => served);
  if (files.length === 0) return 'Nothing is lost: every file that leans on it still reads.';
  if (lost.length === 0) {
    return `Nothing is lost: ${named(kept)} in it can be read from another copy.`;
  }
  const rest = kept.length > 0 ? ` ${named(kept)} can be read from another copy.` : '';
  return `${named(lost)} cannot be read back now.${rest}`;
}

/** `2 files and 1 list of files`. */
function named(files: readonly AffectedFile[]): string {
  const pages = files.filter(({ kind }) => kind === 'page').length;
  const lists = pages === 1 ? '1 list of files' : `${pages} lists of files`;
  if (pages === 0) return counted(files.length);
  return pages === files.length ? lists : `${counted(files.length - pages)} and ${lists}`;
}

export const counted = (count: number): string => (count === 1 ? '1 file' : `${count} files`);

function hintOf(
  { backend }: Survey,
  { state }: BadContainer,
  files: readonly AffectedFile[],
): string | null {
  if (state === 'newer') return NEWER_HINT;
  if (state === 'unreadable') return 'See why the store does not give it: datamon doctor';
  const repair = `datamon fsck ${backend.url} --repair`;
  return files.every(({ served }) => served) ? repair : lostHint(backend.url, files);
}

function lostHint(url: string, files: readonly AffectedFile[]): string {
  const repair = `datamon fsck ${url} --repair`;
  return files.some(({ kind, served }) => kind === 'blob' && !served)
    ? `In a clone that has these files: ${repair}; or with a folder of LFS objects: --from DIR`
    : `In a clone that has these commits: ${repair}`;
}

/** One finding a repo, on what no record has and no bad segment explains. */
function* tellAbsent(survey: Survey, troubles: Troubles, repo: RepoSurvey): Generator<Finding> {
  const isExplained = [...survey.bad.values()].some((bad) => isOpaque(repo, bad));
  const excused = [...repo.absent.values()].filter((wanted) => isExcused(repo, wanted));
  if (!isExplained) yield* tellMissed(survey, troubles, repo, unexcused(repo), 'damage');
  yield* tellMissed(survey, troubles, repo, excused, 'note');
}

function* tellMissed(
  survey: Survey,
  troubles: Troubles,
  repo: RepoSurvey,
  missed: readonly Wanted[],
  severity: Finding['severity'],
): Generator<Finding> {
  if (missed.length === 0) return;
  const bundles = new Map<Digest, AffectedBundle>();
  let treeCount = 0;
  const files = missed.map((wanted) => {
    const trouble = troubles.get(repo)?.get(wantedName(wanted.kind, wanted.oid));
    for (const each of bundlesOf(trouble)) bundles.set(each.bundle, each);
    treeCount = Math.max(treeCount, trouble?.treeCount ?? 0);
    return affectedFile(wanted, trouble);
  });
  const [first] = bundles.keys();
  const what = `${named(files)} that bundles of ${repo.name} list`;
  const isNote = severity === 'note';
  yield finding({
    severity,
    kind: 'absent',
    state: 'missing',
    key: first === undefined ? fallbackKey(repo) : bundleKey(repo.name, first),
    repo: repo.name,
    message: isNote
      ? `${what} were not pushed: their push said so`
      : `${what} are in no segment that is there: one must have been lost`,
    files,
    bundles: [...bundles.values()],
    bundleCount: Math.max(bundles.size, treeCount),
    meaning: isNote
      ? 'These versions are incomplete, as they were from the start.'
      : meaningOf(files),
    hint: isNote
      ? 'In a clone that has them: git lfs push --all origin'
      : lostHint(survey.backend.url, files),
  });
}

const fallbackKey = ({ name }: RepoSurvey): Key =>
  segmentKey(name, 0, '0'.repeat(32) as ContainerId);
