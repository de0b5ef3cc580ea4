/** A backend in memory: the reference of what the port promises, and the store of tests and of `memory:` URLs. */

import { DatamonError } from '../errors.ts';
import { type Key, parseKey } from '../keys.ts';
import type { Backend, Body, ByteRange, ObjectInfo } from './backend.ts';
import { resolveRange } from './range.ts';
import { sized } from './sized.ts';

const READ_SIZE_BYTES = 256 * 1024;

export interface MemoryBackendOptions {
  readonly url?: string;
  /** The store's clock. */
  readonly now?: () => Date;
}

interface StoredObject {
  readonly bytes: Buffer;
  readonly createdAt: Date;
}

/** Objects live as long as the backend does. */
export function createMemoryBackend(options: MemoryBackendOptions = {}): Backend {
  const now = options.now ?? (() => new Date());
  const objects = new Map<Key, StoredObject>();
  const sorted: Key[] = [];

  return {
    url: options.url ?? 'memory:',
    async putIfAbsent(key, body) {
      parseKey(key);
      if (objects.has(key)) return { created: false };
      const bytes = await readBody(key, body);
      // Nothing is awaited between this look and the store, so of racing writers one wins.
      if (objects.has(key)) return { created: false };
      objects.set(key, { bytes, createdAt: now() });
      sorted.splice(firstAfter(sorted, key), 0, key);
      return { created: true };
    },
    async *get(key: Key, range?: ByteRange) {
      const found = objects.get(parseKey(key));
      if (found === undefined) throw new DatamonError('NOT_FOUND', `${key} is not in the store`);
      const { bytes } = found;
      const { start, end } = resolveRange(range, bytes.length, key);
      for (let at = start; at < end; at += READ_SIZE_BYTES) {
        yield Buffer.from(bytes.subarray(at, Math.min(end, at + READ_SIZE_BYTES)));
      }
    },
    async stat(key) {
      const found = objects.get(parseKey(key));
      return found === undefined ? null : infoOf(key, found);
    },
    async *list(prefix, after = '') {
      // Looked up anew for each key, so that objects may come and go meanwhile.
      let key = sorted[after < prefix ? firstFrom(sorted, prefix) : firstAfter(sorted, after)];
      while (key?.startsWith(prefix)) {
        const found = objects.get(key);
        if (found !== undefined) yield infoOf(key, found);
        key = sorted[firstAfter(sorted, key)];
      }
    },
    async remove(key) {
      parseKey(key);
      if (objects.delete(key)) sorted.splice(firstFrom(sorted, key), 1);
    },
    now: async () => now(),
  };
}

const infoOf = (key: Key, { bytes, createdAt }: StoredObject): ObjectInfo => ({
  key,
  sizeBytes: bytes.length,
  createdAt,
});

async function readBody(key: Key, body: Body): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of sized(key, body)) parts.push(Uint8Array.from(part));
  return Buffer.concat(parts, body.sizeBytes);
}

/** Index of the first key >= `text`. Keys are ASCII, so comparing code units compares bytes. */
function firstFrom(sorted: readonly string[], text: string): number {
  return partition(sorted, (key) => key < text);
}

/** Index of the first key > `text`. */
function firstAfter(sorted: readonly string[], text: string): number {
  return partition(sorted, (key) => key <= text);
}

/** Count of the leading keys that are `before`. */
function partition(sorted: readonly string[], before: (key: string) => boolean): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (before(sorted[middle] ?? '')) low = middle + 1;
    else high = middle;
  }
  return low;
}
