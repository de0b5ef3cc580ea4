/**
 * Messages of the custom transfer protocol, version 1: types, parse, format. A line is never trusted: what is not a
 * request becomes a `Malformed` that can be answered. Unknown fields are ignored, so later clients are understood.
 */
import { type Digest, isDigest } from '../core/digest.ts';
import { DatamonError, type ErrorCode } from '../core/errors.ts';

export type Operation = 'upload' | 'download';

/** A line longer than this is not read further; git-lfs sends a few hundred bytes. */
export const LINE_SIZE_MAX_BYTES = 1024 * 1024;
const CONCURRENT_TRANSFERS_MAX = 64;

/** What a server told git-lfs to do for one object; absent (null) in standalone mode. `expires_at` is often year 1, so it is ignored. */
export interface Action {
  readonly href: string;
  readonly header: Readonly<Record<string, string>>;
}

export interface InitRequest {
  readonly event: 'init';
  readonly operation: Operation;
  /** A remote's name, or the URL that was pushed to. */
  readonly remote: string;
  /** How many objects the user lets travel at once. */
  readonly concurrentTransfers: number;
}

export interface UploadRequest {
  readonly event: 'upload';
  readonly oid: Digest;
  readonly sizeBytes: number;
  /** Absolute, in the client's LFS store. */
  readonly path: string;
  readonly action: Action | null;
}

export interface DownloadRequest {
  readonly event: 'download';
  readonly oid: Digest;
  readonly sizeBytes: number;
  readonly action: Action | null;
}

export interface TerminateRequest {
  readonly event: 'terminate';
}

/** A line that is no request. `oid` is what the answer has to name so that git-lfs can match it, `''` where the line had none. */
export interface Malformed {
  readonly event: 'malformed';
  /** True where the answer is the one to an `init`. */
  readonly isInit: boolean;
  readonly oid: string;
  readonly reason: string;
}

export type ObjectRequest = UploadRequest | DownloadRequest;
export type Request = InitRequest | ObjectRequest | TerminateRequest;

/** As git-lfs prints it: `[code] message`. */
export interface WireError {
  readonly code: number;
  readonly message: string;
}

export interface InitAnswer {
  readonly error?: WireError;
}

export interface ProgressMessage {
  readonly event: 'progress';
  readonly oid: string;
  readonly bytesSoFar: number;
  readonly bytesSinceLast: number;
}

export interface CompleteMessage {
  readonly event: 'complete';
  readonly oid: string;
  /** Downloads: a finished file that git-lfs renames into its store. */
  readonly path?: string;
  readonly error?: WireError;
}

export type Message = InitAnswer | ProgressMessage | CompleteMessage;

/** Numbers of our own in the fashion of HTTP, since git-lfs shows them and people search for them. */
export const WIRE_CODES = {
  INVALID: 400,
  MISMATCH: 412,
  NOT_FOUND: 404,
  CONFLICT: 409,
  LOCKED: 423,
  UNAUTHENTICATED: 401,
  FORBIDDEN: 403,
  CORRUPT: 500,
  INCOMPLETE: 424,
  TOO_LARGE: 413,
  NO_SPACE: 507,
  UNSUPPORTED: 501,
  UNAVAILABLE: 503,
  CANCELLED: 499,
} as const satisfies Record<ErrorCode, number>;

const MESSAGE_LENGTH_MAX = 2000;

/** One line for people: what failed, then what to do. */
export function wireError(error: DatamonError): WireError {
  const hint = error.hint === undefined ? '' : ` ${error.hint}`;
  const stop = /[.!?]$/.test(error.message) || hint === '' ? '' : '.';
  const text = `datamon: ${error.message}${stop}${hint}`.replaceAll(/\s+/g, ' ');
  return { code: WIRE_CODES[error.code], message: text.slice(0, MESSAGE_LENGTH_MAX) };
}

