/** Bounds for waits: work ends when it is stopped, and when nothing moved for too long, even where what it waits for never answers. */
import { DatamonError } from '../core/errors.ts';
import type { TransferOptions } from './session.ts';

/** Long enough for a server to hash the largest file it takes before it answers. */
export const STALL_TIMEOUT_MS = 15 * 60_000;

/** Made once: an abort without a reason makes an error with a stack, for every object. */
const OVER = new DatamonError('CANCELLED', 'the transfer is over');

export interface GuardOptions extends TransferOptions {
  readonly stallMs: number;
}

/** Runs `work` with a signal and a progress callback of its own. CANCELLED when stopped, UNAVAILABLE when stalled. */
export async function guarded<T>(
  { signal, onProgress, stallMs }: GuardOptions,
  work: (options: TransferOptions) => Promise<T>,
): Promise<T> {
  throwIfStopped(signal);
  const own = new AbortController();
  const stop = (error: DatamonError): void => own.abort(error);
  const cancel = (): void => stop(stoppedError());
  const stall = (): void => {
    const minutes = Math.round(stallMs / 60_000);
    stop(
      new DatamonError('UNAVAILABLE', `nothing moved for ${minutes} minutes`, {
        hint: 'Run the command again; if it stays, run: datamon doctor',
      }),
    );
  };
  let timer = setTimeout(stall, stallMs);
  signal.addEventListener('abort', cancel, { once: true });
  try {
    const working = work({
      signal: own.signal,
      onProgress: (doneBytes) => {
        clearTimeout(timer);
        if (!own.signal.aborted) timer = setTimeout(stall, stallMs);
        onProgress(doneBytes);
      },
    });
    return await Promise.race([working, whenAborted(own.signal)]);
  } finally {
    own.abort(OVER);
    clearTimeout(timer);
    signal.removeEventListener('abort', cancel);
  }
}

/** CANCELLED once the signal is aborted, whatever the reason it carries. */
export function throwIfStopped(signal: AbortSignal): void {
  if (signal.aborted) throw stoppedError();
}

function stoppedError(): DatamonError {
  return new DatamonError('CANCELLED', 'the transfer was stopped');
}

function whenAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

/** Fails with `error()` where `work` takes longer than `timeoutMs`. */
export async function withinTime<T>(
  timeoutMs: number,
  work: Promise<T>,
  error: () => DatamonError,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(error()), timeoutMs);
  });
  try {
    return await Promise.race([work, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
