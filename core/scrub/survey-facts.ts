/** Reads what everything else hangs on: the descriptions of pools and repos, all logs, announced pushes, bundles. In this order, so a push in flight is no damage. */
import type { Backend } from '../backend/backend.ts';
import { listSegments } from '../backend/segments.ts';
import { BlobReader } from '../cas/blob-reader.ts';
import { parseCondemned } from '../cas/condemned.ts';
import { createContainers } from '../cas/containers.ts';
import { SegmentIndex } from '../cas/segment-index.ts';
import type { Digest } from '../digest.ts';
import { DatamonError } from '../errors.ts';
import { openSealedJson } from '../json.ts';
import { kindOfKey } from '../key-kind.ts';
import {
  defaultPool,
  escapeName,
  formatLog,
  type Key,
  logKey,
  type PoolName,
  parsePoolName,
  parseRepoName,
  type RepoName,
  unescapeName,
} from '../keys.ts';
import { decodeBundle } from '../meta/bundle.ts';
import { keepsPending, PENDING_DAYS } from '../meta/retention.ts';
import { parseAnnouncement } from '../meta/wire.ts';
import { parsePool, parseRepo } from '../store.ts';
import { type Finding, finding } from './finding.ts';
import { noteBundle, noteExtra, noteFact, policyOf } from './note-trees.ts';
import type { PoolSurvey, RepoSurvey, Survey } from './survey.ts';
import { type LogFact, NEWER_HINT, readChecked, walkLogs } from './survey-logs.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
const SHOWN_DIGITS = 12;

export interface FactsOptions {
  readonly survey: Survey;
  /** Called for each object read; throws where the scrub is to stop. */
  readonly onRead: (sizeBytes: number) => void;
  readonly nowMs: number;
}

export async function* surveyFacts(options: FactsOptions): AsyncGenerator<Finding> {
  const { survey } = options;
  yield* surveyFormat(options);
  yield* walkLogs({ ...common(options), prefix: 'scrubs/', repo: null, onFact: () => {} });
  const seen = new Set<string>();
  for await (const segment of listSegments(survey.backend, 'pools/')) {
    seen.add(segment);
    yield* surveyPool(options, segment);
  }
  for await (const segment of listSegments(survey.backend, 'repos/')) {
    yield* surveyRepo(options, segment);
  }
  for (const { trees, pool } of [...survey.repos.values()]) {
    const segment = escapeName(pool.name);
    // A repo is described before its pool, and only then pushed into.
    if (seen.has(segment) || trees.size === 0) continue;
    seen.add(segment);
    yield* surveyPool(options, segment);
  }
}

const common = ({ survey, onRead }: FactsOptions) => ({ backend: survey.backend, onRead });

async function* surveyFormat(options: FactsOptions): AsyncGenerator<Finding> {
  const { backend } = options.survey;
  let count = 0;
  const onFact = () => {
    count += 1;
  };
  for await (const found of walkLogs({
    ...common(options),
    prefix: formatLog,
    repo: null,
    onFact,
  })) {
    if (found.state === 'newer') {
      throw new DatamonError('UNSUPPORTED', found.message, { hint: NEWER_HINT });
    }
    count += 1;
    yield found;
  }
  if (count > 0) return;
  const key = logKey(formatLog, 1);
  for (const prefix of ['pools/', 'repos/']) {
    for await (const _ of backend.list(prefix)) {
      yield finding({
        kind: 'log',
        state: 'missing',
        key,
        message: 'the store has no format log, though it holds data',
        meaning: 'No program opens the store; its data are as they were.',
        hint: `Put ${key} back from a replica or from a backup of the store.`,
      });
      return;
    }
  }
  throw new DatamonError('NOT_FOUND', `there is no datamon store at ${backend.url}`, {
    hint: `Check the URL, or make a store there: datamon init ${backend.url}`,
  });
}

