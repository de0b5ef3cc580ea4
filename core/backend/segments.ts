/** Names below a prefix, found by skipping: one list call per name, however many keys stand below it. */
import { firstSegment } from '../keys.ts';
import type { Backend } from './backend.ts';

/** Escaped segments that follow `prefix` (which ends in a slash), ascending by key order; each once. */
export async function* listSegments(backend: Backend, prefix: string): AsyncIterable<string> {
  let after = prefix;
  for (;;) {
    const key = await firstKey(backend, prefix, after);
    if (key === null) return;
    const { segment, skipTo } = firstSegment(prefix, key);
    yield segment;
    after = skipTo;
  }
}

/** The first key below `prefix` that sorts after `after`, or null. */
export async function firstKey(
  backend: Backend,
  prefix: string,
  after?: string,
): Promise<string | null> {
  for await (const { key } of backend.list(prefix, after)) return key;
  return null;
}
