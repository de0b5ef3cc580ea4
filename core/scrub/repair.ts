/**
 * Repairs what a scrub found. Promises: nothing is overwritten but an object whose proven bytes are at hand; what reads is published
 * anew before the damaged container is condemned; a container is condemned only once nothing is missed of it; stopped anywhere, it can
 * be run again.
 */
import type { Backend } from '../backend/backend.ts';
import type { BlobSource } from '../cas/blob-store.ts';
import { condemn } from '../cas/condemned.ts';
import { type DirectParts, openDirectParts, storesOf } from '../cas/direct-store.ts';
import { evacuate } from '../cas/evacuate.ts';
import type { FoundRecord } from '../cas/segment-index.ts';
import { DatamonError, hasCode } from '../errors.ts';
import type { ContainerId } from '../keys.ts';
import { childrenOf } from '../meta/tree-page.ts';
import type { Random } from '../random.ts';
import { openPool } from '../store.ts';
import type { Finding } from './finding.ts';
import { doomedRecords, isDoomed, isElsewhere, type Left, lostOf, whatIsLeft } from './lost.ts';
import { Rebuild } from './rebuild.ts';
import { type RepairAction, type RepairSources, remake } from './remake.ts';
import type { Scrub } from './scrub.ts';
import {
  type BadContainer,
  type PoolSurvey,
  type RepoSurvey,
  type Survey,
  wantedName,
} from './survey.ts';
import { counted } from './tell.ts';

export interface RepairOptions {
  readonly scrub: Scrub;
  /** What the scrub told. */
  readonly findings: readonly Finding[];
  readonly sources: RepairSources;
  readonly spoolDir: string;
  readonly random: Random;
  readonly by: string;
  readonly signal?: AbortSignal;
}

/** Everything that can be done without a replica, in order of what it needs. */
export async function* repair(options: RepairOptions): AsyncGenerator<RepairAction> {
  const { survey } = options.scrub;
  for (const pool of survey.pools.values()) {
    const repos = [...survey.repos.values()].filter((repo) => repo.pool === pool);
    let unhealed: Unhealed | null = { causes: new Set(), repos: new Set() };
    for (const repo of repos) {
      const left = yield* repairRepo(options, repo);
      if (left === null) unhealed = null;
      else if (unhealed !== null) note(unhealed, repo, left);
    }
    if (unhealed !== null) yield* condemnHealed(options, pool, unhealed);
  }
}

/** What could not be healed, and so which containers must stay as they are. */
interface Unhealed {
  readonly causes: Set<ContainerId>;
  readonly repos: Set<RepoSurvey>;
}

function note({ causes, repos }: Unhealed, repo: RepoSurvey, left: Left): void {
  for (const id of left.causes) causes.add(id);
  if (left.hasAbsent) repos.add(repo);
}

/** Null where the repo could not be worked on at all. */
async function* repairRepo(
  options: RepairOptions,
  repo: RepoSurvey,
): AsyncGenerator<RepairAction, Left | null> {
  const { survey } = options.scrub;
  const opened = await open(options, repo);
  if (opened instanceof DatamonError) {
    const message = `repo ${repo.name} was left as it is: ${opened.message}`;
    yield { did: 'left', key: null, repo: repo.name, message };
    return null;
  }
  const { parts, stores } = opened;
  try {
    yield* copyOut(options, repo, parts);
    stop(options);
    yield* rebuild(options, repo, parts, stores.blobs.putMany, stores.pages.putPages);
    stop(options);
    yield* sendAgain(options, repo, parts, stores.blobs.putMany);
    stop(options);
    yield* remake(options, repo, stores.pages);
    return await whatIsLeft(survey, repo, parts);
  } finally {
    await stores.close();
  }
}

async function open({ scrub, spoolDir, random }: RepairOptions, repo: RepoSurvey) {
  const { backend, bad } = scrub.survey;
  try {
    const pool = await openPool({ backend, random }, repo.pool.name, { create: 'never' });
    const options = { backend, repo: repo.name, pool, spoolDir, random, childrenOf };
    const parts = await openDirectParts(options);
    await parts.index.refresh();
    for (const id of bad.keys()) parts.holdings.distrust(id);
    const { blobs, pages, close } = storesOf(parts, options);
    const { putMany } = blobs;
    const putPages = (list: readonly Uint8Array[]) => pages.putPages(list);
    return { parts, stores: { blobs: { putMany }, pages: { putPages }, close } };
  } catch (error) {
    if (error instanceof DatamonError && !hasCode(error, 'CANCELLED')) return error;
    throw error;
  }
}

type Stores = Exclude<Awaited<ReturnType<typeof open>>, DatamonError>['stores'];
type PutMany = Stores['blobs']['putMany'];

async function* copyOut(
  { scrub: { survey } }: RepairOptions,
  repo: RepoSurvey,
  parts: DirectParts,
): AsyncGenerator<RepairAction> {
  const records = async function* (): AsyncGenerator<FoundRecord> {
    for await (const record of doomedRecords(survey, repo, parts)) {
      if (!(await isElsewhere(survey, repo, parts, record))) yield record;
    }
  };
  const { recordCount, copiedBytes } = await evacuate(parts, records(), (id) =>
    isDoomed(survey, id),
  );
  if (recordCount === 0) return;
  yield {
    did: 'copied out',
    key: null,
    repo: repo.name,
    message: `copied ${counted(recordCount)} of ${repo.name} (tree pages count too; ${copiedBytes} bytes) out of damaged objects into new ones`,
  };
}

