/**
 * The store as a server's callers meet it. That the store turns the server away is between the two: a caller who was told
 * "unauthenticated" would log in again, to no avail, and the store's own words name places that are not the caller's business.
 */
import type { Backend } from '../core/backend/backend.ts';
import { DatamonError, hasCode } from '../core/errors.ts';

export function createOwnStore(backend: Backend): Backend {
  const told = async <T>(call: Promise<T>): Promise<T> => {
    try {
      return await call;
    } catch (error) {
      throw retold(error);
    }
  };
  return {
    url: backend.url,
    putIfAbsent: (key, body) => told(backend.putIfAbsent(key, body)),
    get: (key, range) => toldOf(backend.get(key, range)),
    stat: (key) => told(backend.stat(key)),
    list: (prefix, after) => toldOf(backend.list(prefix, after)),
    remove: (key) => told(backend.remove(key)),
    now: () => told(backend.now()),
  };
}

async function* toldOf<T>(items: AsyncIterable<T>): AsyncIterable<T> {
  try {
    yield* items;
  } catch (error) {
    throw retold(error);
  }
}

function retold(cause: unknown): unknown {
  if (hasCode(cause, 'UNAUTHENTICATED')) {
    return new DatamonError('UNAVAILABLE', cause.message, { cause });
  }
  if (hasCode(cause, 'FORBIDDEN')) {
    return new DatamonError('FORBIDDEN', 'the server may not do that in its store', {
      cause,
      hint: 'Whoever runs the server gives it the permissions: datamon doctor',
    });
  }
  return cause;
}
