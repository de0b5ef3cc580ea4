/** A repo by its URL: straight on its store, or through its server. Callers get the port and need not know which. */
import { isBucketUrl } from '../backends/open.ts';
import type { Backend } from '../core/backend/backend.ts';
import { type CachingBackend, createCachingBackend } from '../core/backend/caching.ts';
import type { UploadJournal } from '../core/cas/upload-journal.ts';
import { isContainerKey, type RepoName } from '../core/keys.ts';
import type { RepoSummary } from '../core/meta/api-wire.ts';
import type { Repository } from '../core/meta/repository.ts';
import { type CreationSource, openRepository } from '../core/open-repository.ts';
import { type Random, secureRandom } from '../core/random.ts';
import { listRepos, openStore } from '../core/store.ts';
import type { ApiOptions } from './api-client.ts';
import type { CachePlace } from './cache-place.ts';
import { createDiskCache } from './disk-cache.ts';
import { openStoreBackend } from './open-store.ts';
import { parseEndpoint, parseRepoUrl, type StoreRepoUrl } from './repo-url.ts';
import type { TokenSource } from './session.ts';
import { openSpoolFolder, type SpoolFolder } from './spool-folder.ts';
import { openUploadJournal } from './upload-journal.ts';

export interface OpenOptions {
  readonly token?: TokenSource;
  /** For temp files. Default: a private folder that `close` removes. */
  readonly spoolDir?: string;
  /** Where packs of interrupted uploads are noted, of all repos. Default: nowhere, and such an upload begins anew. */
  readonly journalDir?: string;
  /** Asked where a store is far away: where to keep ranges of it, and how many bytes of them. Default: nowhere. */
  readonly cache?: () => Promise<CachePlace | null>;
  /** Makes the repo (and on a store the store) where it is not there yet. Default: NOT_FOUND then. */
  readonly create?: CreationSource;
  readonly random?: Random;
  /** Stops every call: CANCELLED. */
  readonly signal?: AbortSignal;
  /** Where packs end; tests choose it small. */
  readonly packSizeMaxBytes?: number;
  /** Waits, limits and retry notices of the HTTP client. */
  readonly api?: Omit<ApiOptions, 'signal'>;
}

/** Opens the repo at `url`. The caller closes it. */
export async function openRepositoryUrl(
  url: string,
  options: OpenOptions = {},
): Promise<Repository> {
  const parsed = parseRepoUrl(url);
  // Made while the store is asked.
  const spooling = openSpool(options.spoolDir);
  spooling.catch(() => {});
  try {
    if (parsed.kind === 'store') return await openDirect(parsed, options, spooling);
    const { openRemote } = await import('./open-remote.ts');
    const journal = journalOf(options, parsed.origin, parsed.repo);
    return await openRemote(parsed, { options, spool: await spooling, journal });
  } catch (error) {
    const spool = await spooling.catch(() => null);
    await spool?.remove();
    throw error;
  }
}

/** The repos of a store, or those of a server that the caller may read; `url` may also be that of one repo. */
export async function listRepositories(
  url: string,
  options: Pick<OpenOptions, 'token' | 'signal' | 'api'> = {},
): Promise<readonly RepoSummary[]> {
  const endpoint = parseEndpoint(url);
  if (endpoint.kind === 'store') {
    const store = await openStore(await openStoreBackend(endpoint.storeUrl, options));
    const repos: RepoSummary[] = [];
    for await (const { repo, info } of listRepos(store)) {
      repos.push({ repo, pool: info.pool, createdAt: info.createdAt });
    }
    return repos;
  }
  const { listRemote } = await import('./open-remote.ts');
  return await listRemote(endpoint.origin, options);
}

async function openDirect(
  url: StoreRepoUrl,
  options: OpenOptions,
  spooling: Promise<SpoolFolder>,
): Promise<Repository> {
  const store = await openStoreBackend(url.storeUrl, options);
  const cached = isBucketUrl(url.storeUrl) ? await cachingOf(store, options) : null;
  const spool = await spooling;
  const repository = await openRepository(cached ?? store, url.repo, {
    ...(cached && { evict: (key) => cached.evict(key) }),
    spoolDir: spool.dir,
    random: options.random ?? secureRandom,
    elapsedMs: () => performance.now(),
    ...(options.packSizeMaxBytes !== undefined && { packSizeMaxBytes: options.packSizeMaxBytes }),
    ...journalOf(options, url.storeUrl, url.repo),
    ...(options.create && { create: options.create }),
  });
  const close = async (): Promise<void> => {
    try {
      await repository.close();
    } finally {
      await spool.remove();
    }
  };
  return { ...repository, close };
}

/** Null where nothing is to be cached. */
export async function cachingOf(
  store: Backend,
  { cache, random = secureRandom }: Pick<OpenOptions, 'cache' | 'random'>,
): Promise<CachingBackend | null> {
  const place = (await cache?.()) ?? null;
  if (place === null || place.sizeMaxBytes === 0) return null;
  const nowMs = (): number => Date.now();
  return createCachingBackend(store, {
    cache: createDiskCache({ ...place, store: store.url, random, nowMs }),
    isCacheable: isContainerKey,
  });
}

function journalOf(
  { journalDir, random = secureRandom }: OpenOptions,
  store: string,
  repo: RepoName,
): { readonly journal?: UploadJournal } {
  if (journalDir === undefined) return {};
  const nowMs = (): number => Date.now();
  return { journal: openUploadJournal({ folder: journalDir, store, repo, random, nowMs }) };
}

/** A given folder is the caller's to remove. */
async function openSpool(given: string | undefined): Promise<SpoolFolder> {
  return given === undefined ? openSpoolFolder() : { dir: given, remove: () => Promise.resolve() };
}
