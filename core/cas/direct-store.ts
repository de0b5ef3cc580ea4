/** One repo's blobs and pages straight on a backend: BlobStore, PageStore and Ingest over one index and one committer. */
import type { Backend } from '../backend/backend.ts';
import type { Digest } from '../digest.ts';
import { DatamonError } from '../errors.ts';
import type { RepoName } from '../keys.ts';
import type { Random } from '../random.ts';
import type { BlobStore, PageStore } from './blob-store.ts';
import type { Ingest } from './ingest.ts';
import type { PoolParameters } from './pool.ts';

export interface DirectStoreOptions {
  readonly backend: Backend;
  readonly repo: RepoName;
  readonly pool: PoolParameters;
  /** For temp files; made when first needed. */
  readonly spoolDir: string;
  /** `secureRandom` unless told otherwise. */
  readonly random?: Random;
  /** Digests of the pages that a page of level ≥ 1 lists; none for level 0. Throws INVALID for what is no page. */
  readonly childrenOf: (page: Uint8Array) => readonly Digest[];
}

export interface DirectStores {
  readonly blobs: BlobStore;
  readonly pages: PageStore;
  readonly ingest: Ingest;
  /** Waits for what is in flight and frees temp files. */
  close(): Promise<void>;
}

export async function openDirectStores(_options: DirectStoreOptions): Promise<DirectStores> {
  throw new DatamonError('UNSUPPORTED', 'not built yet');
}