async function* surveyPool(options: FactsOptions, segment: string): AsyncGenerator<Finding> {
  const key = `pools/${segment}/pool.json` as Key;
  const { bytes, state, message } = await readChecked(common(options), key);
  const name =
    bytes === null || state !== null ? nameOf(segment, parsePoolName) : parsePool(bytes, null).pool;
  if (state !== null) {
    yield finding({
      kind: 'description',
      state,
      key,
      message: state === 'missing' ? `pool ${name} has lost its description ${key}` : message,
      meaning: `No repo of pool ${name} can be opened until it is back; their data are as they were.`,
      hint: descriptionHint(options, state),
    });
  }
  const pool = poolOf(options.survey, name);
  const onFact = ({ event }: LogFact): void => {
    const { condemned, policies } = parseCondemned(event);
    for (const id of condemned) pool.condemned.add(id);
    // Newest first.
    pool.policies ??= policies ?? null;
  };
  const prefix = `pools/${segment}/gc/`;
  yield* walkLogs({ ...common(options), prefix, repo: null, onFact });
}

const descriptionHint = ({ survey: { backend } }: FactsOptions, state: string): string =>
  state === 'newer'
    ? NEWER_HINT
    : `It has one copy in a store. Put it back from a replica (datamon fsck ${backend.url} --repair) or from a backup of the store.`;

export function poolOf({ pools }: Survey, name: PoolName): PoolSurvey {
  const pool = pools.get(name) ?? {
    ...{ name, condemned: new Set(), policies: null, packs: new Map(), used: new Set() },
  };
  pools.set(name, pool);
  return pool;
}

/** Of a name too long to stand in a key only its digest is left; it serves. */
function nameOf<T>(segment: string, parse: (text: string) => T): T {
  return parse(unescapeName(segment) ?? segment.slice(1));
}

async function* surveyRepo(options: FactsOptions, segment: string): AsyncGenerator<Finding> {
  const { survey } = options;
  const key = `repos/${segment}/repo.json` as Key;
  const { bytes, state, message } = await readChecked(common(options), key);
  const known = bytes === null || state !== null ? null : parseRepo(bytes, null);
  const name = known?.repo ?? nameOf(segment, parseRepoName);
  if (state !== null) {
    yield finding({
      kind: 'description',
      state,
      key,
      repo: name,
      message: state === 'missing' ? `repo ${name} has lost its description ${key}` : message,
      meaning: `Repo ${name} cannot be opened until it is back; its data are as they were.`,
      hint: descriptionHint(options, state),
    });
  }
  const pool = poolOf(survey, known ? parsePoolName(known.info.pool) : defaultPool(name));
  const repo = makeRepo(survey.backend, name, pool);
  survey.repos.set(name, repo);
  for (const room of ['settings', 'commits', 'branches', 'labels', 'locks']) {
    const prefix = `repos/${segment}/${room}/`;
    const onFact = (fact: LogFact): void => noteFact(repo, fact, options.nowMs);
    yield* walkLogs({ ...common(options), prefix, repo: name, onFact });
  }
  yield* surveyPending(options, repo, `repos/${segment}/pending/`);
  yield* surveyBundles(options, repo, `repos/${segment}/bundles/`);
}

function makeRepo(backend: Backend, name: RepoName, pool: PoolSurvey): RepoSurvey {
  const containers = createContainers({ backend, repo: name, pool: pool.name });
  const index = new SegmentIndex({ backend, repo: name, containers });
  const holdings = { distrust: () => {} };
  return {
    name,
    pool,
    containers,
    index,
    reader: new BlobReader({ backend, containers, index, holdings }),
    trees: new Map(),
    excused: new Set(),
    segments: new Set(),
    broken: new Map(),
    absent: new Map(),
  };
}

