/** Remembers for a short while that the store was full, so that batches say so before bytes move: a refused PUT is retried for half a minute. */
import { hasCode } from '../core/errors.ts';

export const FULL_REMEMBERED_MS = 20_000;

export interface SpaceWatch {
  /** Looks at a failed write. */
  noticed(error: unknown): void;
  /** True for a while after a write found no space. */
  isFull(): boolean;
}

/** `elapsedMs` is a clock that never goes back. */
export function createSpaceWatch(elapsedMs: () => number): SpaceWatch {
  let fullUntil = Number.NEGATIVE_INFINITY;
  return {
    noticed: (error) => {
      if (hasCode(error, 'NO_SPACE')) fullUntil = elapsedMs() + FULL_REMEMBERED_MS;
    },
    isFull: () => elapsedMs() < fullUntil,
  };
}
