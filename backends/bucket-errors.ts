/** What a bucket's refusal means to the caller of a backend. One table for all clouds, so that no call site decides by itself. */
import { DatamonError, type ErrorCode } from '../core/errors.ts';

/** A failed request, as its SDK tells it. */
export interface BucketFailure {
  /** Null where no answer came. */
  readonly status: number | null;
  /** The cloud's own word for it: `NoSuchBucket`, `rateLimitExceeded`, `ECONNRESET`; empty where there is none. */
  readonly reason: string;
  readonly message: string;
  readonly retryAfter: string | null;
}

interface Meaning {
  readonly code: ErrorCode;
  readonly why: string;
  readonly hint?: string;
}

const NO_SPACE_HINT =
  'Free space there or raise the quota, then run the same command again; nothing stored is lost.';
const CLOCK_HINT = 'Set this machine’s clock: sudo timedatectl set-ntp true';
const BUCKET_HINT =
  'Check the URL. datamon makes no buckets: make it with the cloud’s own tools, then run this again.';

const NOT_ALLOWED: Meaning = { code: 'FORBIDDEN', why: 'permission denied' };
const UNKNOWN_CALLER: Meaning = {
  code: 'UNAUTHENTICATED',
  why: 'the credentials are not accepted',
};
const NO_SPACE: Meaning = { code: 'NO_SPACE', why: 'the quota is used up', hint: NO_SPACE_HINT };
const DAMAGED: Meaning = { code: 'UNAVAILABLE', why: 'the bytes were damaged on the way' };
const BUSY: Meaning = { code: 'UNAVAILABLE', why: 'it has too much to do' };
const NO_BUCKET: Meaning = {
  code: 'INVALID',
  why: 'there is no such bucket',
  hint: BUCKET_HINT,
};
const SKEWED: Meaning = {
  code: 'FORBIDDEN',
  why: 'this machine’s clock and the store’s differ too much',
  hint: CLOCK_HINT,
};

/** By the cloud's word, which says more than the status where there is one. */
const BY_REASON: { readonly [reason: string]: Meaning } = {
  NoSuchBucket: NO_BUCKET,
  InvalidBucketName: NO_BUCKET,
  InvalidAccessKeyId: UNKNOWN_CALLER,
  SignatureDoesNotMatch: UNKNOWN_CALLER,
  ExpiredToken: UNKNOWN_CALLER,
  InvalidToken: UNKNOWN_CALLER,
  TokenRefreshRequired: UNKNOWN_CALLER,
  RequestTimeTooSkewed: SKEWED,
  BadDigest: DAMAGED,
  InvalidDigest: DAMAGED,
  XAmzContentSHA256Mismatch: DAMAGED,
  IncompleteBody: DAMAGED,
  RequestTimeout: { code: 'UNAVAILABLE', why: 'the connection was too slow' },
  SlowDown: BUSY,
  rateLimitExceeded: BUSY,
  userRateLimitExceeded: BUSY,
  QuotaExceeded: NO_SPACE,
  quotaExceeded: NO_SPACE,
  XMinioStorageFull: { ...NO_SPACE, why: 'its disks are full' },
  EntityTooLarge: { code: 'TOO_LARGE', why: 'it takes no object that large' },
  NotImplemented: { code: 'UNSUPPORTED', why: 'it does not know what was asked of it' },
};

const BY_STATUS: { readonly [status: number]: Meaning } = {
  401: UNKNOWN_CALLER,
  403: NOT_ALLOWED,
  404: { code: 'NOT_FOUND', why: 'it does not exist' },
  408: { code: 'UNAVAILABLE', why: 'it waited too long' },
  409: { code: 'UNAVAILABLE', why: 'another request for the same object came between' },
  413: { code: 'TOO_LARGE', why: 'it takes no object that large' },
  429: BUSY,
  501: { code: 'UNSUPPORTED', why: 'it does not know what was asked of it' },
  507: NO_SPACE,
};

/** `doing` opens the message: `cannot read gs://b/k`; `loginHint` says how to get credentials in this cloud. */
export function bucketError(
  failure: BucketFailure,
  context: { readonly doing: string; readonly loginHint: string; readonly cause: unknown },
): DatamonError {
  const { code, why, hint } = meaningOf(failure);
  const isAccess = code === 'UNAUTHENTICATED' || code === 'FORBIDDEN';
  const shown = hint ?? (isAccess ? context.loginHint : undefined);
  const retryAfterMs = parseRetryAfter(failure.retryAfter);
  return new DatamonError(code, `${context.doing}: ${why}${detailOf(failure)}`, {
    cause: context.cause,
    ...(shown === undefined ? {} : { hint: shown }),
    ...(code === 'UNAVAILABLE' && retryAfterMs !== null ? { retryAfterMs } : {}),
  });
}

function meaningOf({ status, reason, message }: BucketFailure): Meaning {
  const known = BY_REASON[reason] ?? (status === null ? undefined : BY_STATUS[status]);
  if (known !== undefined) return known;
  if (status === null) return { code: 'UNAVAILABLE', why: 'it cannot be reached' };
  if (status >= 500) return { code: 'UNAVAILABLE', why: 'it failed' };
  if (status >= 300 && status < 400) {
    return {
      code: 'INVALID',
      why: 'it points to another address',
      hint: 'Check the region and the endpoint: AWS_REGION, AWS_ENDPOINT_URL, STORAGE_EMULATOR_HOST.',
    };
  }
  // Google tells damaged uploads as a plain 400.
  if (status === 400 && /crc32c|md5|checksum|digest/i.test(message)) return DAMAGED;
  return { code: 'INVALID', why: 'it refuses the request' };
}

/** The cloud's own words, shortened: who runs the bucket will look for them. */
function detailOf({ status, reason, message }: BucketFailure): string {
  const words = message.replaceAll(/\s+/g, ' ').trim().slice(0, 200);
  const detail = [status, reason, words === reason ? '' : words].filter(
    (part) => part !== null && part !== '',
  );
  return detail.length === 0 ? '' : ` (${detail.join(' ')})`;
}

/** A `Retry-After` header, in seconds or as a date, as milliseconds; null where it says nothing usable. */
function parseRetryAfter(header: string | null): number | null {
  if (header === null) return null;
  if (/^[0-9]{1,9}$/.test(header)) return Number(header) * 1000;
  const atMs = /[a-z]/i.test(header) ? Date.parse(header) : Number.NaN;
  return Number.isNaN(atMs) ? null : Math.max(0, atMs - Date.now());
}
