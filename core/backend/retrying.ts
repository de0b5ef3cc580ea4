/**
 * Tries again what may pass. Decided by the code UNAVAILABLE alone; each wait is random up to a bound that doubles, or as
 * long as the store asks and a little longer; tries, time and asked waits are bounded. A read goes on from the bytes it
 * has: objects never change.
 *
 * A put whose acknowledgement was lost is tried again and then finds its own object: `created` is false for it.
 */
import type { ByteStream } from '../bytes.ts';
import { DatamonError, isRetryable } from '../errors.ts';
import type { Key } from '../keys.ts';
import type { Backend, ByteRange, ObjectInfo } from './backend.ts';
import { passReplicated } from './healing.ts';

export interface RetryPolicy {
  /** Tries in all; for reads and lists: without a byte or a key in between. */
  readonly tryCount: number;
  /** Bound of the first wait; it doubles with each. */
  readonly firstWaitMs: number;
  readonly waitMaxMs: number;
  /** No try is begun later than this after the first, or after the last progress of a read or list; asked waits do not count. */
  readonly totalMs: number;
  /** Longest sum of the waits that the store asks for (`retryAfterMs`); where it asks for more, the call fails at once. */
  readonly askedWaitMaxMs: number;
}

export const DEFAULT_RETRY_POLICY: RetryPolicy = {
  // A store that fails every other request fails one call of a thousand.
  tryCount: 10,
  firstWaitMs: 200,
  waitMaxMs: 5_000,
  totalMs: 60_000,
  askedWaitMaxMs: 300_000,
};

/** A server's callers try again themselves, and are told to sooner than they lose patience. */
export const SERVER_RETRY_POLICY: RetryPolicy = {
  ...DEFAULT_RETRY_POLICY,
  tryCount: 6,
  totalMs: 20_000,
  askedWaitMaxMs: 10_000,
};

/** The world as retrying sees it. */
export interface RetryWorld {
  /** A clock that never goes back. */
  readonly nowMs: () => number;
  readonly sleep: (milliseconds: number) => Promise<unknown>;
  /** 0 ≤ number < 1. */
  readonly random: () => number;
}

export function createRetryingBackend(
  backend: Backend,
  world: RetryWorld,
  policy: RetryPolicy = DEFAULT_RETRY_POLICY,
): Backend {
  const newPatience = (): Patience => createPatience(world, policy);
  const retried = async <T>(call: () => Promise<T>): Promise<T> => {
    const patience = newPatience();
    for (;;) {
      try {
        return await call();
      } catch (error) {
        await patience.waitAfter(error);
      }
    }
  };
  return passReplicated(backend, {
    url: backend.url,
    putIfAbsent: (key, body) => retried(() => backend.putIfAbsent(key, body)),
    get: (key, range) => resumedRead(backend, newPatience, key, range),
    stat: (key) => retried(() => backend.stat(key)),
    list: (prefix, after) => resumedList(backend, newPatience, prefix, after),
    remove: (key) => retried(() => backend.remove(key)),
    now: () => retried(() => backend.now()),
    ...(backend.spoolPath && { spoolPath: backend.spoolPath }),
  });
}

interface Patience {
  /** Waits before the next try, or throws `error` where there is none. */
  waitAfter(error: unknown): Promise<void>;
  /** Something was achieved: patience is whole again. */
  renew(): void;
}

function createPatience(world: RetryWorld, policy: RetryPolicy): Patience {
  let tries = 1;
  let since = world.nowMs();
  let askedMs = 0;
  return {
    async waitAfter(error) {
      if (!isRetryable(error) || tries >= policy.tryCount) throw error;
      const bound = Math.min(policy.waitMaxMs, policy.firstWaitMs * 2 ** (tries - 1));
      // Random also on top of an asked wait, or all who were turned away would come back at once.
      const waitMs = world.random() * bound;
      if (world.nowMs() + waitMs - since > policy.totalMs) throw error;
      const { retryAfterMs = 0 } = error;
      askedMs += retryAfterMs;
      if (askedMs > policy.askedWaitMaxMs) throw asksTooLong(error, retryAfterMs);
      since += retryAfterMs;
      tries += 1;
      await world.sleep(retryAfterMs + waitMs);
    },
    renew() {
      tries = 1;
      since = world.nowMs();
      askedMs = 0;
    },
  };
}

function asksTooLong(error: DatamonError, retryAfterMs: number): DatamonError {
  const seconds = Math.ceil(retryAfterMs / 1000);
  return new DatamonError('UNAVAILABLE', `${error.message}; it asks to wait ${seconds} s`, {
    cause: error,
    hint: `Run the same command again in ${seconds} seconds.`,
    retryAfterMs,
  });
}

async function* resumedRead(
  backend: Backend,
  newPatience: () => Patience,
  key: Key,
  range: ByteRange = { start: 0 },
): ByteStream {
  let { start } = range;
  const patience = newPatience();
  for (;;) {
    try {
      // Asked for as given at first: what a range may be is the backend's to say.
      const rest = start === range.start ? range : restOf(range, start);
      for await (const bytes of backend.get(key, rest)) {
        start += bytes.length;
        yield bytes;
        // After the reader took them: how long it takes is not held against the store.
        patience.renew();
      }
      return;
    } catch (error) {
      await patience.waitAfter(error);
      if (start === range.end) return;
    }
  }
}

function restOf(range: ByteRange, start: number): ByteRange {
  const { end } = range;
  if (end === undefined) return { start };
  if (start <= end) return { start, end };
  throw new DatamonError('CORRUPT', `the store sent more than bytes ${range.start} to ${end}`);
}

async function* resumedList(
  backend: Backend,
  newPatience: () => Patience,
  prefix: string,
  after: string | undefined,
): AsyncIterable<ObjectInfo> {
  let last = after;
  const patience = newPatience();
  for (;;) {
    try {
      for await (const found of backend.list(prefix, last)) {
        last = found.key;
        yield found;
        patience.renew();
      }
      return;
    } catch (error) {
      await patience.waitAfter(error);
    }
  }
}
