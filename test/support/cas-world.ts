/** A repo's blobs and pages on a backend in memory, for tests of the content store. */
import type { Backend } from '../../core/backend/backend.ts';
import { createMemoryBackend } from '../../core/backend/memory.ts';
import { collect } from '../../core/bytes.ts';
import {
  type DirectStoreOptions,
  type DirectStores,
  openDirectStores,
} from '../../core/cas/direct-store.ts';
import type { PoolParameters } from '../../core/cas/pool.ts';
import type { Digest } from '../../core/digest.ts';
import { type PoolName, parseRepoName, type RepoName } from '../../core/keys.ts';
import { makeTempDir } from './temp-dir.ts';

export { blobOf } from './blob-of.ts';

export const REPO: RepoName = parseRepoName('acme/robots');
export const POOL: PoolParameters = {
  pool: 'acme' as PoolName,
  seed: '5eed'.repeat(16),
  minBytes: 16 * 1024,
  averageBytes: 64 * 1024,
  maxBytes: 256 * 1024,
};
/** Small chunks, so that small files have many. */
export const TINY_POOL: PoolParameters = {
  ...POOL,
  minBytes: 64,
  averageBytes: 256,
  maxBytes: 1024,
};

export interface CasWorld {
  readonly backend: Backend;
  readonly stores: DirectStores;
  readonly spoolDir: string;
  /** Opens the same repo again, as another process would. */
  reopen(options?: Partial<DirectStoreOptions>): Promise<DirectStores>;
}

export async function makeCasWorld(options: Partial<DirectStoreOptions> = {}): Promise<CasWorld> {
  const backend = options.backend ?? createMemoryBackend();
  const spoolDir = options.spoolDir ?? (await makeTempDir());
  const reopen = (more: Partial<DirectStoreOptions> = {}): Promise<DirectStores> =>
    openDirectStores({
      repo: REPO,
      pool: POOL,
      childrenOf: () => [],
      ...options,
      backend,
      spoolDir,
      ...more,
    });
  return { backend, spoolDir, stores: await reopen(), reopen };
}

export async function readBlob(
  stores: DirectStores,
  oid: Digest,
  range?: { readonly start: number; readonly end?: number },
): Promise<Buffer> {
  return collect(stores.blobs.get(oid, range), Number.MAX_SAFE_INTEGER);
}

/** Keys and sizes below a prefix. */
export async function listed(
  backend: Backend,
  prefix: string,
): Promise<{ readonly key: string; readonly sizeBytes: number }[]> {
  const objects: { key: string; sizeBytes: number }[] = [];
  for await (const { key, sizeBytes } of backend.list(prefix)) objects.push({ key, sizeBytes });
  return objects;
}

export async function storeSize(backend: Backend): Promise<number> {
  return (await listed(backend, '')).reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}
