/** Settles what earlier pushes of this clone left open, before a verb shows its history: without a word, and for seconds at most. */
import { PassThrough, Readable } from 'node:stream';
import { hasOpenPushes } from '../git/own-folder.ts';
import type { Context } from './context.ts';

const SETTLE_TIMEOUT_MS = 5_000;

/** Never fails: what cannot be settled now is settled by the next push or command. */
export async function settleOpenPushes({ io, runtime, clone, repoFlag }: Context): Promise<void> {
  if (repoFlag !== undefined) return;
  let timer: NodeJS.Timeout | undefined;
  const late = new AbortController();
  const timeout = new Promise<void>((resolve) => {
    timer = setTimeout(() => {
      late.abort();
      resolve();
    }, SETTLE_TIMEOUT_MS);
  });
  try {
    const repo = await clone();
    if (repo === null || !(await hasOpenPushes(repo))) return;
    const hook = await runtime.programs.hook();
    const quiet = {
      ...io,
      stdin: Readable.from([]),
      stdout: new PassThrough().resume(),
      stderr: new PassThrough().resume(),
      isTerminal: false,
      signal: AbortSignal.any([io.signal, late.signal]),
    };
    await Promise.race([hook.main(['reconcile'], quiet), timeout]);
  } catch {
    // The verb itself says what is wrong with this clone.
  } finally {
    clearTimeout(timer);
  }
}
