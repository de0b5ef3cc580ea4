/** The only writer of the protocol's output: one JSON object a line, answers always, progress only while the reader keeps up. */
import type { Writable } from 'node:stream';
import { formatMessage, type Message, type ProgressMessage } from './messages.ts';

/** Answers that wait for their reader; git-lfs leaves a few hundred bytes. */
export const BACKLOG_SIZE_MAX_BYTES = 4 * 1024 * 1024;

export interface Answers {
  /** Several in one piece, in their order. */
  send(...messages: readonly Message[]): void;
  /** False where the reader is slow: progress is dropped then, never queued. */
  progress(message: ProgressMessage): boolean;
  /** Resolves when all was taken by the reader, the output is gone, or `timeoutMs` have passed. */
  flush(timeoutMs: number): Promise<void>;
}

export function createAnswers(output: Writable, onClosed: () => void): Answers {
  let isOpen = true;
  let isCongested = false;
  const waiters = new Set<() => void>();
  const wake = (): void => {
    for (const waiter of waiters) waiter();
    waiters.clear();
  };
  const close = (): void => {
    if (!isOpen) return;
    isOpen = false;
    onClosed();
    wake();
  };
  output.on('error', close);
  output.on('close', close);
  output.on('drain', () => {
    isCongested = false;
    wake();
  });

  const write = (...messages: readonly Message[]): void => {
    if (!isOpen) return;
    if (!output.write(messages.map(formatMessage).join(''))) isCongested = true;
    // Whoever asks so much and reads nothing of it is not git-lfs, and would cost memory without end.
    if (output.writableLength > BACKLOG_SIZE_MAX_BYTES) close();
  };
  return {
    send: write,
    progress: (message) => {
      if (isCongested || !isOpen) return false;
      write(message);
      return true;
    },
    flush: (timeoutMs) => {
      if (!isOpen || output.writableLength === 0) return Promise.resolve();
      return new Promise((resolve) => {
        const timer = setTimeout(resolve, timeoutMs);
        const done = (): void => {
          clearTimeout(timer);
          resolve();
        };
        waiters.add(done);
        // Below the high-water mark there is no `drain`; an empty write calls back once all before it has gone.
        output.write('', done);
      });
    },
  };
}

/**
 * Takes `stdout` away from everybody else: what console or a library writes there later goes to `stray`, since one line
 * too many puts every later answer of the protocol off by one. Returns the way that remains.
 */
export function seizeOutput(stdout: Writable, stray: Writable): Writable {
  const write = stdout.write.bind(stdout) as Writable['write'];
  const seized: Writable = Object.create(stdout, {
    write: { value: write },
    writableLength: { get: () => stdout.writableLength },
  });
  stdout.write = stray.write.bind(stray) as Writable['write'];
  return seized;
}
