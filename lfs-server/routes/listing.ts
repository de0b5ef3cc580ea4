/** Lists that a store yields bit by bit, cut to what an answer may hold. */
import { DatamonError } from '../../core/errors.ts';

/** More than this in one answer is not a list that anyone reads. */
export const LIST_COUNT_MAX = 100_000;

/** All of it. TOO_LARGE past the bound. */
export async function collectAsync<T>(source: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const each of source) {
    if (all.length >= LIST_COUNT_MAX) {
      throw new DatamonError('TOO_LARGE', `more than ${LIST_COUNT_MAX} entries in one list`);
    }
    all.push(each);
  }
  return all;
}

/** The first `limit`. */
export async function take<T>(source: AsyncIterable<T>, limit: number): Promise<T[]> {
  const taken: T[] = [];
  if (limit <= 0) return taken;
  for await (const each of source) {
    taken.push(each);
    if (taken.length >= limit) break;
  }
  return taken;
}
