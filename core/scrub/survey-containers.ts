/** Proves the containers of a store: every segment, and those packs that are to be read. What reads badly once is read again. */
import type { ContainerKind } from '../cas/container-format.ts';
import { kindOfKey } from '../key-kind.ts';
import { type ContainerId, type Key, packPrefix, type RepoName, segmentPrefix } from '../keys.ts';
import { type Finding, type FindingState, finding } from './finding.ts';
import { type ObjectProof, proveObject } from './prove-object.ts';
import type { Sample } from './sample.ts';
import type { BadContainer, PoolSurvey, RepoSurvey, Survey } from './survey.ts';
import { stateOf } from './survey-logs.ts';

export interface ContainersOptions {
  readonly survey: Survey;
  readonly sample: Sample;
  /** Called for each object read; throws where the scrub is to stop. */
  readonly onRead: (sizeBytes: number) => void;
}

interface Named {
  readonly key: Key;
  readonly kind: ContainerKind;
  readonly id: ContainerId;
  readonly repo: RepoName | null;
  readonly sizeBytes: number;
}

export async function* surveySegments(
  options: ContainersOptions,
  repo: RepoSurvey,
): AsyncGenerator<Finding> {
  const { backend } = options.survey;
  for await (const { key, sizeBytes } of backend.list(segmentPrefix(repo.name))) {
    const kind = kindOfKey(key);
    if (kind.kind !== 'segment') continue;
    repo.segments.add(kind.id);
    if (repo.pool.condemned.has(kind.id)) continue;
    yield* prove(options, { key, kind: 'segment', id: kind.id, repo: repo.name, sizeBytes });
  }
  await repo.index.refresh();
  for (const { containers } of repo.index.segments()) {
    for (const { kind, id } of containers) if (kind === 'pack') repo.pool.used.add(id);
  }
}

export async function* surveyPacks(
  options: ContainersOptions,
  pool: PoolSurvey,
): AsyncGenerator<Finding> {
  for await (const { key, sizeBytes } of options.survey.backend.list(packPrefix(pool.name))) {
    const kind = kindOfKey(key);
    if (kind.kind !== 'pack') continue;
    pool.packs.set(kind.id, sizeBytes);
    if (pool.condemned.has(kind.id) || !options.sample(kind.id)) continue;
    yield* prove(options, { key, kind: 'pack', id: kind.id, repo: null, sizeBytes });
  }
}

async function* prove(options: ContainersOptions, named: Named): AsyncGenerator<Finding> {
  const bad = await badness(options, named);
  if (bad === null) return;
  const again = await badness(options, named);
  if (again !== null) options.survey.bad.set(named.id, again);
  else if (bad.state !== 'missing') {
    yield finding({
      severity: 'note',
      kind: 'container',
      state: bad.state,
      key: named.key,
      repo: named.repo,
      message: `${bad.flaws[0]?.message ?? `${named.key} did not read`}, and read well the second time`,
      meaning: 'Nothing stored is damaged; the way to it is: its disk, its memory or the network.',
      hint: 'Look at that machine’s own log of disk and memory errors.',
    });
  }
}

/** Proves a container that something leans on; what is bad of it is noted. True where it is as it was written. */
export async function isGood(options: ContainersOptions, named: Named): Promise<boolean> {
  const { bad } = options.survey;
  if (!bad.has(named.id)) {
    const found = await badness(options, named);
    if (found === null) return true;
    bad.set(named.id, found);
  }
  return false;
}

async function badness(
  { survey, onRead }: ContainersOptions,
  { key, kind, id, repo, sizeBytes }: Named,
): Promise<BadContainer | null> {
  onRead(sizeBytes);
  const base = { key, kind, id, repo, sizeBytes };
  try {
    const proof = await proveObject(survey.backend, key);
    if (proof.verdict === 'sound') return null;
    const { flaws, intact } = proof;
    return { ...base, state: verdictState(proof), flaws, intact };
  } catch (error) {
    const flaw = { part: 'content', message: (error as Error).message, offset: null } as const;
    return { ...base, state: stateOf(error), flaws: [flaw], intact: null };
  }
}

const verdictState = ({ verdict }: ObjectProof): FindingState =>
  verdict === 'missing' || verdict === 'newer' ? verdict : 'damaged';

/** One note on packs that no segment names: what an interrupted push leaves behind. Nothing can be said while segments do not read. */
export function* orphanNote(survey: Survey, pool: PoolSurvey): Generator<Finding> {
  for (const { repo } of survey.bad.values()) {
    if (repo !== null && survey.repos.get(repo)?.pool === pool) return;
  }
  const orphans = [...pool.packs].filter(
    ([id]) => !pool.used.has(id) && !pool.condemned.has(id) && !survey.bad.has(id),
  );
  const [first] = orphans;
  if (first === undefined) return;
  const sizeBytes = orphans.reduce((sum, [, size]) => sum + size, 0);
  yield finding({
    severity: 'note',
    kind: 'orphan',
    state: 'superfluous',
    key: `${packPrefix(pool.name)}${first[0].slice(0, 2)}/${first[0]}` as Key,
    message:
      orphans.length === 1
        ? `a pack of ${sizeBytes} bytes in pool ${pool.name} belongs to no repo`
        : `${orphans.length} packs of ${sizeBytes} bytes in pool ${pool.name} belong to no repo`,
    meaning:
      'An interrupted push left it, or one is under way now; it takes room and nothing else.',
    hint: null,
  });
}

/** Keys that are no object of datamon's. */
export async function* foreignNotes(survey: Survey): AsyncGenerator<Finding> {
  for await (const { key, sizeBytes } of survey.backend.list('')) {
    if (kindOfKey(key).kind !== 'foreign') continue;
    yield finding({
      severity: 'note',
      kind: 'foreign',
      state: 'superfluous',
      key,
      message: `${key} (${sizeBytes} bytes) is no object of datamon’s`,
      meaning: 'Nothing reads it, and nothing of datamon’s removes it.',
      hint: 'See what it is, and take it away yourself if it does not belong there.',
    });
  }
}
