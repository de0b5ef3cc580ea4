/**
 * Checks what a repo's records claim: their containers are there, their runs fit the frames, and the bytes hash to the oid. A record
 * that says `verified` and does not read is broken; whether another one serves is asked for each.
 */

import type { ContainerRef } from '../cas/containers.ts';
import type { FoundRecord, Segment } from '../cas/segment-index.ts';
import type { PlacedRun } from '../cas/segment-tables.ts';
import { createHasher } from '../digest.ts';
import { DatamonError, hasCode } from '../errors.ts';
import type { Key } from '../keys.ts';
import { type Finding, finding } from './finding.ts';
import { runFits } from './prove-container.ts';
import { countsAsAbsent, type RepoSurvey, wantedName } from './survey.ts';
import { type ContainersOptions, isGood } from './survey-containers.ts';

export async function* surveyRecords(
  options: ContainersOptions,
  repo: RepoSurvey,
): AsyncGenerator<Finding> {
  for (const segment of repo.index.segments()) {
    if (repo.pool.condemned.has(segment.ref.id)) continue;
    for await (const record of recordsOf(repo, segment)) {
      if (record.state !== 'verified' || countsAsAbsent(record, repo.pool)) continue;
      yield* checkRecord(options, repo, record);
    }
  }
  await noteServed(options, repo);
}

/** Asks for every broken record whether another one gives its bytes. */
export async function noteServed(options: ContainersOptions, repo: RepoSurvey): Promise<void> {
  for (const broken of repo.broken.values()) {
    const { oid, kind } = broken;
    const records = (await repo.index.find([oid], kind)).get(oid) ?? [];
    for (const record of records) broken.served ||= await isSound(options, repo, record);
  }
}

/** A segment whose tables went bad or away since they were first read was found as such already. */
async function* recordsOf(repo: RepoSurvey, segment: Segment): AsyncIterable<FoundRecord> {
  try {
    yield* repo.index.records(segment);
  } catch (error) {
    if (!hasCode(error, 'CORRUPT') && !hasCode(error, 'NOT_FOUND')) throw error;
  }
}

async function* checkRecord(
  options: ContainersOptions,
  repo: RepoSurvey,
  record: FoundRecord,
): AsyncGenerator<Finding> {
  let causes = await badRuns(options, repo, record);
  let other = causes.length > 0 ? null : await otherBytes(options, repo, record);
  if (other !== null) {
    // A pack outside of this day's part may be what is bad.
    for (const { container } of record.runs) await isGood(options, namedOf(repo, container));
    causes = await badRuns(options, repo, record);
    if (causes.length > 0) other = null;
  }
  if (causes.length === 0 && other === null) return;
  const { oid, kind, sizeBytes } = record;
  const name = wantedName(kind, oid);
  const broken = repo.broken.get(name) ?? {
    oid,
    kind,
    sizeBytes,
    causes: new Set(),
    served: false,
  };
  repo.broken.set(name, broken);
  for (const { container } of causes) broken.causes.add(container.id);
  if (other === null) return;
  yield finding({
    kind: 'record',
    state: 'damaged',
    key: keyOfSegment(repo, record),
    repo: repo.name,
    message: `${keyOfSegment(repo, record)} says that ${oid} is stored, and ${other}`,
    files: [{ kind, path: oid, oid, sizeBytes, served: false }],
    meaning:
      'Whoever wrote this record was wrong; the file does not download, every other file is as it was.',
    hint: 'A fault of a program, not of a disk: please report it, with this line.',
  });
}

/** Runs of a record that do not read. */
async function badRuns(
  options: ContainersOptions,
  repo: RepoSurvey,
  record: FoundRecord,
): Promise<readonly PlacedRun[]> {
  const found: PlacedRun[] = [];
  for (const run of record.runs) {
    if (!(await runReads(options, repo, record, run))) found.push(run);
  }
  return found;
}

async function runReads(
  options: ContainersOptions,
  repo: RepoSurvey,
  record: FoundRecord,
  run: PlacedRun,
): Promise<boolean> {
  const { container } = run;
  const isListed =
    container.kind === 'pack'
      ? repo.pool.packs.get(container.id) === container.sizeBytes
      : repo.segments.has(container.id);
  if (isListed && !options.survey.bad.has(container.id)) {
    try {
      if (runFits(run, await repo.containers.tables(container), record)) return true;
    } catch (error) {
      if (!hasCode(error, 'CORRUPT') && !hasCode(error, 'NOT_FOUND')) throw error;
    }
  }
  // What seems bad may have come after the listing, or gone since; the object itself tells.
  if (!(await isGood(options, namedOf(repo, container)))) {
    const bad = options.survey.bad.get(container.id);
    return bad?.intact?.covers(run.offset, run.offset + run.storedLength) ?? false;
  }
  return runFits(run, await repo.containers.tables(container), record);
}

const namedOf = (repo: RepoSurvey, container: ContainerRef) => ({
  ...container,
  key: repo.containers.keyOf(container),
  repo: container.kind === 'pack' ? null : repo.name,
});

/** Null where a record's bytes hash to its oid, or are not to be read this time. A frame alone was proved by its table. */
async function otherBytes(
  { sample, onRead }: ContainersOptions,
  repo: RepoSurvey,
  record: FoundRecord,
): Promise<string | null> {
  const { runs, oid, sizeBytes } = record;
  const isOneFrame = runs.length === 1 && runs[0]?.frameCount === 1;
  if (isOneFrame || !sample(oid)) return null;
  const hasher = createHasher();
  try {
    for await (const bytes of repo.reader.readRecord(record, 0, sizeBytes)) {
      hasher.update(bytes);
      onRead(bytes.length);
    }
  } catch (error) {
    if (!(error instanceof DatamonError) || error.code === 'CANCELLED') throw error;
    return `it does not read: ${error.message}`;
  }
  const actual = hasher.digest();
  return actual === oid ? null : `its bytes are those of ${actual}`;
}

/** Whether a record that was not the broken one gives the bytes. */
async function isSound(
  options: ContainersOptions,
  repo: RepoSurvey,
  record: FoundRecord,
): Promise<boolean> {
  if (record.state !== 'verified' || countsAsAbsent(record, repo.pool)) return false;
  if ((await badRuns(options, repo, record)).length > 0) return false;
  return (await otherBytes({ ...options, sample: () => true }, repo, record)) === null;
}

const keyOfSegment = (repo: RepoSurvey, { segment }: FoundRecord): Key => {
  const found = repo.index.segments().find(({ ref }) => ref.id === segment);
  return repo.containers.keyOf(found?.ref ?? { kind: 'segment', id: segment, tier: 0 });
};
