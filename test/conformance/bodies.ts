/** Keys, bodies and readings that conformance checks share. */
import type { Backend, Body, ByteRange } from '../../core/backend/backend.ts';
import { bytesBody } from '../../core/backend/backend.ts';
import { collect } from '../../core/bytes.ts';
import type { Key } from '../../core/keys.ts';

export const READ_LIMIT_BYTES = 64 * 1024 * 1024;

/** A key as written, valid or not: what is no key is the backend's to refuse. */
export const asKey = (text: string): Key => text as Key;

export const textBody = (text: string): Body => bytesBody(Buffer.from(text));

/** A body that yields `parts` whatever it announces. */
export const bodyOf = (sizeBytes: number, ...parts: readonly string[]): Body => ({
  sizeBytes,
  async *open() {
    for (const part of parts) yield Buffer.from(part);
  },
});

export async function put(backend: Backend, ...keys: readonly string[]): Promise<void> {
  for (const key of keys) await backend.putIfAbsent(asKey(key), textBody(key));
}

export const read = (backend: Backend, key: string, range?: ByteRange): Promise<Buffer> =>
  collect(backend.get(asKey(key), range), READ_LIMIT_BYTES);

export async function readText(backend: Backend, key: string, range?: ByteRange): Promise<string> {
  return (await read(backend, key, range)).toString();
}

export async function listed(backend: Backend, prefix: string, after?: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of backend.list(prefix, after)) keys.push(key);
  return keys;
}
