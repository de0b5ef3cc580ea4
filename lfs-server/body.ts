/** Request bodies: read no faster than used, never slower than a floor, never more than announced. */
import type { IncomingMessage } from 'node:http';
import { type ByteStream, collect } from '../core/bytes.ts';
import { DatamonError } from '../core/errors.ts';
import { JSON_MARK_COUNT_MAX, type Limits } from './settings.ts';

const JSON_TYPES = new Set(['application/json', 'application/vnd.git-lfs+json']);

/** The body as JSON. An empty body is an empty object. */
export async function readJson(
  request: IncomingMessage,
  options: { readonly limitBytes: number; readonly limits: Limits },
): Promise<unknown> {
  const { limitBytes, limits } = options;
  refuseEncoding(request);
  const type = request.headers['content-type']?.split(';')[0]?.trim().toLowerCase() ?? '';
  const announced = announcedSize(request);
  // A type must be said: forms of foreign web pages cannot say it.
  if (!JSON_TYPES.has(type)) {
    throw new DatamonError('INVALID', `the body is ${type || 'of no type'}, not application/json`);
  }
  if (announced !== null && announced > limitBytes) throw tooLong(limitBytes);
  const watch = { floor: limits.rateFloorBytesPerSecond, stallMs: limits.stallMaxMs };
  const deadline = performance.now() + limits.jsonTimeoutMs;
  const bytes = await collect(watched(request, watch, deadline), limitBytes);
  if (hasTooManyMarks(bytes)) {
    throw new DatamonError('TOO_LARGE', `the body has more than ${JSON_MARK_COUNT_MAX} values`);
  }
  return parseJson(bytes);
}

/** Counted before anything is made of them. What stands in strings counts too: no honest body comes near. */
function hasTooManyMarks(bytes: Buffer): boolean {
  if (bytes.length <= JSON_MARK_COUNT_MAX) return false;
  let marks = 0;
  for (const byte of bytes) {
    // , : [ {
    if (byte === 0x2c || byte === 0x3a || byte === 0x5b || byte === 0x7b) marks += 1;
  }
  return marks > JSON_MARK_COUNT_MAX;
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

function parseJson(bytes: Buffer): unknown {
  if (bytes.length === 0) return {};
  try {
    return JSON.parse(utf8.decode(bytes));
  } catch (cause) {
    throw new DatamonError('INVALID', 'the body is not JSON in UTF-8', { cause });
  }
}

/** The body of exactly `sizeBytes`; MISMATCH as soon as it is longer, or ends before. */
export async function* readExactly(
  request: IncomingMessage,
  options: { readonly sizeBytes: number; readonly limits: Limits },
): ByteStream {
  const { sizeBytes, limits } = options;
  const watch = { floor: limits.rateFloorBytesPerSecond, stallMs: limits.stallMaxMs };
  let received = 0;
  for await (const bytes of watched(request, watch)) {
    received += bytes.length;
    if (received > sizeBytes) break;
    yield bytes;
  }
  if (received !== sizeBytes) {
    const fault = received > sizeBytes ? 'longer' : `only ${received} bytes long`;
    throw new DatamonError('MISMATCH', `the body is ${fault}, not ${sizeBytes} bytes`);
  }
}

/** Content-Length, or null where it is not said. */
export function announcedSize(request: IncomingMessage): number | null {
  const header = request.headers['content-length'];
  return header === undefined ? null : Number(header);
}

/** Bodies are taken as they are: a compressed one could unfold into anything. */
export function refuseEncoding(request: IncomingMessage): void {
  const encoding = request.headers['content-encoding'] ?? 'identity';
  if (encoding !== 'identity') {
    throw new DatamonError('INVALID', `a body in the encoding ${JSON.stringify(encoding)}`, {
      hint: 'Send it without Content-Encoding.',
    });
  }
}

const tooLong = (limitBytes: number) =>
  new DatamonError('TOO_LARGE', `the body has more than ${limitBytes} bytes`);

interface Watch {
  readonly floor: number;
  readonly stallMs: number;
}

/**
 * Passes the body on. Only time spent waiting for the client counts: each byte earns 1/floor of a second, never more
 * than `stallMs` in all, and who has used that up is cut; so is whoever is not through at `deadline`, by `performance.now()`.
 */
async function* watched(
  request: IncomingMessage,
  watch: Watch,
  deadline = Number.POSITIVE_INFINITY,
): ByteStream {
  const iterator = request[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  let creditMs = watch.stallMs;
  while (true) {
    const start = performance.now();
    const next = await withinMs(iterator.next(), Math.min(creditMs, deadline - start));
    if (next.done === true) return;
    const earned = (next.value.length * 1000) / watch.floor;
    creditMs = Math.min(watch.stallMs, creditMs - (performance.now() - start) + earned);
    yield next.value;
  }
}

async function withinMs<T>(promise: Promise<T>, timeoutMs: number): Promise<T> {
  let tooSlow = (): void => {};
  const cut = new Promise<never>((_resolve, reject) => {
    tooSlow = () => reject(new DatamonError('CANCELLED', 'the body came too slowly'));
  });
  const timer = setTimeout(tooSlow, Math.max(1, timeoutMs));
  try {
    return await Promise.race([promise, cut]);
  } catch (error) {
    // The loser must not end the process as an unhandled rejection.
    promise.catch(() => undefined);
    if (error instanceof DatamonError) throw error;
    throw new DatamonError('CANCELLED', 'the client went away', { cause: error });
  } finally {
    clearTimeout(timer);
  }
}