async function* rebuild(
  { scrub: { survey } }: RepairOptions,
  repo: RepoSurvey,
  parts: DirectParts,
  putMany: PutMany,
  putPages: Stores['pages']['putPages'],
): AsyncGenerator<RepairAction> {
  const lost = await lostOf(survey, repo, parts);
  if (lost.length === 0) return;
  const { drafts, blobs, pages } = await new Rebuild(survey, repo, parts, lost).find();
  if (drafts.length > 0) await parts.committer.commit({ records: drafts, waiting: [] });
  if (pages.length > 0) await putPages(pages);
  const sources = blobs.map(({ wanted, open }) => ({ ...wanted, open }));
  const stored = await putAll(putMany, sources);
  const count = drafts.length + pages.length + stored;
  if (count === 0) return;
  yield {
    did: 'rebuilt',
    key: null,
    repo: repo.name,
    message: `found ${counted(count)} of ${repo.name} (tree pages count too) again by what lies in the pool, hashed and recorded them`,
  };
}

async function putAll(putMany: PutMany, sources: readonly BlobSource[]): Promise<number> {
  let stored = 0;
  for await (const outcome of putMany(sources)) {
    if ('receipt' in outcome) stored += 1;
    else if (hasCode(outcome.error, 'CANCELLED')) throw outcome.error;
  }
  return stored;
}

async function* sendAgain(
  { scrub, sources }: RepairOptions,
  repo: RepoSurvey,
  parts: DirectParts,
  putMany: PutMany,
): AsyncGenerator<RepairAction> {
  const found: BlobSource[] = [];
  const lost = await lostOf(scrub.survey, repo, parts);
  // Whoever has the bytes may also bring what its push did not.
  const neverBrought = [...repo.absent.values()].filter(({ oid }) => repo.excused.has(oid));
  for (const { oid, kind, sizeBytes } of new Set([...lost, ...neverBrought])) {
    const trouble = scrub.troubles.get(repo)?.get(wantedName(kind, oid));
    const commits = (trouble?.trees ?? []).flatMap(({ commit }) => commit ?? []);
    const open = kind === 'blob' ? await sources.file(oid, sizeBytes, commits) : null;
    if (open !== null) found.push({ oid, sizeBytes, open });
  }
  const stored = found.length === 0 ? 0 : await putAll(putMany, found);
  if (stored === 0) return;
  yield {
    did: 'sent again',
    key: null,
    repo: repo.name,
    message: `stored ${counted(stored)} of ${repo.name} again, from ${sources.name}`,
  };
}

/** Damaged containers of which nothing is missed any more. */
async function* condemnHealed(
  { scrub: { survey }, random, by }: RepairOptions,
  pool: PoolSurvey,
  unhealed: Unhealed,
): AsyncGenerator<RepairAction> {
  const healed = [...survey.bad.values()].filter(
    (bad) =>
      poolOf(survey, bad) === pool &&
      isDoomed(survey, bad.id) &&
      !pool.condemned.has(bad.id) &&
      !unhealed.causes.has(bad.id) &&
      !mayHoldAbsent(unhealed, bad),
  );
  if (healed.length === 0) return;
  const ids = healed.map(({ id }) => id);
  await condemn(survey.backend, pool.name, random, { ids, by, plan: null });
  for (const { key, kind, repo } of healed) {
    const message = `the ${kind} ${key} is needed no more and was condemned; collection removes it`;
    yield { did: 'condemned', key, repo, message };
  }
}

/** What is lost without a trace may be in any damaged container of its repo or pool. */
const mayHoldAbsent = ({ repos }: Unhealed, { repo }: BadContainer): boolean =>
  [...repos].some(({ name }) => repo === null || repo === name);

function poolOf(
  { repos, pools }: Survey,
  { repo, id, kind }: BadContainer,
): PoolSurvey | undefined {
  if (repo !== null) return repos.get(repo)?.pool;
  return [...pools.values()].find(
    ({ packs, used }) => kind === 'pack' && (packs.has(id) || used.has(id)),
  );
}

function stop({ signal }: RepairOptions): void {
  if (signal?.aborted) {
    throw new DatamonError('CANCELLED', 'the repair was stopped; what was repaired stays', {
      hint: 'Run the same command again for the rest.',
    });
  }
}

/** What a store with replicas can do besides: take a proven copy from another member. */
interface Healing {
  heal(key: Finding['key']): Promise<'healed' | 'intact' | 'no good copy'>;
}

const healingOf = (backend: Backend): Healing | null =>
  'heal' in backend ? (backend as Backend & Healing) : null;

/** Asks the replicas, where there are some, for everything that was found damaged or missing. */
export async function* healFromReplicas(
  backend: Backend,
  findings: readonly Finding[],
): AsyncGenerator<RepairAction> {
  const healing = healingOf(backend);
  if (healing === null) return;
  for (const { key, severity, state, repo } of findings) {
    if (severity !== 'damage' || (state !== 'damaged' && state !== 'missing')) continue;
    if ((await healing.heal(key)) !== 'healed') continue;
    yield { did: 'healed', key, repo, message: `${key} was taken from a replica` };
  }
}
