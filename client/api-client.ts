/** Calls to one server: authorization, retries, and errors as the server meant them. */
import { type Body, bytesBody } from '../core/backend/backend.ts';
import { collect } from '../core/bytes.ts';
import { DatamonError, hasCode } from '../core/errors.ts';
import type { Parse } from '../core/shape.ts';
import { exchange, HTTP_LIMITS, type HttpAnswer, type HttpLimits } from './http.ts';
import { answerError, DOCTOR_HINT } from './http-errors.ts';
import {
  type Attempt,
  jittered,
  type Pace,
  parseRetryAfter,
  pause,
  REAL_PACE,
  RETRY_POLICY,
  type RetryNotice,
  type RetryPolicy,
  retry,
} from './retry.ts';
import type { Session } from './session.ts';

/** Largest JSON answer taken: the recipe or history of very much. */
const JSON_SIZE_MAX_BYTES = 256 * 1024 * 1024;
/** A token may be refused, renewed, and refused once more. */
const RENEWAL_COUNT_MAX = 2;

export interface ApiOptions {
  readonly pace?: Pace;
  readonly limits?: HttpLimits;
  readonly policy?: RetryPolicy;
  readonly signal?: AbortSignal;
  readonly onRetry?: (notice: RetryNotice) => void;
}

export interface Call {
  readonly method: 'GET' | 'PUT' | 'POST';
  /** Absolute. */
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Body;
  readonly contentType?: string;
  readonly onSent?: (sentBytes: number) => void;
  readonly signal?: AbortSignal | undefined;
  readonly policy?: RetryPolicy;
  /** Where the server works long before it answers. */
  readonly answerTimeoutMs?: number;
}

export class ApiClient {
  readonly #session: Session;
  readonly #pace: Pace;
  readonly #limits: HttpLimits;
  readonly #options: ApiOptions;
  #requestCount = 0;

  constructor(session: Session, options: ApiOptions = {}) {
    this.#session = session;
    this.#pace = options.pace ?? REAL_PACE;
    this.#limits = options.limits ?? HTTP_LIMITS;
    this.#options = options;
  }

  /** Requests sent so far, retries included. */
  get requestCount(): number {
    return this.#requestCount;
  }

  /** True once a request was sent with a token. */
  get hasToken(): boolean {
    return this.#session.token !== null;
  }

  /** The pause after so many failures in a row, for callers with loops of their own. */
  async pause(failures: number): Promise<void> {
    const { policy } = this;
    await pause(jittered(policy, failures, this.#pace), {
      pace: this.#pace,
      policy,
      signal: this.#options.signal,
    });
  }

  get policy(): RetryPolicy {
    return this.#options.policy ?? RETRY_POLICY;
  }

  /** Asks the token source now, where a server lets everybody read and names no need for a token. */
  async logIn(why: DatamonError): Promise<void> {
    await this.#session.renew(this.#session.token, why);
  }

  /** An answer with a 2xx status whose body is still to be read. Throws the server's error otherwise. */
  async open(call: Call): Promise<HttpAnswer> {
    return await this.#withRetries(call, (answer) => Promise.resolve(answer));
  }

  /** Like `open`, with the whole answer read by `read`, which is called again where the body is cut. */
  async read<T>(call: Call, read: (answer: HttpAnswer) => Promise<T>): Promise<T> {
    return await this.#withRetries(call, read);
  }

  /** Like `open`, with the body parsed as JSON; a body that is cut is asked for again. */
  async json<T>(call: Call, parse: Parse<T>): Promise<T> {
    return await this.located(call, parse, (value) => value);
  }

  /** Like `json`, told also where the answer came from, after redirects. */
  async located<T, U>(call: Call, parse: Parse<T>, join: (value: T, url: string) => U): Promise<U> {
    const headers = { Accept: 'application/json', ...call.headers };
    return await this.#withRetries({ ...call, headers }, async (answer) => {
      const bytes = await collect(answer.body, JSON_SIZE_MAX_BYTES);
      return join(parseAnswer(bytes, parse, `${call.method} ${shortUrl(call.url)}`), answer.url);
    });
  }

  /** Like `json`, with a JSON body to send. */
  async send<T>(call: Call & { readonly json: unknown }, parse: Parse<T>): Promise<T> {
    const body = bytesBody(Buffer.from(JSON.stringify(call.json)));
    return await this.json({ ...call, body, contentType: 'application/json' }, parse);
  }

  async #withRetries<T>(call: Call, read: (answer: HttpAnswer) => Promise<T>): Promise<T> {
    const signal = anySignal(this.#options.signal, call.signal);
    return await retry((_number) => this.#attempt(call, signal, read), {
      policy: call.policy ?? this.policy,
      pace: this.#pace,
      signal,
      onRetry: this.#options.onRetry,
    });
  }

  async #attempt<T>(
    call: Call,
    signal: AbortSignal | undefined,
    read: (answer: HttpAnswer) => Promise<T>,
  ): Promise<Attempt<T>> {
    for (let renewals = 0; ; renewals += 1) {
      const { token } = this.#session;
      const answer = await this.#exchange(call, signal, token);
      if (answer.status >= 200 && answer.status < 300) {
        this.#session.accept(token);
        return { value: await read(answer) };
      }
      const retryAfterMs = parseRetryAfter(answer.headers['retry-after'], this.#pace.now());
      const error = await answerError(answer, `${call.method} ${shortUrl(call.url)}`);
      if (!hasCode(error, 'UNAUTHENTICATED') || renewals >= RENEWAL_COUNT_MAX) {
        return { failure: { error, retryAfterMs } };
      }
      await this.#session.renew(token, error);
    }
  }

  #exchange(
    call: Call,
    signal: AbortSignal | undefined,
    token: string | null,
  ): Promise<HttpAnswer> {
    this.#requestCount += 1;
    const limits = { ...this.#limits };
    if (call.answerTimeoutMs !== undefined) limits.answerTimeoutMs = call.answerTimeoutMs;
    return exchange(
      {
        method: call.method,
        url: call.url,
        headers: {
          'User-Agent': 'datamon',
          ...call.headers,
          ...(call.contentType !== undefined && { 'Content-Type': call.contentType }),
          ...(token !== null && { Authorization: `Bearer ${token}` }),
        },
        ...(call.body && { body: call.body }),
        ...(call.onSent && { onSent: call.onSent }),
        ...(signal && { signal }),
      },
      limits,
    );
  }
}

function parseAnswer<T>(bytes: Uint8Array, parse: Parse<T>, what: string): T {
  try {
    // 201 and 204 may say nothing.
    const text = Buffer.from(bytes).toString('utf8');
    return parse(text === '' ? undefined : JSON.parse(text), 'answer');
  } catch (cause) {
    const why = cause instanceof DatamonError ? cause.message : 'it is not JSON';
    throw new DatamonError('UNSUPPORTED', `the answer to ${what} is not datamon's: ${why}`, {
      cause,
      hint: DOCTOR_HINT,
    });
  }
}

function anySignal(
  a: AbortSignal | undefined,
  b: AbortSignal | undefined,
): AbortSignal | undefined {
  return a && b ? AbortSignal.any([a, b]) : (a ?? b);
}

function shortUrl(url: string): string {
  const { origin, pathname } = new URL(url);
  return `${origin}${pathname.length > 120 ? `${pathname.slice(0, 117)}…` : pathname}`;
}
