/**
 * One place of a store that has several. Promise: a place that lost its contents (a folder moved away, a disk not mounted) is
 * UNAVAILABLE; it is never taken for an empty store, and nothing written beside the loss is acknowledged.
 *
 * "Absent", "nothing more" and "stored" are believed only while the mark, an object every member has for ever, is there.
 */
import { DatamonError, hasCode } from '../errors.ts';
import type { Key } from '../keys.ts';
import type { Backend } from './backend.ts';

export interface PresentOptions {
  readonly url: string;
  /** Called when first needed, and again after it failed. */
  readonly open: () => Promise<Backend>;
  readonly mark: Key;
}

export function createPresentBackend({ url, open, mark }: PresentOptions): Backend {
  let opened: Promise<Backend> | null = null;
  const inner = (): Promise<Backend> => {
    opened ??= open().catch((error: unknown) => {
      opened = null;
      throw error;
    });
    return opened;
  };
  const checkMark = async (backend: Backend): Promise<void> => {
    if ((await backend.stat(mark)) !== null) return;
    throw new DatamonError('UNAVAILABLE', `${url} does not hold its store any more`, {
      hint: 'Is it mounted? If it is lost for good: datamon replicate --promote <the URL of a replica>',
    });
  };
  /** Marked before, so that nothing is made where the store is gone, and after, so that nothing is acknowledged there. */
  const change = async <T>(work: (backend: Backend) => Promise<T>): Promise<T> => {
    const backend = await inner();
    await checkMark(backend);
    const outcome = await work(backend);
    await checkMark(backend);
    return outcome;
  };
  return {
    url,
    putIfAbsent: (key, body) => change((backend) => backend.putIfAbsent(key, body)),
    async *get(key, range) {
      const backend = await inner();
      try {
        yield* backend.get(key, range);
      } catch (error) {
        if (hasCode(error, 'NOT_FOUND')) await checkMark(backend);
        throw error;
      }
    },
    async stat(key) {
      const backend = await inner();
      const found = await backend.stat(key);
      if (found === null) await checkMark(backend);
      return found;
    },
    async *list(prefix, after) {
      const backend = await inner();
      yield* backend.list(prefix, after);
      await checkMark(backend);
    },
    remove: (key) => change((backend) => backend.remove(key)),
    async now() {
      const backend = await inner();
      await checkMark(backend);
      return backend.now();
    },
  };
}
