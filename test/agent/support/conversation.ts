/** A git-lfs made of two streams: sends lines, waits for answers. Every wait has a bound. */
import { PassThrough } from 'node:stream';
import type { InitRequest } from '../../../agent/messages.ts';
import { runSession, type SessionEnd, type Transfers } from '../../../agent/session.ts';
import { digestOf } from '../../../core/digest.ts';

export interface Answer {
  readonly event?: string;
  readonly oid?: string;
  readonly path?: string;
  readonly bytesSoFar?: number;
  readonly bytesSinceLast?: number;
  readonly error?: { readonly code: number; readonly message: string };
}

export interface Conversation {
  readonly input: PassThrough;
  readonly output: PassThrough;
  readonly interrupt: AbortController;
  readonly ended: Promise<SessionEnd>;
  readonly logged: string[];
  send(...messages: object[]): void;
  write(bytes: string | Uint8Array): void;
  /** All answers so far. */
  readonly answers: Answer[];
  /** Waits until `count` answers that are no progress have come. */
  replies(count: number): Promise<Answer[]>;
}

const WAIT_MS = 4000;

export interface ConversationOptions {
  readonly open?: (init: InitRequest, signal: AbortSignal) => Promise<Transfers>;
  readonly nowMs?: () => number;
  readonly output?: PassThrough;
}

export function converse(options: ConversationOptions = {}): Conversation {
  const input = new PassThrough();
  const output = options.output ?? new PassThrough();
  const interrupt = new AbortController();
  const logged: string[] = [];
  const answers: Answer[] = [];
  const arrived = new EventTarget();
  let rest = '';
  if (options.output === undefined) {
    output.on('data', (bytes: Buffer) => {
      rest += bytes.toString('utf8');
      const lines = rest.split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) answers.push(JSON.parse(line) as Answer);
      arrived.dispatchEvent(new Event('answer'));
    });
  }
  const ended = runSession({
    input,
    output,
    signal: interrupt.signal,
    nowMs: options.nowMs ?? (() => performance.now()),
    log: (text) => logged.push(text),
    open: options.open ?? (async () => instantTransfers()),
  });
  const conversation: Conversation = {
    input,
    output,
    interrupt,
    ended,
    logged,
    answers,
    send: (...messages) => {
      input.write(messages.map((message) => `${JSON.stringify(message)}\n`).join(''));
    },
    write: (bytes) => void input.write(bytes),
    replies: (count) =>
      new Promise((resolve, reject) => {
        const check = (): void => {
          const found = answers.filter(({ event }) => event !== 'progress');
          if (found.length < count) return;
          clearTimeout(timer);
          arrived.removeEventListener('answer', check);
          resolve(found);
        };
        const timer = setTimeout(
          () => reject(new Error(`waited for ${count} replies, have ${JSON.stringify(answers)}`)),
          WAIT_MS,
        );
        arrived.addEventListener('answer', check);
        check();
      }),
  };
  return conversation;
}

/** Transfers that succeed at once. */
export function instantTransfers(overrides: Partial<Transfers> = {}): Transfers {
  return {
    upload: async () => undefined,
    download: async ({ oid }) => `/tmp/${oid}`,
    close: async () => undefined,
    ...overrides,
  };
}

export const INIT_UPLOAD = {
  event: 'init',
  operation: 'upload',
  remote: 'origin',
  concurrent: false,
  concurrenttransfers: 8,
};
export const INIT_DOWNLOAD = { ...INIT_UPLOAD, operation: 'download' };
export const TERMINATE = { event: 'terminate' };

export const oidOf = (text: string): string => digestOf(text);

export function uploadOf(text: string, path = '/nowhere'): Record<string, unknown> {
  return { event: 'upload', oid: oidOf(text), size: Buffer.byteLength(text), path, action: null };
}

export function downloadOf(text: string): Record<string, unknown> {
  return { event: 'download', oid: oidOf(text), size: Buffer.byteLength(text), action: null };
}
