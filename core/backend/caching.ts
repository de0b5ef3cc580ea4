/**
 * Keeps ranges of immutable objects near at hand. Promises: logs, lists and stats always come from the store; what the cache gives is
 * passed on as the store's bytes would be, so whoever verifies them above verifies these too, and `evict` makes the next read ask
 * the store. What was removed elsewhere may still be read for a while: it never changed.
 */
import type { ByteStream } from '../bytes.ts';
import type { Key } from '../keys.ts';
import type { Backend, ByteRange } from './backend.ts';
import { replicatedOf } from './healing.ts';
import { checkRange } from './range.ts';

/** Long ranges are kept in parts of this size, so that neither memory nor a file grows with them. */
export const CACHED_PART_SIZE_BYTES = 4 * 1024 * 1024;

/** Bytes by key and range. No call ever fails: what goes wrong is a miss. */
export interface RangeCache {
  /** Exactly what was kept for this range; shorter than it where the object ends before. */
  read(key: Key, start: number, end: number): Promise<Uint8Array | null>;
  keep(key: Key, range: Required<ByteRange>, bytes: readonly Uint8Array[]): Promise<void>;
  /** Forgets all ranges of an object; true where there were any. */
  evict(key: Key): Promise<boolean>;
}

export interface CachingOptions {
  readonly cache: RangeCache;
  /** Only objects that never change and are worth it. */
  readonly isCacheable: (key: Key) => boolean;
}

export interface CachingBackend extends Backend {
  /** To be called by who found wrong bytes; true where the next read may find others. */
  evict(key: Key): Promise<boolean>;
}

export function createCachingBackend(backend: Backend, options: CachingOptions): CachingBackend {
  const { cache, isCacheable } = options;
  const replicated = replicatedOf(backend);
  return {
    url: backend.url,
    putIfAbsent: (key, body) => backend.putIfAbsent(key, body),
    get: (key, range) => {
      const { start = 0, end } = range ?? {};
      const isPart = end !== undefined && end > start;
      if (!isPart || !isCacheable(key)) return backend.get(key, range);
      return cachedRange({ backend, cache, key }, { start, end });
    },
    stat: (key) => backend.stat(key),
    list: (prefix, after) => backend.list(prefix, after),
    async remove(key) {
      await backend.remove(key);
      await cache.evict(key);
    },
    now: () => backend.now(),
    evict: (key) => cache.evict(key),
    ...(replicated && {
      async heal(key: Key) {
        await cache.evict(key);
        return replicated.heal(key);
      },
      copies: (keys: readonly Key[]) => replicated.copies(keys),
    }),
  };
}

interface Reading {
  readonly backend: Backend;
  readonly cache: RangeCache;
  readonly key: Key;
}

async function* cachedRange(reading: Reading, range: Required<ByteRange>): ByteStream {
  checkRange(range, reading.key);
  const { start, end } = range;
  for (let at = start; at < end; at += CACHED_PART_SIZE_BYTES) {
    const partEnd = Math.min(end, at + CACHED_PART_SIZE_BYTES);
    const kept = await reading.cache.read(reading.key, at, partEnd);
    if (kept === null) {
      // One request for all the rest: what of it is kept further on is not worth another.
      yield* fromStore(reading, { start: at, end });
      return;
    }
    yield kept;
    if (kept.length < partEnd - at) return;
  }
}

/** Passes bytes on, having kept each part that they complete: who has all he wants does not ask again, and would leave the last part out. */
async function* fromStore(
  { backend, cache, key }: Reading,
  range: Required<ByteRange>,
): ByteStream {
  let part: Uint8Array[] = [];
  let start = range.start;
  let filled = 0;
  for await (const piece of backend.get(key, range)) {
    for (let bytes = piece; bytes.length > 0; ) {
      const end = Math.min(range.end, start + CACHED_PART_SIZE_BYTES);
      // A copy: a reader may overwrite what it was given.
      const taken = Buffer.from(bytes.subarray(0, end - start - filled));
      part.push(taken);
      filled += taken.length;
      bytes = bytes.subarray(taken.length);
      if (start + filled < end) continue;
      await cache.keep(key, { start, end }, part);
      part = [];
      start = end;
      filled = 0;
    }
    yield piece;
  }
  if (filled === 0) return;
  const end = Math.min(range.end, start + CACHED_PART_SIZE_BYTES);
  await cache.keep(key, { start, end }, part);
}
