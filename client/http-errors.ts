/** What can go wrong on the wire, as DatamonErrors: network failures by their cause, answers by their body or status. */

import { collect } from '../core/bytes.ts';
import { DatamonError, type ErrorCode } from '../core/errors.ts';
import { parseErrorBody } from '../core/meta/api-wire.ts';
import type { HttpAnswer } from './http.ts';

export const DOCTOR_HINT = 'Try: datamon doctor';
const ERROR_BODY_SIZE_MAX_BYTES = 64 * 1024;
const MESSAGE_LENGTH_MAX = 2000;

const CAUSES: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection closed by the other side',
  EPIPE: 'connection closed by the other side',
  ENOTFOUND: 'no such host',
  EAI_AGAIN: 'the host name cannot be looked up now',
  ETIMEDOUT: 'timed out',
  EHOSTUNREACH: 'no route to the host',
  ENETUNREACH: 'no network',
  EPROTO: 'not a TLS server',
};

/** TLS failures that trying again does not heal. */
const CERTIFICATE = /^(CERT_|ERR_TLS_CERT|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|HOSTNAME_MISMATCH)/;

/** The DatamonError for a request that got no answer, or a body that broke off. */
export function networkError(
  origin: string,
  cause: unknown,
  signal: AbortSignal | undefined,
): DatamonError {
  if (cause instanceof DatamonError) return cause;
  if (signal?.aborted) return new DatamonError('CANCELLED', 'stopped', { cause });
  const code = codeOf(cause);
  if (CERTIFICATE.test(code)) {
    return new DatamonError('FORBIDDEN', `the certificate of ${origin} is not trusted (${code})`, {
      cause,
      hint: 'If it is your own authority, name its file in NODE_EXTRA_CA_CERTS.',
    });
  }
  const why =
    CAUSES[code] ?? (cause instanceof Error ? printable(cause.message) : 'unknown reason');
  return new DatamonError('UNAVAILABLE', `cannot reach ${origin} (${why})`, {
    cause,
    hint: DOCTOR_HINT,
  });
}

function codeOf(cause: unknown): string {
  if (cause instanceof AggregateError) return codeOf(cause.errors[0]);
  const code = (cause as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : '';
}

const STATUS_CODES: Readonly<Record<number, ErrorCode>> = {
  401: 'UNAUTHENTICATED',
  403: 'FORBIDDEN',
  404: 'NOT_FOUND',
  405: 'UNSUPPORTED',
  408: 'UNAVAILABLE',
  409: 'CONFLICT',
  410: 'NOT_FOUND',
  413: 'TOO_LARGE',
  423: 'LOCKED',
  425: 'UNAVAILABLE',
  429: 'UNAVAILABLE',
  501: 'UNSUPPORTED',
  505: 'UNSUPPORTED',
  507: 'NO_SPACE',
};

function codeOfStatus(status: number): ErrorCode {
  return STATUS_CODES[status] ?? (status >= 500 ? 'UNAVAILABLE' : 'INVALID');
}

/** The cause of errors that were not told in datamon's words: a proxy's, or some other server's. */
export class ForeignAnswer extends Error {
  readonly status: number;

  constructor(status: number) {
    super(`status ${status}`);
    this.status = status;
  }
}

/** The DatamonError an answer stands for: its own code where the body is datamon's, else by status. Reads the body. */
export async function answerError(answer: HttpAnswer, what: string): Promise<DatamonError> {
  const { origin } = new URL(answer.url);
  const body = await collect(answer.body, ERROR_BODY_SIZE_MAX_BYTES).catch(() => Buffer.alloc(0));
  try {
    const error = parseErrorBody(JSON.parse(body.toString('utf8')), 'error');
    return new DatamonError(error.code, printable(error.message), {
      ...(error.hint !== undefined && { hint: printable(error.hint) }),
    });
  } catch {
    const code = codeOfStatus(answer.status);
    return new DatamonError(code, `${origin} answered ${answer.status} to ${what}`, {
      cause: new ForeignAnswer(answer.status),
      ...(code === 'UNAVAILABLE' && { hint: DOCTOR_HINT }),
    });
  }
}

/** A server's words on one line, without what would move a terminal's cursor. */
function printable(message: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  return message.replace(/[\u0000-\u001f\u007f-\u009f]+/g, ' ').slice(0, MESSAGE_LENGTH_MAX);
}
