/** Which changed paths somebody else holds a lock on. Asked before bytes move, to refuse, and when a move is recorded, to mark. */
import type { Digest } from '../digest.ts';
import { diffTrees } from './diff.ts';
import { indexLocks } from './locks.ts';
import type { Lock } from './model.ts';
import { displayPath } from './raw-path.ts';
import type { PageSource } from './tree-reader.ts';

/** More would say no more. */
export const LOCK_VIOLATION_COUNT_MAX = 100;

export interface LockViolation {
  readonly lock: Lock;
  /** The changed path, for people; case and Unicode form may differ from the lock's. */
  readonly path: string;
}

/**
 * From tree `before` (null: none) to `after`, at most `LOCK_VIOLATION_COUNT_MAX`. `by` is a token's subject or `Name <mail>`:
 * whoever has either as his name holds the lock himself.
 */
export async function lockViolations(options: {
  readonly pages: PageSource;
  readonly held: readonly Lock[];
  readonly before: Digest | null;
  readonly after: Digest;
  readonly by: string;
}): Promise<readonly LockViolation[]> {
  const foreign = options.held.filter(({ owner }) => !isSamePerson(owner, options.by));
  const found: LockViolation[] = [];
  if (foreign.length === 0) return found;
  const lockOn = indexLocks(foreign);
  for await (const { path } of diffTrees(options.pages, options.before, options.after)) {
    const lock = lockOn(path);
    if (lock !== undefined) found.push({ lock, path: displayPath(path) });
    if (found.length >= LOCK_VIOLATION_COUNT_MAX) break;
  }
  return found;
}

function isSamePerson(owner: string, by: string): boolean {
  const names = (text: string): string[] => {
    const [, name, mail] = /^(.*?)\s*<([^>]*)>$/.exec(text) ?? [];
    return [text, name, mail].filter((each): each is string => each !== undefined && each !== '');
  };
  const known = new Set(names(owner));
  return names(by).some((name) => known.has(name));
}
