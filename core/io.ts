/** The world as a program sees it. `process` appears in main.ts files only; everything else gets an `Io`. */
import type { Readable, Writable } from 'node:stream';

export interface Io {
  readonly stdin: Readable;
  readonly stdout: Writable;
  readonly stderr: Writable;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Absolute. */
  readonly cwd: string;
  /** Aborted by Ctrl-C and SIGTERM. */
  readonly signal: AbortSignal;
  /** True where a person reads stderr. */
  readonly isTerminal: boolean;
}

/** Exit statuses of every program of this project; docs/errors.md lists them for users. */
export const EXIT = {
  ok: 0,
  failure: 1,
  usage: 2,
  partial: 3,
  notFound: 10,
  conflict: 11,
  auth: 12,
  corrupt: 13,
  unavailable: 14,
  interrupted: 130,
} as const;

export type ExitStatus = (typeof EXIT)[keyof typeof EXIT];
