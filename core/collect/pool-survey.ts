/**
 * Reads a pool whole, for who is about to delete from it: packs, repos, segments. Promise (I9): what does not read, is missing or is
 * listed out of order ends the survey with an error; nothing is left out.
 */
import type { Backend, ObjectInfo } from '../backend/backend.ts';
import { listSegments } from '../backend/segments.ts';
import { collect } from '../bytes.ts';
import { Condemned } from '../cas/condemned.ts';
import type { ContainerTables } from '../cas/container-reader.ts';
import { type ContainerRef, type Containers, createContainers, refOf } from '../cas/containers.ts';
import type { FoundRecord } from '../cas/segment-index.ts';
import { openSegmentTables, type SegmentTables } from '../cas/segment-tables.ts';
import { DatamonError, hasCode } from '../errors.ts';
import { openSealedJson } from '../json.ts';
import {
  type ContainerId,
  type PoolName,
  packPrefix,
  parseContainerId,
  parseRepoName,
  parseSegmentKey,
  REPOS_PREFIX,
  type RepoName,
  repoKeyOfSegment,
  segmentPrefix,
} from '../keys.ts';
import type { Random } from '../random.ts';
import { record, text } from '../shape.ts';

export interface PoolOptions {
  readonly backend: Backend;
  readonly pool: PoolName;
  readonly random: Random;
  /** For temp files. */
  readonly spoolDir: string;
  readonly signal?: AbortSignal;
}

export interface SurveyedSegment {
  readonly ref: ContainerRef;
  readonly createdAt: Date;
  readonly replaces: readonly ContainerId[];
  /** Containers that its records have frames in, itself left out. */
  readonly names: readonly ContainerId[];
}

export interface SurveyedRepo {
  readonly repo: RepoName;
  readonly containers: Containers;
  readonly segments: readonly SurveyedSegment[];
  /** Segments that are condemned and whose tables do not read. */
  readonly unreadable: readonly { readonly ref: ContainerRef }[];
}

export interface Survey {
  /** As of after everything was listed. */
  readonly condemned: Condemned;
  readonly packs: ReadonlyMap<ContainerId, ObjectInfo>;
  readonly repos: readonly SurveyedRepo[];
  /** The store's clock, before anything was listed. */
  readonly now: Date;
}

/** A listing that changed while it was read is read again so many times. */
const SURVEY_TRIES = 5;
const DESCRIPTION_SIZE_MAX_BYTES = 1024 * 1024;

/** Thrown where a segment went away between listing and reading: somebody else collects. */
class Changed extends Error {
  override readonly name = 'Changed';
}

export async function surveyPool(options: PoolOptions): Promise<Survey> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await surveyOnce(options);
    } catch (error) {
      if (!(error instanceof Changed)) throw error;
      if (tries < SURVEY_TRIES) continue;
      throw new DatamonError('UNAVAILABLE', `the pool ${options.pool} keeps changing while read`, {
        cause: error,
        hint: 'Another collection is deleting. Run the same command again later.',
      });
    }
  }
}

async function surveyOnce(options: PoolOptions): Promise<Survey> {
  const { backend, pool, random } = options;
  const now = await backend.now();
  // Packs first: one whose segment is published meanwhile is then found named, never the other way round.
  const packs = new Map<ContainerId, ObjectInfo>();
  for await (const pack of strictList(options, packPrefix(pool))) {
    packs.set(parsePackId(pack.key), pack);
  }
  const condemned = new Condemned(backend, pool, random);
  await condemned.look();
  const repos: SurveyedRepo[] = [];
  for (const repo of await reposOf(backend, pool)) {
    repos.push(await surveyRepo(options, repo, condemned));
  }
  // Once more after the listing: a record may be that of a writer who has not looked yet.
  await condemned.look();
  return { condemned, packs, repos, now };
}

async function surveyRepo(
  options: PoolOptions,
  repo: RepoName,
  condemned: Condemned,
): Promise<SurveyedRepo> {
  const { backend, pool } = options;
  const containers = createContainers({ backend, repo, pool });
  const listed = await listedSegments(options, repo);
  const segments: SurveyedSegment[] = [];
  const unreadable: { readonly ref: ContainerRef }[] = [];
  for (const [id, { key, sizeBytes, createdAt }] of listed) {
    options.signal?.throwIfAborted();
    const name = parseSegmentKey(repo, key);
    const ref = unreadRef(id, name?.tier ?? 0, sizeBytes);
    const tables = await tablesOf(containers, ref, condemned);
    if (tables === null) unreadable.push({ ref });
    else {
      const { replaces, containers: named } = openSegmentTables(tables, key);
      const names = named.map(({ id }) => id);
      segments.push({ ref: refOf(tables, ref.tier), createdAt, replaces, names });
    }
  }
  const again = await listedSegments(options, repo);
  for (const id of listed.keys()) if (!again.has(id)) throw new Changed(`${id} is gone`);
  return { repo, containers, segments, unreadable };
}

