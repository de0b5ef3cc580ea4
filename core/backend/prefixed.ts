/** A store below a prefix of another: keys go in and come out without it. */
import { DatamonError } from '../errors.ts';
import { type Key, parseKey } from '../keys.ts';
import type { Backend } from './backend.ts';
import { passReplicated } from './healing.ts';

/** `prefix` is key segments ending in a slash: `teams/vision/`. */
export function createPrefixedBackend(backend: Backend, prefix: string): Backend {
  if (!prefix.endsWith('/')) {
    throw new DatamonError(
      'INVALID',
      `the prefix ${JSON.stringify(prefix)} does not end in a slash`,
    );
  }
  const root = `${parseKey(prefix.slice(0, -1))}/`;
  // The key is checked before it is joined, so that none leaves the prefix.
  const join = (key: Key): Key => parseKey(`${root}${parseKey(key)}`);
  const split = (key: Key): Key => key.slice(root.length) as Key;
  const prefixed: Backend = {
    url: `${backend.url.replace(/\/$/, '')}/${root.slice(0, -1)}`,
    putIfAbsent: async (key, body) => backend.putIfAbsent(join(key), body),
    async *get(key, range) {
      yield* backend.get(join(key), range);
    },
    async stat(key) {
      const found = await backend.stat(join(key));
      return found === null ? null : { ...found, key };
    },
    async *list(keyPrefix, after) {
      const from = after === undefined ? undefined : `${root}${after}`;
      for await (const found of backend.list(`${root}${keyPrefix}`, from)) {
        yield { ...found, key: split(found.key) };
      }
    },
    remove: async (key) => backend.remove(join(key)),
    now: () => backend.now(),
  };
  return passReplicated(backend, prefixed, join);
}
