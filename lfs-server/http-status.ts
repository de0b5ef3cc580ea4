/** The one table from error codes to HTTP statuses. 422 is not in it: outside a batch's objects git-lfs takes that for success. */
import type { ErrorCode } from '../core/errors.ts';

export const HTTP_STATUS = {
  INVALID: 400,
  MISMATCH: 400,
  UNAUTHENTICATED: 401,
  FORBIDDEN: 403,
  NOT_FOUND: 404,
  CONFLICT: 409,
  LOCKED: 409,
  INCOMPLETE: 409,
  TOO_LARGE: 413,
  CANCELLED: 499,
  CORRUPT: 500,
  UNSUPPORTED: 501,
  UNAVAILABLE: 503,
  NO_SPACE: 507,
} as const satisfies Record<ErrorCode, number>;

/** What a client waits before it asks again after 503. */
export const RETRY_AFTER_SECONDS = 5;

/** Errors inside a batch answer, per object, where LFS has statuses of its own. */
export const OBJECT_STATUS = { missing: 404, tooLarge: 413, invalid: 422, noSpace: 507 } as const;
