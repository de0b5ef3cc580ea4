/** When a call is tried again: by code only, with full jitter or as the server asks, a bounded number of times. */
import { setTimeout as wait } from 'node:timers/promises';
import { DatamonError, isRetryable } from '../core/errors.ts';

export interface RetryPolicy {
  readonly attemptCount: number;
  readonly baseDelayMs: number;
  readonly maxDelayMs: number;
}

/** A server that restarts or sheds load: about a minute in all. */
export const RETRY_POLICY: RetryPolicy = { attemptCount: 10, baseDelayMs: 250, maxDelayMs: 10_000 };
/** First contact: a server that is not there is said soon. */
export const FIRST_CONTACT_POLICY: RetryPolicy = {
  attemptCount: 3,
  baseDelayMs: 100,
  maxDelayMs: 500,
};
/** Longest wait a server may ask for. */
export const RETRY_AFTER_MAX_MS = 300_000;

/** The world a retry needs; tests pass their own. */
export interface Pace {
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Milliseconds since the epoch. */
  now(): number;
  /** 0 ≤ x < 1. */
  random(): number;
}

export const REAL_PACE: Pace = {
  sleep: (ms, signal) => wait(ms, undefined, signal && { signal }),
  now: () => Date.now(),
  random: () => Math.random(),
};

/** A wait before the next attempt, for whoever shows it. */
export interface RetryNotice {
  readonly error: DatamonError;
  readonly attempt: number;
  readonly attemptCount: number;
  readonly delayMs: number;
}

/** An attempt that failed, and how long the server asked to wait. */
export interface Failure {
  readonly error: DatamonError;
  readonly retryAfterMs: number | null;
}

export type Attempt<T> = { readonly value: T } | { readonly failure: Failure };

export interface RetryOptions {
  readonly policy: RetryPolicy;
  readonly pace: Pace;
  readonly signal?: AbortSignal | undefined;
  readonly onRetry?: ((notice: RetryNotice) => void) | undefined;
}

/** The value of the first attempt that succeeds; throws the last failure, or one that may not pass, as it is. */
export async function retry<T>(
  attempt: (number: number) => Promise<Attempt<T>>,
  options: RetryOptions,
): Promise<T> {
  const { policy } = options;
  for (let number = 1; ; number += 1) {
    const outcome = await attempt(number).catch(failureOf);
    if ('value' in outcome) return outcome.value;
    const { error, retryAfterMs } = outcome.failure;
    if (!isRetryable(error) || number >= policy.attemptCount) throw error;
    if (retryAfterMs !== null && retryAfterMs > RETRY_AFTER_MAX_MS)
      throw asksTooLong(error, retryAfterMs);
    const delayMs = retryAfterMs ?? jittered(policy, number, options.pace);
    options.onRetry?.({ error, attempt: number, attemptCount: policy.attemptCount, delayMs });
    await pause(delayMs, options);
  }
}

function failureOf(error: unknown): { readonly failure: Failure } {
  if (error instanceof DatamonError) return { failure: { error, retryAfterMs: null } };
  throw error;
}

export function jittered(policy: RetryPolicy, number: number, pace: Pace): number {
  const ceiling = Math.min(policy.maxDelayMs, policy.baseDelayMs * 2 ** (number - 1));
  return Math.round(ceiling * pace.random());
}

export async function pause(delayMs: number, { pace, signal }: RetryOptions): Promise<void> {
  try {
    await pace.sleep(delayMs, signal);
  } catch (cause) {
    throw new DatamonError('CANCELLED', 'stopped while waiting to try again', { cause });
  }
}

function asksTooLong(error: DatamonError, retryAfterMs: number): DatamonError {
  const minutes = Math.ceil(retryAfterMs / 60_000);
  return new DatamonError('UNAVAILABLE', `${error.message}; it asks to wait ${minutes} minutes`, {
    cause: error,
    hint: `Try again in ${minutes} minutes.`,
  });
}

/** A `Retry-After` header, in seconds or as a date, as milliseconds from now; null where it says nothing usable. */
export function parseRetryAfter(header: string | undefined, nowMs: number): number | null {
  if (header === undefined) return null;
  if (/^[0-9]{1,9}$/.test(header)) return Number(header) * 1000;
  const atMs = Date.parse(header);
  return Number.isNaN(atMs) ? null : Math.max(0, atMs - nowMs);
}
