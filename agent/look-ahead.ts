/**
 * Uploads small objects before git-lfs asks for them, many to a pack, because it asks for one and waits. Only objects
 * announced exactly, only where there are several; whatever goes wrong here, the object is uploaded alone when asked for.
 */
import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { BlobSource, BlobStore } from '../core/cas/blob-store.ts';
import type { Digest } from '../core/digest.ts';
import type { SizedOid } from '../core/meta/api-wire.ts';
import { openFileSource } from './file-source.ts';
import type { Log } from './log-file.ts';
import type { UploadRequest } from './messages.ts';
import type { BatchAccess } from './routes.ts';

/** Larger objects fill a pack by themselves. */
export const SMALL_SIZE_MAX_BYTES = 1024 * 1024;
const OBJECT_COUNT_MAX = 200_000;

export interface LookAheadOptions {
  readonly announced: (batch: BatchAccess | null) => Promise<readonly SizedOid[]>;
  readonly signal: AbortSignal;
  readonly log: Log;
}

export interface LookAheadRequest {
  readonly request: UploadRequest;
  readonly blobs: BlobStore;
  readonly batch: BatchAccess | null;
}

export interface LookAhead {
  /** True: the object is durable already. False: upload it now. Starts the work ahead when a new set is met. */
  has(request: LookAheadRequest): Promise<boolean>;
}

/** What became of the objects of one set. */
type Outcomes = ReadonlyMap<Digest, Promise<boolean>>;

export function createLookAhead(options: LookAheadOptions): LookAhead {
  const sets = new Map<string, Promise<Outcomes>>();
  return {
    has: async ({ request, blobs, batch }) => {
      const key = batch?.token ?? '';
      const set = sets.get(key) ?? start(options, { request, blobs, batch });
      sets.set(key, set);
      return (await (await set).get(request.oid)) ?? false;
    },
  };
}

/** Never rejects. */
async function start(options: LookAheadOptions, first: LookAheadRequest): Promise<Outcomes> {
  try {
    const sources = await smallSources(options, first);
    if (sources.length < 2) return new Map();
    options.log(`${sources.length} small objects ahead of their requests`);
    return upload(options, first.blobs, sources);
  } catch (error) {
    options.log(`nothing ahead: ${(error as Error).message}`);
    return new Map();
  }
}

/** Announced, small, in the local LFS store, and not yet in the repo. */
async function smallSources(
  { announced }: LookAheadOptions,
  { request, blobs, batch }: LookAheadRequest,
): Promise<readonly BlobSource[]> {
  const objects = objectsFolder(request);
  if (objects === null) return [];
  const members = (await announced(batch)).slice(0, OBJECT_COUNT_MAX);
  const small = new Map(
    members
      .filter(({ size }) => size > 0 && size <= SMALL_SIZE_MAX_BYTES)
      .map(({ oid, size }) => [oid, size] as const),
  );
  const held = await blobs.has([...small.keys()]);
  const sources: BlobSource[] = [];
  for (const [oid, sizeBytes] of small) {
    const path = join(objects, oid.slice(0, 2), oid.slice(2, 4), oid);
    const found = held.has(oid) ? null : await stat(path).catch(() => null);
    if (found?.isFile() && found.size === sizeBytes)
      sources.push(lazySource({ oid, sizeBytes, path }));
  }
  return sources;
}

/** The folder of all objects, told by where this one lies; null where it lies elsewhere. */
function objectsFolder({ path, oid }: UploadRequest): string | null {
  const objects = dirname(dirname(dirname(path)));
  return path === join(objects, oid.slice(0, 2), oid.slice(2, 4), oid) ? objects : null;
}

/** Opens its file only when it is read: a set may have more members than a process may have files. */
function lazySource(file: {
  readonly oid: Digest;
  readonly sizeBytes: number;
  readonly path: string;
}): BlobSource {
  return {
    oid: file.oid,
    sizeBytes: file.sizeBytes,
    label: file.path,
    async *open() {
      const source = await openFileSource(file);
      try {
        yield* source.open();
      } finally {
        await source.close();
      }
    },
  };
}

function upload(
  { signal, log }: LookAheadOptions,
  blobs: BlobStore,
  sources: readonly BlobSource[],
): Outcomes {
  const settle = new Map<Digest, (isDone: boolean) => void>();
  const outcomes = new Map(
    sources.map(({ oid }) => [oid, new Promise<boolean>((resolve) => settle.set(oid, resolve))]),
  );
  const work = async (): Promise<void> => {
    for await (const outcome of blobs.putMany(sources, { signal })) {
      settle.get(outcome.oid)?.('receipt' in outcome);
    }
  };
  void work()
    .catch((error: unknown) => log(`ahead: ${(error as Error).message}`))
    .finally(() => {
      for (const resolve of settle.values()) resolve(false);
    });
  return outcomes;
}
