/**
 * Proves at a store what everything else leans on: that creating is exclusive, that a list shows at once what was stored,
 * in the order of keys, and goes on after any key. Services that speak a cloud's protocol without keeping its promises
 * lose data silently; here they are refused by the name of what they lack.
 *
 * What it stores lies below `probe/`, which is no part of the store, and is removed again.
 */
import { collect } from '../bytes.ts';
import { DatamonError } from '../errors.ts';
import { formatLog, type Key, probeKey, probePrefix } from '../keys.ts';
import { type Random, randomHex } from '../random.ts';
import { type Backend, bytesBody } from './backend.ts';

const ID_SIZE_BYTES = 16;
/** In the order of their bytes; a walk over folders gives another one. */
const NAMES = ['a-b', 'a/b', 'a0'];

/** UNSUPPORTED names the promise that is not kept. */
export async function proveCapabilities(backend: Backend, random: Random): Promise<void> {
  const id = randomHex(random, ID_SIZE_BYTES);
  const keys = NAMES.map((name) => probeKey(id, name));
  try {
    // The last first, so that the order of a list is not that of creation.
    for (const key of keys.toReversed()) await backend.putIfAbsent(key, bodyOf('first'));
    await proveExclusive(backend, keys);
    await proveLists(backend, id, keys);
  } finally {
    // Who may create and not remove leaves a few bytes behind, which nobody reads.
    for (const key of keys) await backend.remove(key).catch(() => {});
  }
}

async function proveExclusive(backend: Backend, [key]: readonly Key[]): Promise<void> {
  if (key === undefined) return;
  const { created } = await backend.putIfAbsent(key, bodyOf('second'));
  const kept = (await collect(backend.get(key), 100)).toString();
  if (created || kept !== 'first') {
    throw broken(backend, 'exclusive creation', 'a second put of the same key is taken');
  }
}

async function proveLists(backend: Backend, id: string, keys: readonly Key[]): Promise<void> {
  const listed = await listAll(backend, id);
  if (keys.some((key) => !listed.includes(key))) {
    throw broken(backend, 'consistent lists', 'a list does not show what was just stored');
  }
  if (listed.join() !== keys.join()) {
    throw broken(backend, 'ordered lists', 'a list is not in the order of the bytes of keys');
  }
  const [first, ...others] = keys;
  if ((await listAll(backend, id, first)).join() !== others.join()) {
    throw broken(backend, 'lists that go on', 'a list after a key does not begin behind it');
  }
}

async function listAll(backend: Backend, id: string, after?: string): Promise<readonly Key[]> {
  const keys: Key[] = [];
  for await (const { key } of backend.list(probePrefix(id), after)) keys.push(key);
  return keys;
}

const bodyOf = (text: string) => bytesBody(Buffer.from(text));

const broken = ({ url }: Backend, capability: string, why: string): DatamonError =>
  new DatamonError('UNSUPPORTED', `${url} lacks ${capability}: ${why}`, {
    hint: 'datamon would lose data there. Use a service that keeps this promise, or a newer version of this one.',
  });

/** A backend that is proven before the first object of a store is made in it, and not again: a store is made once. */
export function createProvenBackend(backend: Backend, random: Random): Backend {
  let proof: Promise<void> | null = null;
  return {
    ...backend,
    async putIfAbsent(key, body) {
      if (key.startsWith(formatLog)) {
        proof ??= proveCapabilities(backend, random);
        await proof;
      }
      return backend.putIfAbsent(key, body);
    },
  };
}
