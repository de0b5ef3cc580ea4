/** Codes of errors as exit statuses: the CLI's one table, listed for users in `datamon help` and docs/cli.md. */
import { DatamonError, type ErrorCode } from '../core/errors.ts';
import { EXIT, type ExitStatus } from '../core/io.ts';

export const STATUS_OF_CODE = {
  INVALID: EXIT.usage,
  MISMATCH: EXIT.failure,
  NOT_FOUND: EXIT.notFound,
  CONFLICT: EXIT.conflict,
  LOCKED: EXIT.conflict,
  UNAUTHENTICATED: EXIT.auth,
  FORBIDDEN: EXIT.auth,
  CORRUPT: EXIT.corrupt,
  INCOMPLETE: EXIT.partial,
  TOO_LARGE: EXIT.failure,
  NO_SPACE: EXIT.unavailable,
  UNSUPPORTED: EXIT.failure,
  UNAVAILABLE: EXIT.unavailable,
  CANCELLED: EXIT.interrupted,
} as const satisfies Record<ErrorCode, ExitStatus>;

/** What each status means, in the words of the help screen. */
export const STATUS_MEANINGS: readonly (readonly [ExitStatus, string])[] = [
  [EXIT.ok, 'done'],
  [EXIT.failure, 'failed (diff --exit-code: they differ; doctor: something is wrong)'],
  [EXIT.usage, 'the command line or an input is not valid'],
  [EXIT.partial, 'done in part; the rest is named'],
  [EXIT.notFound, 'no such repo, bundle, ref or file'],
  [EXIT.conflict, 'conflict, or locked by somebody else'],
  [EXIT.auth, 'not logged in, or not allowed'],
  [EXIT.corrupt, 'stored bytes are damaged'],
  [EXIT.unavailable, 'store or server not reachable, or full'],
  [EXIT.interrupted, 'stopped with Ctrl-C'],
];

export function exitStatusOf(error: unknown): ExitStatus {
  return error instanceof DatamonError ? STATUS_OF_CODE[error.code] : EXIT.failure;
}
