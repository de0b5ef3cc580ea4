/** Bounded retries inside the agent, because git-lfs has none for custom transfers. Only what may pass by itself (UNAVAILABLE) is tried again. */
import { DatamonError, isRetryable } from '../core/errors.ts';
import { throwIfStopped } from './guard.ts';

const PAUSE_BASE_MS = 250;
const PAUSE_MAX_MS = 10_000;
/** A server may ask for longer, and is obeyed up to here. */
const RETRY_AFTER_MAX_MS = 60_000;

/** Cause of an UNAVAILABLE where the server said when to come back. */
export class RetryAfter extends Error {
  readonly afterMs: number;

  constructor(afterMs: number) {
    super(`try again in ${Math.round(afterMs / 1000)} s`);
    this.afterMs = afterMs;
  }
}

export interface Pauses {
  /** Resolves after `ms`, or at once when aborted. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  /** 0 ≤ x < 1. */
  readonly random: () => number;
}

export interface RetryOptions extends Pauses {
  readonly signal: AbortSignal;
  readonly attemptCount: number;
  readonly onRetry: (error: unknown, pauseMs: number) => void;
}

/**
 * Runs `attempt` until it succeeds, fails for good, or failed `attemptCount` times in a row. `progressed` tells
 * whether the last attempt got further than any before; the count then starts again, so long transfers survive many breaks.
 */
export async function withRetries<T>(
  options: RetryOptions,
  attempt: () => Promise<T>,
  progressed: () => boolean = () => false,
): Promise<T> {
  let failures = 0;
  for (;;) {
    throwIfStopped(options.signal);
    try {
      return await attempt();
    } catch (error) {
      throwIfStopped(options.signal);
      if (!isRetryable(error)) throw error;
      failures = progressed() ? 1 : failures + 1;
      if (failures >= options.attemptCount) throw error;
      const pauseMs = pauseFor(error, failures, options.random());
      options.onRetry(error, pauseMs);
      await options.sleep(pauseMs, options.signal);
    }
  }
}

function pauseFor(error: unknown, failures: number, random: number): number {
  const cause = error instanceof DatamonError ? error.cause : undefined;
  if (cause instanceof RetryAfter) return Math.min(cause.afterMs, RETRY_AFTER_MAX_MS);
  const ceilingMs = Math.min(PAUSE_MAX_MS, PAUSE_BASE_MS * 2 ** (failures - 1));
  return Math.round(ceilingMs * (0.5 + random / 2));
}

/** `sleep` by the real clock. */
export function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    }
    signal.addEventListener('abort', done, { once: true });
    if (signal.aborted) done();
  });
}
