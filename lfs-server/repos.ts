/** The repos of a store, opened when first asked for and kept while used: a cache, never the only place of anything. */
import { createBoundedCache } from '../core/cas/bounded-cache.ts';
import type { Ingest } from '../core/cas/ingest.ts';
import type { PoolParameters } from '../core/cas/pool.ts';
import { hasCode } from '../core/errors.ts';
import type { RepoName } from '../core/keys.ts';
import type { RepoInfo } from '../core/meta/model.ts';
import type { Repository } from '../core/meta/repository.ts';

export const OPEN_REPO_COUNT_MAX = 64;

/** A repo as the server needs it. */
export interface ServedRepo {
  readonly info: RepoInfo;
  readonly pool: PoolParameters;
  readonly repository: Repository;
  readonly ingest: Ingest;
}

/** What the store can do for us; see `store-source.ts`. */
export interface RepoSource {
  /** NOT_FOUND where it was never made. */
  open(repo: RepoName): Promise<ServedRepo>;
  create(
    repo: RepoName,
    by: { readonly createdBy: string; readonly remote: string | null },
  ): Promise<void>;
  list(): AsyncIterable<{ readonly repo: RepoName; readonly info: RepoInfo }>;
  /** Resolves where the store answers. */
  probe(): Promise<void>;
}

export interface Repos {
  /** Null where there is no such repo. */
  find(repo: RepoName): Promise<ServedRepo | null>;
  /** Makes it where it is absent. */
  ensure(
    repo: RepoName,
    by: { readonly createdBy: string; readonly remote: string | null },
  ): Promise<ServedRepo>;
  list(): AsyncIterable<{ readonly repo: RepoName; readonly info: RepoInfo }>;
  probe(): Promise<void>;
  close(): Promise<void>;
}

export function createRepos(source: RepoSource, countMax = OPEN_REPO_COUNT_MAX): Repos {
  // Evicted repos are not closed: a request may still be using them, and closing only waits for what is under way.
  const everOpened = new Set<WeakRef<Repository>>();
  const opened = createBoundedCache<RepoName, ServedRepo>({
    budgetBytes: countMax,
    weigh: () => 1,
    load: async (repo) => {
      const served = await source.open(repo);
      for (const old of everOpened) if (old.deref() === undefined) everOpened.delete(old);
      everOpened.add(new WeakRef(served.repository));
      return served;
    },
  });
  const find = async (repo: RepoName): Promise<ServedRepo | null> => {
    try {
      return await opened.get(repo);
    } catch (error) {
      if (hasCode(error, 'NOT_FOUND')) return null;
      throw error;
    }
  };

  return {
    find,
    ensure: async (repo, by) => {
      const found = await find(repo);
      if (found !== null) return found;
      await source.create(repo, by);
      return await opened.get(repo);
    },
    list: () => source.list(),
    probe: () => source.probe(),
    close: async () => {
      const repos = [...everOpened].map((reference) => reference.deref());
      await Promise.allSettled(repos.map((repo) => repo?.close()));
    },
  };
}
