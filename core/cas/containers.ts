/** The containers of one repo and its pool: how they are named, where they lie, and their tables, cached within a budget. */
import type { Backend } from '../backend/backend.ts';
import { type Digest, digestToBytes } from '../digest.ts';
import { hasCode } from '../errors.ts';
import {
  type ContainerId,
  type Key,
  type PoolName,
  packKey,
  type RepoName,
  segmentKey,
} from '../keys.ts';
import { type BoundedCache, createBoundedCache } from './bounded-cache.ts';
import type { ContainerKind } from './container-format.ts';
import { type ContainerTables, readTables } from './container-reader.ts';

/** What a segment says about a container its runs lie in. */
export interface ContainerRef {
  readonly kind: ContainerKind;
  readonly id: ContainerId;
  /** Of a segment; 0 for a pack. */
  readonly tier: number;
  readonly tablesOffset: number;
  readonly tablesLength: number;
  readonly sizeBytes: number;
  /** Sampled chunk digests, 32 bytes each. */
  readonly samples: Buffer;
}

export interface Containers {
  keyOf(ref: Pick<ContainerRef, 'kind' | 'id' | 'tier'>): Key;
  tables(ref: ContainerRef): Promise<ContainerTables>;
  /** The tables if they are in memory. */
  peek(ref: ContainerRef): ContainerTables | undefined;
  /** Tables that were just written need no reading. */
  remember(ref: ContainerRef, tables: ContainerTables): void;
  /** After wrong bytes: true where some of this container were cached, so that reading it again asks the store. */
  forgetCached(ref: ContainerRef): Promise<boolean>;
  /** Tables read from the store so far. */
  readonly loadCount: number;
}

/** Digests with a first byte below this are sampled: 1 in 64. */
const SAMPLED_BELOW = 4;

export const isSampled = (digest: Digest): boolean =>
  Number.parseInt(digest.slice(0, 2), 16) < SAMPLED_BELOW;

/** How a segment names the container that has these tables. */
export function refOf(tables: ContainerTables, tier: number): ContainerRef {
  const { trailer, frames, sizeBytes } = tables;
  const { kind, id, tablesOffset, tablesLength } = trailer;
  const sampled: Buffer[] = [];
  for (let index = 0; index < frames.count; index += 1) {
    const frame = frames.frame(index);
    if (frame.kind === 'chunk' && isSampled(frame.digest))
      sampled.push(digestToBytes(frame.digest));
  }
  const samples = Buffer.concat(sampled);
  return { kind, id, tier, tablesOffset, tablesLength, sizeBytes, samples };
}

export const TABLES_BUDGET_BYTES = 64 * 1024 * 1024;

export interface ContainersOptions {
  readonly backend: Backend;
  readonly repo: RepoName;
  readonly pool: PoolName;
  readonly budgetBytes?: number;
  /** Makes a cache below forget an object; true where it had some of it. */
  readonly evict?: (key: Key) => Promise<boolean>;
}

export function createContainers(options: ContainersOptions): Containers {
  const { backend, repo, pool } = options;
  const refs = new Map<ContainerId, ContainerRef>();
  let loadCount = 0;

  const keyOf: Containers['keyOf'] = ({ kind, id, tier }) =>
    kind === 'pack' ? packKey(pool, id) : segmentKey(repo, tier, id);

  async function load(id: ContainerId): Promise<ContainerTables> {
    const ref = refs.get(id) as ContainerRef;
    loadCount += 1;
    const hint = ref.tablesLength > 0 ? ref : undefined;
    const read = (): Promise<ContainerTables> =>
      readTables(backend, keyOf(ref), ref, ref.sizeBytes, hint);
    try {
      return await read();
    } catch (error) {
      if (!hasCode(error, 'CORRUPT') || !(await forgetCached(ref))) throw error;
      return await read();
    }
  }

  const forgetCached: Containers['forgetCached'] = async (ref) => {
    const { whole, ...tables } = cache.peek(ref.id) ?? {};
    if (whole !== undefined) cache.set(ref.id, tables as ContainerTables);
    const wasBelow = (await options.evict?.(keyOf(ref))) ?? false;
    return wasBelow || whole !== undefined;
  };

  const cache: BoundedCache<ContainerId, ContainerTables> = createBoundedCache({
    budgetBytes: options.budgetBytes ?? TABLES_BUDGET_BYTES,
    load,
    weigh: ({ bytes, frames, whole }) => bytes.length + frames.heldBytes + (whole?.length ?? 0),
  });

  return {
    keyOf,
    async tables(ref) {
      refs.set(ref.id, ref);
      try {
        return await cache.get(ref.id);
      } finally {
        refs.delete(ref.id);
      }
    },
    peek: (ref) => cache.peek(ref.id),
    remember: (ref, tables) => cache.set(ref.id, tables),
    forgetCached,
    get loadCount() {
      return loadCount;
    },
  };
}