async function* surveyPending(
  options: FactsOptions,
  repo: RepoSurvey,
  prefix: string,
): AsyncGenerator<Finding> {
  const { backend } = options.survey;
  const open = new Map<string, Key>();
  for await (const { key, createdAt } of backend.list(prefix)) {
    const kind = kindOfKey(key);
    if (kind.kind !== 'pending') continue;
    const { bytes, state, message } = await readChecked(common(options), key);
    if (state !== null || bytes === null) {
      yield finding({
        kind: 'description',
        state: state ?? 'missing',
        key,
        repo: repo.name,
        message,
        meaning: 'Whether this push was recorded cannot be told from it; what it stored stays.',
        hint: 'In the clone that pushed: datamon record',
      });
    } else if (kind.part === 'done') open.delete(kind.push);
    else {
      open.set(kind.push, key);
      if (keepsPending(policyOf(repo), options.nowMs, createdAt.getTime())) {
        notePush(repo, openSealedJson(bytes, key), key);
      }
    }
  }
  for (const key of open.values()) yield* notePending(options, repo, key);
}

function notePush(repo: RepoSurvey, event: unknown, key: Key): void {
  for (const { ref, gitNew, bundle, extraOids, missing } of parseAnnouncement(event, key).refs) {
    noteBundle(repo, bundle, gitNew, null, missing);
    noteExtra(repo, extraOids, gitNew, `a push to ${ref}`);
  }
}

async function* notePending(
  { survey, nowMs }: FactsOptions,
  repo: RepoSurvey,
  key: Key,
): AsyncGenerator<Finding> {
  const there = await survey.backend.stat(key);
  const days = there === null ? 0 : Math.floor((nowMs - there.createdAt.getTime()) / DAY_MS);
  if (days <= PENDING_DAYS) return;
  yield finding({
    severity: 'note',
    kind: 'pending',
    state: 'superfluous',
    key,
    repo: repo.name,
    message: `a push was announced ${days} days ago and never confirmed`,
    meaning: 'Its files are stored; no branch shows them.',
    hint: 'If its branch did move, in a clone: datamon record --all',
  });
}

/** Descriptors: every one that is stored is proved, every one that is named must be there. */
async function* surveyBundles(
  options: FactsOptions,
  repo: RepoSurvey,
  prefix: string,
): AsyncGenerator<Finding> {
  const seen = new Set<Digest>();
  const check = async function* (key: Key, bundle: Digest): AsyncGenerator<Finding> {
    const { bytes, state, message } = await readChecked(common(options), key);
    const named = repo.trees.get(bundle);
    if (bytes !== null && state === null) {
      const { tree, commit } = decodeBundle(bundle, bytes);
      if (named !== undefined) Object.assign(named, { tree, commit });
    } else yield badBundle(options, repo, { key, bundle, state: state ?? 'missing', message });
  };
  for await (const { key } of options.survey.backend.list(prefix)) {
    const kind = kindOfKey(key);
    if (kind.kind !== 'bundle') continue;
    seen.add(kind.bundle);
    yield* check(key, kind.bundle);
  }
  for (const { bundle } of [...repo.trees.values()]) {
    if (bundle !== null && !seen.has(bundle)) yield* check(`${prefix}${bundle}` as Key, bundle);
  }
}

function badBundle(
  { survey }: FactsOptions,
  repo: RepoSurvey,
  bad: Pick<Finding, 'key' | 'state' | 'message'> & { readonly bundle: Digest },
): Finding {
  const { key, state, message, bundle } = bad;
  const named = repo.trees.get(bundle);
  const shown = bundle.slice(0, SHOWN_DIGITS);
  const names = named?.names ?? [];
  return finding({
    severity: named === undefined ? 'note' : 'damage',
    kind: 'bundle',
    state,
    key,
    repo: repo.name,
    message: state === 'missing' ? `the bundle ${shown} is missing: ${key}` : message,
    bundles: named === undefined ? [] : [{ bundle, commit: named.commit, names }],
    meaning:
      named === undefined
        ? 'No log names it, so nobody misses it.'
        : 'This version cannot be listed, compared or downloaded; its files are stored as they were, and git clones fetch them.',
    hint: `In a clone that has commit ${named?.commit?.slice(0, SHOWN_DIGITS) ?? 'it is of'}: datamon fsck ${survey.backend.url} --repair`,
  });
}
