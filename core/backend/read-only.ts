/** A backend that can be read and not changed. */
import { DatamonError } from '../errors.ts';
import type { Backend } from './backend.ts';

/** FORBIDDEN on every put and remove. */
export function createReadOnlyBackend(backend: Backend): Backend {
  const refuse = async (doing: string): Promise<never> => {
    throw new DatamonError('FORBIDDEN', `cannot ${doing}: ${backend.url} was opened read-only`);
  };
  return {
    url: backend.url,
    putIfAbsent: (key) => refuse(`store ${key}`),
    get: (key, range) => backend.get(key, range),
    stat: (key) => backend.stat(key),
    list: (prefix, after) => backend.list(prefix, after),
    remove: (key) => refuse(`remove ${key}`),
    now: () => backend.now(),
  };
}
