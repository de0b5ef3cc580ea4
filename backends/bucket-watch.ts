/** Bounds one request to a bucket: it ends when no byte moves for a while, and at the latest after a time that fits its size. */
import { DatamonError } from '../core/errors.ts';

export interface BucketPatience {
  /** Longest time in which nothing moves: no byte sent or received, no answer. */
  readonly stallMs: number;
  /** Longest time of a whole request; reads of objects have none, since their reader sets the pace. */
  readonly requestMs: number;
}

/** A pack of 64 MiB takes nine minutes at a megabit per second. */
export const DEFAULT_BUCKET_PATIENCE: BucketPatience = { stallMs: 60_000, requestMs: 900_000 };

export interface Watch {
  /** Aborted when patience ends, and by `close`. */
  readonly signal: AbortSignal;
  /** A byte moved. */
  progress(): void;
  /** Time no longer counts: it is ours, not the store's. */
  pause(): void;
  /** The outcome of `call`, or UNAVAILABLE once patience has ended, whether or not `call` heeds the signal. */
  within<T>(call: Promise<T>): Promise<T>;
  /** Stops the clocks and whatever still runs. */
  close(): void;
}

/** `doing` is for the message: `cannot read gs://b/k`. */
export function openWatch(doing: string, stallMs: number, requestMs?: number): Watch {
  const controller = new AbortController();
  let reject: (error: DatamonError) => void = () => {};
  const ended = new Promise<never>((_, fail) => {
    reject = fail;
  });
  // Nobody may be waiting when it ends.
  ended.catch(() => {});
  const end = (why: string): void => {
    const error = new DatamonError('UNAVAILABLE', `${doing}: ${why}`);
    reject(error);
    controller.abort(error);
  };
  let stall: NodeJS.Timeout | undefined;
  const progress = (): void => {
    clearTimeout(stall);
    stall = setTimeout(() => end(`nothing moved for ${seconds(stallMs)}`), stallMs);
  };
  const total =
    requestMs === undefined
      ? undefined
      : setTimeout(() => end(`it was not done after ${seconds(requestMs)}`), requestMs);
  progress();
  return {
    signal: controller.signal,
    progress,
    pause: () => clearTimeout(stall),
    within: (call) => Promise.race([call, ended]),
    close() {
      clearTimeout(stall);
      clearTimeout(total);
      controller.abort();
    },
  };
}

const seconds = (ms: number): string => `${ms / 1000} s`;
