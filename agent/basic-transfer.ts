/**
 * Plain Git LFS transfers, GET and PUT on the action's href, for servers that are no datamon or not one we understand.
 * Credentials are those of the action and stay with its origin; only http and https are spoken.
 */
import { isIP } from 'node:net';
import { exchange, HTTP_LIMITS, type HttpAnswer, type HttpLimits } from '../client/http.ts';
import { answerError } from '../client/http-errors.ts';
import type { ByteStream } from '../core/bytes.ts';
import type { BlobSource } from '../core/cas/blob-store.ts';
import { DatamonError } from '../core/errors.ts';
import type { Action } from './messages.ts';
import { RetryAfter } from './retry.ts';

/** After the last byte a server may still have to hash and store a large object. */
const BASIC_LIMITS: HttpLimits = { ...HTTP_LIMITS, answerTimeoutMs: 300_000 };
const OWN_HEADERS = new Set(['content-length', 'transfer-encoding', 'host', 'connection', 'range']);

/** Refuses addresses a server has no business to send us to. Throws FORBIDDEN. */
export function checkHref(href: string): URL {
  const url = URL.parse(href);
  const refuse = (why: string): DatamonError =>
    new DatamonError('FORBIDDEN', `the LFS server sent a transfer address ${why}`, {
      hint: 'Check the LFS URL with: git lfs env',
    });
  if (url === null) throw refuse('that is not a URL');
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw refuse(`of the kind ${url.protocol}, which is not spoken here`);
  }
  if (isLinkLocal(url.hostname)) throw refuse(`on ${url.hostname}, which is local to a machine`);
  return url;
}

/** Where clouds keep a machine's own credentials. */
function isLinkLocal(hostname: string): boolean {
  const address = hostname.replace(/^\[|\]$/g, '');
  if (isIP(address) === 4) return address.startsWith('169.254.');
  return isIP(address) === 6 && /^(fe[89ab]|::ffff:a9fe:)/i.test(address);
}

/** The object's bytes from `start` on. A server that ignores the range is read past what is known already. */
export async function* downloadBasic(
  action: Action,
  { start, signal }: { readonly start: number; readonly signal: AbortSignal },
): ByteStream {
  const url = checkHref(action.href);
  const range: Record<string, string> = start > 0 ? { Range: `bytes=${start}-` } : {};
  const answer = await exchange(
    { method: 'GET', url: url.href, headers: { ...headersOf(action), ...range }, signal },
    BASIC_LIMITS,
  );
  if (answer.status !== 200 && answer.status !== 206) throw await failure(answer, 'the download');
  let skipBytes = start - (answer.status === 206 ? partStart(answer) : 0);
  if (skipBytes < 0)
    throw new DatamonError('CORRUPT', `${url.origin} sent another part of the file`);
  for await (const bytes of answer.body) {
    const skipped = Math.min(skipBytes, bytes.length);
    skipBytes -= skipped;
    if (skipped < bytes.length) yield bytes.subarray(skipped);
  }
}

function partStart(answer: HttpAnswer): number {
  const match = /^bytes (\d+)-/.exec(answer.headers['content-range'] ?? '');
  // Without a readable range the part cannot be placed, and guessing would only show as a wrong hash.
  return match === null ? Number.POSITIVE_INFINITY : Number(match[1]);
}

export interface BasicUploadOptions {
  readonly onProgress: (doneBytes: number) => void;
  readonly signal: AbortSignal;
}

/** Sends the whole file. Resolves when the server says it has it. */
export async function uploadBasic(
  action: Action,
  source: BlobSource,
  { onProgress, signal }: BasicUploadOptions,
): Promise<void> {
  const url = checkHref(action.href);
  const body = { sizeBytes: source.sizeBytes, open: () => source.open() };
  const headers = { 'Content-Type': 'application/octet-stream', ...headersOf(action) };
  const answer = await exchange(
    { method: 'PUT', url: url.href, headers, body, onSent: onProgress, signal },
    BASIC_LIMITS,
  );
  if (answer.status < 200 || answer.status > 299) throw await failure(answer, 'the upload');
  for await (const _ of answer.body) {
    // Read to its end, so that the connection can serve the next request.
  }
}

/** The action's headers, spelled in one way; what belongs to the connection is ours. */
function headersOf(action: Action): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(action.header)) {
    if (!/^[\w!#$%&'*+.^`|~-]+$/.test(name) || /[\r\n\0]/.test(value)) {
      throw new DatamonError('FORBIDDEN', 'the LFS server sent a header with control characters');
    }
    if (OWN_HEADERS.has(name.toLowerCase())) continue;
    headers[canonical(name)] = value;
  }
  return headers;
}

const canonical = (name: string): string =>
  name.toLowerCase().replace(/(^|-)[a-z]/g, (letter) => letter.toUpperCase());

async function failure(answer: HttpAnswer, what: string): Promise<DatamonError> {
  const error = await answerError(answer, what);
  const seconds = Number(answer.headers['retry-after']);
  if (error.code !== 'UNAVAILABLE' || !Number.isFinite(seconds)) return error;
  return new DatamonError('UNAVAILABLE', error.message, {
    cause: new RetryAfter(seconds * 1000),
    ...(error.hint !== undefined && { hint: error.hint }),
  });
}
