/**
 * One HTTP exchange over node:http. Bodies stream both ways in bounded memory; every wait has a bound; credentials never
 * follow a redirect to another origin. Network failures are UNAVAILABLE; statuses are the caller's to judge.
 */
import type * as http from 'node:http';
import type * as https from 'node:https';
import { createRequire } from 'node:module';
import type { Body } from '../core/backend/backend.ts';
import type { ByteStream } from '../core/bytes.ts';
import { DatamonError } from '../core/errors.ts';
import { networkError } from './http-errors.ts';

export interface HttpLimits {
  /** From the last byte sent to the first line of the answer. */
  readonly answerTimeoutMs: number;
  /** Longest pause between two pieces of a body, either way. */
  readonly stallTimeoutMs: number;
}

export const HTTP_LIMITS: HttpLimits = { answerTimeoutMs: 60_000, stallTimeoutMs: 60_000 };
const REDIRECT_COUNT_MAX = 3;
const REDIRECT_STATUSES = new Set([301, 302, 303, 307, 308]);

export interface HttpRequest {
  readonly method: 'GET' | 'PUT' | 'POST';
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Body;
  /** Bytes of the body handed to the network so far, in this attempt. */
  readonly onSent?: (sentBytes: number) => void;
  readonly signal?: AbortSignal;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  /** Where the answer came from, after redirects. */
  readonly url: string;
  /** UNAVAILABLE when it is cut or stalls. */
  readonly body: ByteStream;
  /** Closes the connection instead of reading the body. */
  discard(): void;
}

/** Sends one request, following redirects of GETs. Rejects where there is no answer at all. */
export async function exchange(request: HttpRequest, limits: HttpLimits): Promise<HttpAnswer> {
  let current = request;
  for (let hops = 0; ; hops += 1) {
    const answer = await send(current, limits);
    const { location } = answer.headers;
    if (!REDIRECT_STATUSES.has(answer.status) || location === undefined) return answer;
    answer.discard();
    if (hops >= REDIRECT_COUNT_MAX) {
      throw new DatamonError(
        'UNSUPPORTED',
        `${request.url} redirects more than ${REDIRECT_COUNT_MAX} times`,
      );
    }
    current = redirected(current, location);
  }
}

/** The request to send instead; FORBIDDEN where following would leak or weaken something. */
export function redirected(request: HttpRequest, location: string): HttpRequest {
  const from = new URL(request.url);
  const to = URL.parse(location, from.href);
  const refuse = (why: string): DatamonError =>
    new DatamonError(
      'FORBIDDEN',
      `${from.origin} redirects ${request.method} ${from.pathname} ${why}`,
    );
  if (to === null || (to.protocol !== 'http:' && to.protocol !== 'https:')) {
    throw refuse('to something that is not a web address');
  }
  if (to.username !== '' || to.password !== '') throw refuse('to a URL with credentials in it');
  if (from.protocol === 'https:' && to.protocol === 'http:') throw refuse('from https to http');
  if (request.method !== 'GET') throw refuse(`to ${to.origin}; only GETs may be redirected`);
  const headers = to.origin === from.origin ? request.headers : harmless(request.headers);
  return { ...request, url: to.href, headers };
}

/** What may be told to another origin: an action's own headers can be as secret as Authorization. */
function harmless(headers: Readonly<Record<string, string>>): Record<string, string> {
  const kept = Object.entries(headers).filter(([name]) => /^(accept|range|content-)/i.test(name));
  return Object.fromEntries(kept);
}

type Client = Pick<typeof http | typeof https, 'request'>;

/**
 * Loaded by whoever asks a server: it takes Node longer to load its HTTP than us all the rest, and on a store nobody needs it. Not by `import`,
 * which reads all the module exports and so loads Node's other HTTP client, for WebSocket.
 */
const clientOf = ({ protocol }: URL): Client =>
  load(protocol === 'https:' ? 'node:https' : 'node:http') as Client;

const load = createRequire(import.meta.url);

