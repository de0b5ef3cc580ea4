/** Looks into a store behind the programs' back, and damages it: objects are taken away or put back changed. */
import type { Backend } from '../../../core/backend/backend.ts';
import { bytesBody } from '../../../core/backend/backend.ts';
import { collect } from '../../../core/bytes.ts';
import { type Digest, digestOf } from '../../../core/digest.ts';
import { type Json, openSealedJson, sealJson } from '../../../core/json.ts';
import { formatLog, type Key } from '../../../core/keys.ts';

const OBJECT_SIZE_MAX_BYTES = 128 * 1024 * 1024;

const read = (store: Backend, key: Key): Promise<Buffer> =>
  collect(store.get(key), OBJECT_SIZE_MAX_BYTES);

/** Every object by its key, with its digest: two of these are equal where nothing changed. */
export async function objectsOf(store: Backend): Promise<Readonly<Record<string, Digest>>> {
  const found: Record<string, Digest> = {};
  for await (const { key } of store.list('')) found[key] = digestOf(await read(store, key));
  return found;
}

export async function bytesOf(store: Backend): Promise<number> {
  let sum = 0;
  for await (const { sizeBytes } of store.list('')) sum += sizeBytes;
  return sum;
}

export async function largestPack(store: Backend): Promise<Key> {
  let largest = { key: '' as Key, sizeBytes: -1 };
  for await (const object of store.list('pools/')) {
    if (object.key.includes('/packs/') && object.sizeBytes > largest.sizeBytes) largest = object;
  }
  return largest.key;
}

async function replace(store: Backend, key: Key, bytes: Uint8Array): Promise<void> {
  await store.remove(key);
  await store.putIfAbsent(key, bytesBody(bytes));
}

/** Has `edit` change an object's bytes; gives back how to undo it. */
export async function change(
  store: Backend,
  key: Key,
  edit: (bytes: Buffer) => void,
): Promise<() => Promise<void>> {
  const bytes = await read(store, key);
  const changed = Buffer.from(bytes);
  edit(changed);
  await replace(store, key, changed);
  return () => replace(store, key, bytes);
}

/** Flips the lowest bit of one byte; gives back how to undo it. */
export const flipBit = (store: Backend, key: Key, at: number): Promise<() => Promise<void>> =>
  change(store, key, (bytes) => bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at));

/** Takes an object away; gives back how to undo it. */
export async function takeAway(store: Backend, key: Key): Promise<() => Promise<void>> {
  const bytes = await read(store, key);
  await store.remove(key);
  return () => replace(store, key, bytes);
}

/** Rewrites the newest entry of the format log, as a later datamon would have; gives back how to undo it. */
export async function claimFormat(store: Backend, event: Json): Promise<() => Promise<void>> {
  for await (const { key } of store.list(formatLog)) {
    const bytes = await read(store, key);
    const entry = openSealedJson(bytes, 'the format') as { [key: string]: Json };
    await replace(store, key, sealJson({ ...entry, event }));
    return () => replace(store, key, bytes);
  }
  throw new Error('there is no store');
}
