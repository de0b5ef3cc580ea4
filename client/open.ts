/** A repo by its URL: straight on its store, or through its server. Callers get the port and need not know which. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isBucketUrl, openBackend } from '../backends/open.ts';
import type { Backend } from '../core/backend/backend.ts';
import { createProvenBackend, proveCapabilities } from '../core/backend/capabilities.ts';
import { createRetryingBackend, type RetryPolicy } from '../core/backend/retrying.ts';
import { DatamonError } from '../core/errors.ts';
import { parseRepoList, type RepoSummary } from '../core/meta/api-wire.ts';
import type { Repository } from '../core/meta/repository.ts';
import { openRepository } from '../core/open-repository.ts';
import { type Random, secureRandom } from '../core/random.ts';
import { listRepos, openStore } from '../core/store.ts';
import { ApiClient, type ApiOptions } from './api-client.ts';
import { discover } from './discovery.ts';
import { RemoteRepository } from './remote-repository.ts';
import { RepoClient } from './repo-client.ts';
import { parseEndpoint, parseRepoUrl, type ServerRepoUrl, type StoreRepoUrl } from './repo-url.ts';
import { FIRST_CONTACT_POLICY, REAL_PACE } from './retry.ts';
import { NO_TOKENS, Session, type TokenSource } from './session.ts';

export interface OpenOptions {
  readonly token?: TokenSource;
  /** For temp files. Default: a private folder that `close` removes. */
  readonly spoolDir?: string;
  /** Makes the repo (and on a store the store) where it is not there yet. Default: NOT_FOUND then. */
  readonly create?: { readonly by: string; readonly remote: string | null };
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
  const spool = await openSpool(options.spoolDir);
  try {
    return parsed.kind === 'store'
      ? await openDirect(parsed, options, spool)
      : await openRemote(parsed, options, spool);
  } catch (error) {
    await spool.remove();
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
  const { origin } = endpoint;
  const api = apiOf(origin, options);
  const call = {
    method: 'GET',
    url: `${origin}/api/v1/repos`,
    policy: FIRST_CONTACT_POLICY,
  } as const;
  return (await api.json(call, parseRepoList)).repos;
}

async function openRemote(
  url: ServerRepoUrl,
  options: OpenOptions,
  spool: Spool,
): Promise<Repository> {
  const api = apiOf(url.url, options);
  const { base } = await discover(api, url);
  const repo = new RepoClient(api, base, url.repo);
  let described = await repo.describe();
  if (described.info === null) {
    if (options.create === undefined) {
      throw new DatamonError('NOT_FOUND', `there is no repo ${url.repo} on ${url.origin} yet`, {
        hint: 'It is made by the first push into it.',
      });
    }
    described = await repo.create(options.create.remote);
  }
  return new RemoteRepository(repo, {
    spoolDir: spool.dir,
    random: options.random ?? secureRandom,
    ...(options.packSizeMaxBytes !== undefined && { packSizeMaxBytes: options.packSizeMaxBytes }),
    webUrl: described.webUrl,
    onClose: spool.remove,
  });
}

/** How a server is called: with the caller's tokens, waits and signal. */
export function apiOf(
  url: string,
  options: Pick<OpenOptions, 'token' | 'signal' | 'api'>,
): ApiClient {
  return new ApiClient(new Session(url, options.token ?? NO_TOKENS), {
    ...options.api,
    ...(options.signal && { signal: options.signal }),
  });
}

async function openDirect(
  url: StoreRepoUrl,
  options: OpenOptions,
  spool: Spool,
): Promise<Repository> {
  const backend = await openStoreBackend(url.storeUrl, options);
  const repository = await openRepository(backend, url.repo, {
    spoolDir: spool.dir,
    random: options.random ?? secureRandom,
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

export interface StoreAccess {
  readonly signal?: AbortSignal | undefined;
  /** How patient to be with the store. */
  readonly policy?: RetryPolicy;
}

/**
 * A store's backend as every program opens it: what may pass is tried again, and a service is proven to keep its promises
 * before a store is made there. Proving is outermost, so that a failure that passes is no broken promise.
 */
export async function openStoreBackend(
  storeUrl: string,
  { signal, policy }: StoreAccess = {},
): Promise<Backend> {
  const world = {
    nowMs: () => performance.now(),
    sleep: (ms: number) => sleepUnlessStopped(ms, signal),
    random: Math.random,
  };
  const retrying = createRetryingBackend(await openBackend(storeUrl), world, policy);
  return isBucketUrl(storeUrl) ? createProvenBackend(retrying, secureRandom) : retrying;
}

/** Proves at a service that it still keeps its promises. A folder is no service: its promises are the operating system's. */
export async function proveStore(storeUrl: string, backend: Backend): Promise<void> {
  if (isBucketUrl(storeUrl)) await proveCapabilities(backend, secureRandom);
}

async function sleepUnlessStopped(ms: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await REAL_PACE.sleep(ms, signal);
  } catch (cause) {
    throw new DatamonError('CANCELLED', 'stopped while waiting for the store', { cause });
  }
}

interface Spool {
  readonly dir: string;
  readonly remove: () => Promise<void>;
}

async function openSpool(given: string | undefined): Promise<Spool> {
  if (given !== undefined) return { dir: given, remove: () => Promise.resolve() };
  const dir = await mkdtemp(join(tmpdir(), 'datamon-'));
  return { dir, remove: () => rm(dir, { recursive: true, force: true }) };
}