function send(request: HttpRequest, limits: HttpLimits): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const url = new URL(request.url);
    const { origin } = url;
    const client = clientOf(url);
    const fail = (cause: unknown): void => reject(networkError(origin, cause, request.signal));
    const attempt = open(client, request);
    if ('failure' in attempt) {
      fail(attempt.failure);
      return;
    }
    const { outgoing } = attempt;
    const watch = watchdog((ms) => outgoing.destroy(new StallError(ms)));
    const sending = { outgoing, over: false };
    const end = (): void => {
      sending.over = true;
      watch.disarm();
    };
    watch.arm(limits.answerTimeoutMs);
    outgoing.on('error', (cause) => {
      end();
      fail(cause);
    });
    outgoing.on('response', (incoming) => {
      end();
      resolve(
        answerOf({ incoming, outgoing, origin, limits, signal: request.signal }, request.url),
      );
    });
    sendBody(request, sending, () => watch.arm(limits.stallTimeoutMs)).then(
      () => sending.over || watch.arm(limits.answerTimeoutMs),
      (cause) => {
        end();
        fail(cause); // a source that fails is its own DatamonError and stays that
        outgoing.destroy();
      },
    );
  });
}

function open(
  client: Client,
  request: HttpRequest,
): { readonly outgoing: http.ClientRequest } | { readonly failure: unknown } {
  const url = new URL(request.url);
  const length = request.method === 'GET' ? {} : { 'Content-Length': request.body?.sizeBytes ?? 0 };
  try {
    request.signal?.throwIfAborted();
    const outgoing = client.request(url, {
      method: request.method,
      headers: { ...request.headers, ...length },
      ...(request.signal && { signal: request.signal }),
    });
    return { outgoing };
  } catch (failure) {
    return { failure };
  }
}

interface Sending {
  readonly outgoing: http.ClientRequest;
  /** True once there is an answer or a failure: nothing more need be sent. */
  readonly over: boolean;
}

async function sendBody(
  request: HttpRequest,
  sending: Sending,
  onPiece: () => void,
): Promise<void> {
  const { outgoing } = sending;
  let sentBytes = 0;
  for await (const bytes of request.body?.open() ?? []) {
    if (sending.over) return;
    if (!outgoing.write(bytes)) await drained(outgoing);
    if (sending.over) return;
    onPiece();
    sentBytes += bytes.length;
    request.onSent?.(sentBytes);
  }
  outgoing.end();
}

function drained(outgoing: http.ClientRequest): Promise<void> {
  const events = ['drain', 'close', 'response'];
  return new Promise((resolve) => {
    const done = (): void => {
      for (const event of events) outgoing.off(event, done);
      resolve();
    };
    for (const event of events) outgoing.on(event, done);
  });
}

interface Incoming {
  readonly incoming: http.IncomingMessage;
  readonly outgoing: http.ClientRequest;
  readonly origin: string;
  readonly limits: HttpLimits;
  readonly signal: AbortSignal | undefined;
}

function answerOf(answer: Incoming, url: string): HttpAnswer {
  const { statusCode: status = 0, headers } = answer.incoming;
  // Without a listener an answer that is cut before anybody reads it would end the process.
  answer.incoming.on('error', () => undefined);
  return {
    status,
    headers,
    url,
    body: bodyOf(answer),
    discard: () => void answer.outgoing.destroy(),
  };
}

async function* bodyOf(answer: Incoming): ByteStream {
  const { incoming, outgoing, limits } = answer;
  const watch = watchdog((ms) => incoming.destroy(new StallError(ms)));
  try {
    watch.arm(limits.stallTimeoutMs);
    for await (const bytes of incoming) {
      watch.disarm(); // a slow reader is not a stalled server
      yield bytes as Buffer;
      watch.arm(limits.stallTimeoutMs);
    }
  } catch (cause) {
    throw networkError(answer.origin, cause, answer.signal);
  } finally {
    watch.disarm();
    // Whatever was not sent or read would block the connection for the next request.
    if (!incoming.complete || !outgoing.writableFinished) outgoing.destroy();
  }
}

/** The other side was silent for too long. */
class StallError extends Error {
  readonly code = 'STALLED';

  constructor(ms: number) {
    super(`no byte for ${Math.round(ms / 1000)} s`);
  }
}

interface Watchdog {
  arm(ms: number): void;
  disarm(): void;
}

function watchdog(bite: (ms: number) => void): Watchdog {
  let timer: NodeJS.Timeout | undefined;
  const disarm = (): void => clearTimeout(timer);
  return {
    disarm,
    arm(ms) {
      disarm();
      timer = setTimeout(() => bite(ms), ms);
    },
  };
}