/** Whatever was thrown, as an error with a code. What is no `DatamonError` is a fault of ours; only its message is shown. */
export function asDatamonError(thrown: unknown): DatamonError {
  if (thrown instanceof DatamonError) return thrown;
  const reason = thrown instanceof Error ? thrown.message : String(thrown);
  return new DatamonError('UNAVAILABLE', `unexpected failure: ${reason}`, {
    cause: thrown,
    hint: 'Try again; if it stays, run: datamon doctor',
  });
}

export function formatMessage(message: Message): string {
  return `${JSON.stringify(message)}\n`;
}

type Fields = Readonly<Record<string, unknown>>;

/** One line, without its end, as a request. Never throws. */
export function parseRequest(line: string): Request | Malformed {
  if (Buffer.byteLength(line) > LINE_SIZE_MAX_BYTES) {
    return malformed({}, `a line of more than ${LINE_SIZE_MAX_BYTES} bytes`);
  }
  const fields = parseFields(line);
  if (fields === null) return malformed({}, 'a line that is not a JSON object');
  switch (fields['event']) {
    case 'init':
      return parseInit(fields);
    case 'upload':
    case 'download':
      return parseObjectRequest(fields, fields['event']);
    case 'terminate':
      return { event: 'terminate' };
    default:
      return malformed(fields, `the event ${shown(fields['event'])}, which this version ignores`);
  }
}

function parseFields(line: string): Fields | null {
  try {
    const value: unknown = JSON.parse(line);
    return value !== null && typeof value === 'object' && !Array.isArray(value)
      ? (value as Fields)
      : null;
  } catch {
    return null;
  }
}

function parseInit(fields: Fields): InitRequest | Malformed {
  const { operation, remote, concurrenttransfers } = fields as Record<string, unknown>;
  if (operation !== 'upload' && operation !== 'download') {
    return malformed(fields, `the operation ${shown(operation)}`);
  }
  if (remote !== undefined && typeof remote !== 'string') {
    return malformed(fields, `the remote ${shown(remote)}`);
  }
  return {
    event: 'init',
    operation,
    remote: remote ?? '',
    concurrentTransfers: clampTransfers(concurrenttransfers),
  };
}

function clampTransfers(value: unknown): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value)) return 1;
  return Math.min(Math.max(value, 1), CONCURRENT_TRANSFERS_MAX);
}

function parseObjectRequest(fields: Fields, event: Operation): ObjectRequest | Malformed {
  const { oid, size, path } = fields as Record<string, unknown>;
  if (!isDigest(oid))
    return malformed(fields, `the oid ${shown(oid)}, not 64 lower-case hex digits`);
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) {
    return malformed(fields, `the size ${shown(size)} of ${oid}`);
  }
  const action = parseAction(fields['action']);
  if (typeof action === 'string') return malformed(fields, `${action} for ${oid}`);
  if (event === 'download') return { event, oid, sizeBytes: size, action };
  if (typeof path !== 'string' || path === '' || path.includes('\0')) {
    return malformed(fields, `the path ${shown(path)} of ${oid}`);
  }
  return { event, oid, sizeBytes: size, path, action };
}

/** The action, null without one, or what is wrong with it. */
function parseAction(value: unknown): Action | null | string {
  if (value === null || value === undefined) return null;
  if (typeof value !== 'object' || Array.isArray(value)) return 'an action that is not an object';
  const { href, header } = value as Record<string, unknown>;
  if (typeof href !== 'string') return 'an action without href';
  if (header === undefined || header === null) return { href, header: {} };
  if (typeof header !== 'object' || Array.isArray(header)) return 'a header that is not an object';
  const headers: Record<string, string> = {};
  for (const [name, text] of Object.entries(header)) {
    if (typeof text !== 'string') return `a header ${shown(name)} that is not a string`;
    headers[name] = text;
  }
  return { href, header: headers };
}

function malformed(fields: Fields, reason: string): Malformed {
  const oid = fields['oid'];
  return {
    event: 'malformed',
    isInit: fields['event'] === 'init',
    oid: typeof oid === 'string' ? oid.slice(0, 256) : '',
    reason: `git-lfs sent ${reason}`,
  };
}

function shown(value: unknown): string {
  return value === undefined ? 'nothing' : (JSON.stringify(value) ?? 'nothing').slice(0, 80);
}
