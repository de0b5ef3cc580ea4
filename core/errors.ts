/** The one error class and its closed list of codes. Edges map codes to HTTP statuses and exit statuses, never messages. */

/** Every way datamon can fail; each has a section in docs/errors.md. */
export const ERROR_CODES = [
  'INVALID',
  'MISMATCH',
  'NOT_FOUND',
  'CONFLICT',
  'LOCKED',
  'UNAUTHENTICATED',
  'FORBIDDEN',
  'CORRUPT',
  'INCOMPLETE',
  'TOO_LARGE',
  'NO_SPACE',
  'UNSUPPORTED',
  'UNAVAILABLE',
  'CANCELLED',
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

export interface ErrorDetails {
  /** The error underneath, kept for logs. */
  readonly cause?: unknown;
  /** What to do about it: one sentence, with a command where there is one. */
  readonly hint?: string;
  /** How long the other side asks to wait before the call is made again. */
  readonly retryAfterMs?: number;
}

/** An expected failure: `message` says what failed, on which path and why; `hint` says what to run next. */
export class DatamonError extends Error {
  override readonly name = 'DatamonError';
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.hint = details.hint;
    this.retryAfterMs = details.retryAfterMs;
  }
}

/** True for failures that may pass by themselves: the same call may be tried again. */
export function isRetryable(error: unknown): error is DatamonError {
  return hasCode(error, 'UNAVAILABLE');
}

export function hasCode(error: unknown, code: ErrorCode): error is DatamonError {
  return error instanceof DatamonError && error.code === code;
}
