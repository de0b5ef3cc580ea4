/**
 * Progress of one object. Law: the first message comes at once with 1 byte and no increment (git-lfs holds its other
 * workers back until then), values never fall, at most ten a second, increments add up to the size, and the last value
 * is the size. Logical bytes: what was already stored counts as done. Retried bytes count once.
 */
import type { ProgressMessage } from './messages.ts';

const INTERVAL_MIN_MS = 100;

export interface ProgressOptions {
  readonly oid: string;
  readonly sizeBytes: number;
  /** Monotonic milliseconds. */
  readonly nowMs: () => number;
  /** False: the reader is slow, this message was not taken. */
  readonly emit: (message: ProgressMessage) => boolean;
}

export interface Progress {
  /** The request has arrived. */
  start(): void;
  /** `doneBytes` of the object need no more work. */
  report(doneBytes: number): void;
  /** All is done. The message is the last before `complete`, null where nothing is left to say. */
  finish(): ProgressMessage | null;
}

export function createProgress({ oid, sizeBytes, nowMs, emit }: ProgressOptions): Progress {
  let shownBytes = 0;
  /** What the increments sent so far add up to. */
  let countedBytes = 0;
  let lastMs = Number.NEGATIVE_INFINITY;

  const message = (bytesSoFar: number, bytesSinceLast: number): ProgressMessage => ({
    event: 'progress',
    oid,
    bytesSoFar,
    bytesSinceLast,
  });

  return {
    start: () => {
      // An empty object has no byte to announce; its `complete` follows at once and opens the gate as well.
      if (sizeBytes === 0) return;
      emit(message(1, 0));
      shownBytes = 1;
      lastMs = nowMs();
    },
    report: (doneBytes) => {
      const bytes = Math.min(doneBytes, sizeBytes);
      const now = nowMs();
      // The last value is left to `finish`, so that it is said exactly once and right before `complete`.
      if (bytes <= shownBytes || bytes >= sizeBytes || now - lastMs < INTERVAL_MIN_MS) return;
      if (!emit(message(bytes, bytes - countedBytes))) return;
      shownBytes = bytes;
      countedBytes = bytes;
      lastMs = now;
    },
    finish: () => (sizeBytes === 0 ? null : message(sizeBytes, sizeBytes - countedBytes)),
  };
}
