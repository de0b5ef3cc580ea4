/** One repo's blobs and pages straight on a backend: BlobStore, PageStore and Ingest over one index and one committer. */
import type { Backend } from '../backend/backend.ts';
import type { Digest } from '../digest.ts';
import type { ContainerId, Key, RepoName } from '../keys.ts';
import { type Random, secureRandom } from '../random.ts';
import { BatchWriter } from './batch-writer.ts';
import { BlobReader } from './blob-reader.ts';
import type { BlobStore, PageStore } from './blob-store.ts';
import { BlobWriter } from './blob-writer.ts';
import { createChunker } from './chunker.ts';
import { Committer } from './committer.ts';
import { Condemned } from './condemned.ts';
import { createContainers } from './containers.ts';
import { DirectIngest } from './direct-ingest.ts';
import { DirectPageStore } from './direct-page-store.ts';
import { Holdings } from './holdings.ts';
import type { Ingest } from './ingest.ts';
import { KnownChunks } from './known-chunks.ts';
import { Merger } from './merger.ts';
import type { PoolParameters } from './pool.ts';
import { Resumption } from './resumption.ts';
import { type FoundRecord, SegmentIndex } from './segment-index.ts';
import type { PublisherOptions } from './segment-publisher.ts';
import { Touch } from './touch.ts';
import type { UploadJournal } from './upload-journal.ts';

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
  /** Remembers packs over interruptions; without one an interrupted put begins anew. */
  readonly journal?: UploadJournal;
  /** Makes a cache below forget an object; true where it had some of it. */
  readonly evict?: (key: Key) => Promise<boolean>;
  /** Where packs end; tests choose it small. */
  readonly packSizeMaxBytes?: number;
  /** Calls `run` after `delayMs`; a timer unless told otherwise. */
  readonly schedule?: (delayMs: number, run: () => void) => void;
  /** As `SegmentIndexOptions` has it. */
  readonly elapsedMs?: () => number;
}

export interface DirectStores {
  readonly blobs: BlobStore;
  readonly pages: PageStore;
  readonly ingest: Ingest;
  /** Whether a policy lets unreferenced files of this repo go, as of now. */
  isCollected(): Promise<boolean>;
  /** Waits for what is in flight and frees temp files. */
  close(): Promise<void>;
}

/** What the stores are made of; collection and repair work on these. */
export interface DirectParts extends PublisherOptions {
  readonly condemned: Condemned;
  readonly holdings: Holdings;
  readonly merger: Merger;
  readonly committer: Committer;
  readonly known: KnownChunks;
  readonly reader: BlobReader;
  readonly writer: BlobWriter;
}

export async function openDirectParts(options: DirectStoreOptions): Promise<DirectParts> {
  const { backend, repo, pool, spoolDir } = options;
  const random = options.random ?? secureRandom;
  const schedule = options.schedule ?? startTimer;
  const { evict, elapsedMs } = options;
  const places = { backend, repo, pool: pool.pool };
  const containers = createContainers({ ...places, ...(evict && { evict }) });
  const index = new SegmentIndex({ backend, repo, containers, ...(elapsedMs && { elapsedMs }) });
  const condemned = new Condemned(backend, pool.pool, random);
  const holdings = new Holdings({ backend, containers, condemned });
  const { packSizeMaxBytes } = options;
  const base = {
    ...{ backend, containers, index, condemned, holdings, spoolDir, random },
    ...(packSizeMaxBytes !== undefined && { packSizeMaxBytes }),
  };
  const merger = new Merger(base);
  const known = new KnownChunks(base);
  const { journal } = options;
  const resumption = journal === undefined ? null : new Resumption({ ...base, journal, known });
  const onPublished = async (packs: ReadonlySet<ContainerId>): Promise<void> => {
    merger.start();
    await resumption?.recorded(packs);
  };
  const committer = new Committer({ ...base, schedule, onPublished });
  const reader = new BlobReader(base);
  const chunker = createChunker(pool);
  const touch = new Touch({ ...base, repo, committer });
  const writer = new BlobWriter({ ...base, chunker, known, committer, resumption, touch });
  await condemned.look();
  return { ...base, merger, committer, known, reader, writer };
}

export async function openDirectStores(options: DirectStoreOptions): Promise<DirectStores> {
  return storesOf(await openDirectParts(options), options);
}

/** The ports over parts that are open. */
export function storesOf(parts: DirectParts, options: DirectStoreOptions): DirectStores {
  const { index, holdings, condemned, merger, committer, reader, writer } = parts;
  const schedule = options.schedule ?? startTimer;
  const blobs: BlobStore = {
    put: (source, put) => writer.put(source, put),
    putMany: (sources, put = {}) =>
      new BatchWriter({ writer, committer, schedule }, put).run(sources),
    get: (oid, range) => reader.read(oid, 'blob', range),
    async has(oids, { broken = 'absent' } = {}) {
      const found = await index.find(oids, 'blob');
      if (broken === 'absent') return sizesOf(await writer.counted(found));
      return sizesOf(await holdings.listedOf(found.values()));
    },
  };
  const pages = new DirectPageStore(parts);
  const { childrenOf } = options;
  const ingest = new DirectIngest({ ...parts, pages, childrenOf });
  const close = async (): Promise<void> => {
    await committer.settled();
    await merger.settled();
  };
  const isCollected = async (): Promise<boolean> => {
    await condemned.look();
    return condemned.policyOf(options.repo).unreferencedDays !== null;
  };
  return { blobs, pages, ingest, isCollected, close };
}

const sizesOf = (records: readonly FoundRecord[]): ReadonlyMap<Digest, number> =>
  new Map(records.map(({ oid, sizeBytes }) => [oid, sizeBytes]));

function startTimer(delayMs: number, run: () => void): void {
  setTimeout(run, delayMs);
}
