/** Opens one repo straight on a backend: the store's format is checked first, then store, bytes and history are joined. */
import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Backend } from './backend/backend.ts';
import { replicatedOf } from './backend/healing.ts';
import { openDirectStores } from './cas/direct-store.ts';
import type { Ingest } from './cas/ingest.ts';
import type { PoolParameters } from './cas/pool.ts';
import type { UploadJournal } from './cas/upload-journal.ts';

import {
  bundleKey,
  commitLog,
  type Key,
  logKey,
  type PoolName,
  parsePoolName,
  type RepoName,
} from './keys.ts';
import { mustBeHeld } from './meta/held.ts';

import { DirectHistory } from './meta/history.ts';
import { lockViolations } from './meta/lock-check.ts';
import { DirectLocks } from './meta/locks.ts';
import type { RepoInfo } from './meta/model.ts';
import type { LockCheck } from './meta/moves.ts';
import type { Locks, Repository } from './meta/repository.ts';
import { childrenOf } from './meta/tree-page.ts';
import { type Random, secureRandom } from './random.ts';
import { createRepo, openPool, openStore, readRepo, type Store } from './store.ts';

/** Who makes a repo, and from which git remote, for its record. */
export interface Creation {
  readonly by: string;
  readonly remote: string | null;
}

/** As it is, or where finding out takes a while: to be asked for only by whoever makes a repo. */
export type CreationSource = Creation | (() => Promise<Creation>);

export const creationOf = async (source: CreationSource): Promise<Creation> =>
  typeof source === 'function' ? await source() : source;

export interface OpenRepositoryOptions {
  /** Makes store, pool and repo where they are absent. Without it an unknown repo is NOT_FOUND. */
  readonly create?: CreationSource;
  /** Pool of a repo that is made; default: its owner's. */
  readonly pool?: PoolName;
  /** For temp files; default: a folder of its own below the system's. */
  readonly spoolDir?: string;
  readonly random?: Random;
  /** Remembers packs over interruptions; without one an interrupted put begins anew. */
  readonly journal?: UploadJournal;
  /** Makes a cache below forget an object; true where it had some of it. */
  readonly evict?: (key: Key) => Promise<boolean>;
  /** Where packs end; tests choose it small. */
  readonly packSizeMaxBytes?: number;
  /** Calls `run` after `delayMs`; a timer unless told otherwise. */
  readonly schedule?: (delayMs: number, run: () => void) => void;
  /** Milliseconds since some moment, for telling how old a listing is; without it none is ever recent. */
  readonly elapsedMs?: () => number;
  /** Where people can look at the repo. */
  readonly webUrl?: string;
}

/** A repository on a backend; servers write into it for others through `ingest`. */
export interface DirectRepository extends Repository {
  readonly ingest: Ingest;
  readonly pool: PoolParameters;
}

export async function openRepository(
  backend: Backend,
  name: RepoName,
  options: OpenRepositoryOptions = {},
): Promise<DirectRepository> {
  const { create, random = secureRandom } = options;
  const store = await openStore(backend, { random, create: create ? 'if-absent' : 'never' });
  const info = create
    ? await makeRepo(store, name, create, options.pool)
    : await readRepo(store, name);
  const pool = await openPool(store, parsePoolName(info.pool), {
    create: create ? 'if-absent' : 'never',
  });
  const spoolDir = options.spoolDir ?? join(tmpdir(), `datamon-${randomUUID()}`);
  const stores = await openDirectStores({
    backend,
    repo: name,
    pool,
    spoolDir,
    random,
    childrenOf,
    ...(options.journal && { journal: options.journal }),
    ...(options.evict && { evict: options.evict }),
    ...(options.packSizeMaxBytes && { packSizeMaxBytes: options.packSizeMaxBytes }),
    ...(options.schedule && { schedule: options.schedule }),
    ...(options.elapsedMs && { elapsedMs: options.elapsedMs }),
  });
  const { blobs, pages, ingest } = stores;
  const locks = new DirectLocks({ backend, repo: name, random });
  const history: DirectHistory = new DirectHistory({
    backend,
    repo: name,
    info,
    pages,
    random,
    lockViolations: (change) => violations({ pages, locks, history }, change),
    mustBeHeld: async (bundle) => {
      if (!(await stores.isCollected())) return;
      await mustBeHeld({ pages, blobs }, bundle, (await history.getBundle(bundle)).tree);
    },
  });
  const close = (): Promise<void> => stores.close();
  return {
    name,
    webUrl: options.webUrl ?? null,
    blobs,
    pages,
    history,
    locks,
    ingest,
    pool,
    ...copiesOf(backend, name),
    close,
  };
}

/** The entry of a bundle's commit is written, and reaches a replica, after all that the bundle needs. */
function copiesOf(backend: Backend, repo: RepoName): Pick<Repository, 'copies'> {
  const replicated = replicatedOf(backend);
  if (replicated === null) return {};
  return {
    copies: (bundle, commit) =>
      replicated.copies([bundleKey(repo, bundle), logKey(commitLog(repo, commit), 1)]),
  };
}

async function makeRepo(
  store: Store,
  name: RepoName,
  create: CreationSource,
  pool: PoolName | undefined,
): Promise<RepoInfo> {
  return await createRepo(store, name, async () => {
    const { by, remote } = await creationOf(create);
    return { createdBy: by, remote, ...(pool ? { pool } : {}) };
  });
}

async function violations(
  { pages, locks, history }: Pick<Repository, 'pages' | 'history'> & { readonly locks: Locks },
  { before, after, by }: Parameters<LockCheck>[0],
): Promise<readonly string[]> {
  const held = await locks.list();
  if (held.length === 0) return [];
  const treeOf = async (bundle: NonNullable<typeof before>) =>
    (await history.getBundle(bundle)).tree;
  const found = await lockViolations({
    pages,
    held,
    before: before === null ? null : await treeOf(before),
    after: await treeOf(after),
    by,
  });
  return found.map(({ path, lock }) => `${path} (${lock.owner})`);
}
