/** Stores a finished container. Promise: "exists already" is success only where what is there is this very container. */
import type { Backend, Body } from '../backend/backend.ts';
import { DatamonError } from '../errors.ts';
import type { Key } from '../keys.ts';
import type { Trailer } from './container-format.ts';
import { readTail } from './container-reader.ts';

/** CONFLICT where the id is taken by other bytes. */
export async function storeContainer(
  backend: Backend,
  key: Key,
  body: Body,
  trailer: Trailer,
): Promise<void> {
  const { created } = await backend.putIfAbsent(key, body);
  if (created) return;
  // Sent again because an answer was lost: then it is the same container to the last byte.
  const there = await backend.stat(key);
  const same =
    there?.sizeBytes === body.sizeBytes &&
    (await readTail(backend, key, body.sizeBytes)).wholeDigest === trailer.wholeDigest;
  if (!same) {
    throw new DatamonError('CONFLICT', `the ${trailer.kind} id ${trailer.id} is taken`);
  }
}