/** Null where a condemned segment does not read: whatever it held was copied out before it was condemned. */
async function tablesOf(
  containers: Containers,
  ref: ContainerRef,
  condemned: Condemned,
): Promise<ContainerTables | null> {
  try {
    return await containers.tables(ref);
  } catch (error) {
    if (hasCode(error, 'NOT_FOUND')) throw new Changed(error.message, { cause: error });
    if (hasCode(error, 'CORRUPT') && condemned.has(ref.id)) return null;
    throw hasCode(error, 'CORRUPT') ? unreadableError(error) : error;
  }
}

const unreadableError = (cause: DatamonError): DatamonError =>
  new DatamonError('CORRUPT', `nothing is collected: ${cause.message}`, {
    cause,
    hint: 'Find out what is damaged, and repair it first: datamon fsck',
  });

/** All records of a segment, one after the other, their containers named. */
export async function* recordsOf(
  { containers }: SurveyedRepo,
  { ref }: SurveyedSegment,
): AsyncIterable<FoundRecord> {
  const tables = await tablesAgain(containers, ref);
  for (let index = 0; index < tables.recordCount; index += 1) {
    const found = tables.record(index);
    const runs = found.runs.map((run) => ({ ...run, container: run.container ?? ref }));
    yield { ...found, runs, segment: ref.id };
  }
}

async function tablesAgain(containers: Containers, ref: ContainerRef): Promise<SegmentTables> {
  try {
    return openSegmentTables(await containers.tables(ref), containers.keyOf(ref));
  } catch (error) {
    if (!hasCode(error, 'NOT_FOUND')) throw error;
    throw new DatamonError('UNAVAILABLE', `the segment ${ref.id} was deleted meanwhile`, {
      cause: error,
      hint: 'Another collection is deleting. Run the same command again later.',
    });
  }
}

async function listedSegments(
  options: PoolOptions,
  repo: RepoName,
): Promise<Map<ContainerId, ObjectInfo>> {
  const found = new Map<ContainerId, ObjectInfo>();
  for await (const each of strictList(options, segmentPrefix(repo))) {
    const name = parseSegmentKey(repo, each.key);
    if (name === null) throw new DatamonError('CORRUPT', `${each.key} is no segment`);
    found.set(name.id, each);
  }
  return found;
}

/** The pool's repos. One without a description may be anybody's, so it stops everything. */
async function reposOf(backend: Backend, pool: PoolName): Promise<RepoName[]> {
  const repos: RepoName[] = [];
  for await (const segment of listSegments(backend, REPOS_PREFIX)) {
    const key = repoKeyOfSegment(segment);
    const bytes = await readDescription(backend, key);
    const fields = record<{ repo: string; pool: string }>({ repo: text, pool: text })(
      openSealedJson(bytes, key),
      key,
    );
    if (fields.pool === pool) repos.push(parseRepoName(fields.repo));
  }
  return repos;
}

async function readDescription(backend: Backend, key: Parameters<Backend['get']>[0]) {
  try {
    return await collect(backend.get(key), DESCRIPTION_SIZE_MAX_BYTES);
  } catch (error) {
    if (!hasCode(error, 'NOT_FOUND')) throw error;
    throw new DatamonError('CORRUPT', `nothing is collected: ${key} is missing`, {
      cause: error,
      hint: 'A repo without its description may belong to any pool. See: datamon fsck',
    });
  }
}

/** A listing that repeats or goes back cannot be trusted to be whole. */
async function* strictList(options: PoolOptions, prefix: string): AsyncIterable<ObjectInfo> {
  let last = '';
  for await (const each of options.backend.list(prefix)) {
    options.signal?.throwIfAborted();
    if (each.key <= last || !each.key.startsWith(prefix)) {
      throw new DatamonError('CORRUPT', `nothing is collected: the store lists ${prefix} wrongly`);
    }
    last = each.key;
    yield each;
  }
}

function parsePackId(key: string): ContainerId {
  const [shard, id = ''] = key.split('/').slice(-2);
  const parsed = parseContainerId(id);
  if (shard === parsed.slice(0, 2)) return parsed;
  throw new DatamonError('CORRUPT', `${key} is no pack`);
}

const unreadRef = (id: ContainerId, tier: number, sizeBytes: number): ContainerRef => ({
  kind: 'segment',
  id,
  tier,
  sizeBytes,
  tablesOffset: 0,
  tablesLength: 0,
  samples: Buffer.alloc(0),
});
