/** What `gc` works on: a store, straight, and one of its pools. A server is refused: only who holds the store may delete from it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { openStoreBackend } from '../client/open-store.ts';
import { parseEndpoint } from '../client/repo-url.ts';
import type { Backend } from '../core/backend/backend.ts';
import type { PoolOptions } from '../core/collect/pool-survey.ts';
import { DatamonError } from '../core/errors.ts';
import { type PoolName, parsePoolName, parseRepoName, type RepoName } from '../core/keys.ts';
import { secureRandom } from '../core/random.ts';
import { listRepos, openPool, openStore, readRepo, type Store } from '../core/store.ts';
import type { Context } from './context.ts';
import { withScheme } from './repo-address.ts';

export interface OpenedStore {
  readonly url: string;
  readonly backend: Backend;
  readonly store: Store;
}

export async function openStoreOf(context: Context, text: string): Promise<OpenedStore> {
  // A bare name is a folder here: gc takes stores alone, no repos.
  const place = text.includes(':') ? text : resolve(context.io.cwd, text);
  const endpoint = parseEndpoint(withScheme(place, context.io.cwd));
  if (endpoint.kind === 'server') {
    throw new DatamonError('INVALID', `${endpoint.origin} is a server; gc needs the store itself`, {
      hint: 'Run it where the store is: datamon gc file:///srv/store',
    });
  }
  const url = endpoint.storeUrl;
  const opened = await openStoreBackend(url, { signal: context.io.signal });
  const backend = context.runtime.aroundStore?.(opened) ?? opened;
  return { url, backend, store: await openStore(backend) };
}

/** Every pool that a repo is in. */
export async function poolsOf({ store }: OpenedStore): Promise<readonly PoolName[]> {
  const pools = new Set<PoolName>();
  for await (const { info } of listRepos(store)) pools.add(parsePoolName(info.pool));
  return [...pools];
}

/** The pool named, or the only one there is. */
export async function onePool(opened: OpenedStore, named: string | undefined): Promise<PoolName> {
  if (named !== undefined) {
    const pool = parsePoolName(named);
    await openPool(opened.store, pool, { create: 'never' });
    return pool;
  }
  const pools = await poolsOf(opened);
  const [only] = pools;
  if (only !== undefined && pools.length === 1) return only;
  throw new DatamonError(
    pools.length === 0 ? 'NOT_FOUND' : 'INVALID',
    pools.length === 0
      ? `the store ${opened.url} has no repo yet`
      : `the store has ${pools.length} pools: ${pools.join(', ')}`,
    pools.length === 0 ? {} : { hint: `Choose one: --pool ${only}` },
  );
}

export async function poolOfRepo(
  { store }: OpenedStore,
  text: string,
): Promise<{ readonly repo: RepoName; readonly pool: PoolName }> {
  const repo = parseRepoName(text);
  return { repo, pool: parsePoolName((await readRepo(store, repo)).pool) };
}

/** Runs with a folder for temp files, which is removed afterwards. */
export async function inPool<T>(
  context: Context,
  { backend }: OpenedStore,
  pool: PoolName,
  work: (options: PoolOptions) => Promise<T>,
): Promise<T> {
  const spoolDir = await mkdtemp(join(tmpdir(), 'datamon-'));
  try {
    const { signal } = context.io;
    return await work({ backend, pool, random: secureRandom, spoolDir, signal });
  } finally {
    await rm(spoolDir, { recursive: true, force: true });
  }
}
