/** Answers: JSON of each area, HTML, and errors in the shape their caller understands. */
import { DatamonError, type ErrorCode } from '../core/errors.ts';
import { HTTP_STATUS, RETRY_AFTER_SECONDS } from './http-status.ts';
import { errorPage } from './pages/error-page.ts';
import type { Area, Call } from './route.ts';

export const LFS_TYPE = 'application/vnd.git-lfs+json';
export const JSON_TYPE = 'application/json; charset=utf-8';
const DOCUMENTATION_URL = 'https://github.com/git-lfs/git-lfs/tree/main/docs/api';

/** Pages run no script and load nothing but their style. */
export const PAGE_POLICY =
  "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

/** On every answer, whoever makes it; pages have a policy of their own. No browser runs, guesses, frames or lends out what is served. */
export const DEFAULT_HEADERS: ReadonlyArray<readonly [string, string]> = [
  ['X-Content-Type-Options', 'nosniff'],
  ['Content-Security-Policy', "default-src 'none'; sandbox"],
  ['Cross-Origin-Resource-Policy', 'same-origin'],
  ['Referrer-Policy', 'same-origin'],
];

export function sendJson(call: Call, value: unknown, status = 200): void {
  const { response } = call;
  response.status(status);
  response.setHeader('Content-Type', call.area === 'lfs' ? LFS_TYPE : JSON_TYPE);
  response.setHeader('Cache-Control', 'no-store');
  response.end(JSON.stringify(value));
}

export function sendHtml(call: Call, html: string, status = 200): void {
  const { response } = call;
  response.status(status);
  response.setHeader('Content-Type', 'text/html; charset=utf-8');
  response.setHeader('Content-Security-Policy', PAGE_POLICY);
  response.setHeader('Cache-Control', 'no-cache, private');
  response.setHeader('Vary', 'Accept, Authorization');
  response.end(html);
}

/** True where a person is asking: HTML is wanted and JSON is not asked for by name. */
export function wantsHtml(accept: string | undefined): boolean {
  if (accept === undefined) return true;
  return accept.includes('text/html') || !/application\/(?:[\w.+-]*\+)?json/.test(accept);
}

export interface Failure {
  readonly status: number;
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint: string | undefined;
}

/** Where the store fails, its own words name places on the server: they go to the log. */
const STORE_WORDS: { readonly [code in ErrorCode]?: string } = {
  UNAVAILABLE: 'the store does not answer; try again in a while',
  NO_SPACE: 'the store is full; ask whoever runs the server',
};

/** What the caller is told. Failures nobody foresaw are told by their request id alone. */
export function failureOf(error: unknown, requestId: string): Failure {
  if (error instanceof DatamonError) {
    const { code, message, hint } = error;
    const words = STORE_WORDS[code];
    if (words !== undefined)
      return { status: HTTP_STATUS[code], code, message: words, hint: undefined };
    return { status: HTTP_STATUS[code], code, message, hint };
  }
  if (error instanceof URIError || hasStatus(error, 400)) {
    return { status: 400, code: 'INVALID', message: 'the URL is not readable', hint: undefined };
  }
  const message = `something failed inside the server (request ${requestId})`;
  return {
    status: 500,
    code: 'UNAVAILABLE',
    message,
    hint: 'Whoever runs it finds more in its log.',
  };
}

function hasStatus(error: unknown, status: number): boolean {
  return error instanceof Error && 'status' in error && error.status === status;
}

export function sendFailure(call: Call, failure: Failure): void {
  const { response, request } = call;
  if (failure.status === 401) {
    response.setHeader('LFS-Authenticate', 'Basic realm="datamon"');
    response.setHeader('WWW-Authenticate', 'Basic realm="datamon", charset="UTF-8"');
  }
  if (failure.status === 503) response.setHeader('Retry-After', String(RETRY_AFTER_SECONDS));
  const isPage = call.area === 'page' || call.area === 'root';
  if (isPage && wantsHtml(request.headers.accept)) {
    sendHtml(call, errorPage({ ...failure, requestId: call.requestId }), failure.status);
  } else sendJson(call, failureBody(call.area, failure, call.requestId), failure.status);
}

function failureBody(area: Area, failure: Failure, requestId: string): object {
  const { code, message, hint } = failure;
  if (area !== 'lfs') return { code, message, ...(hint === undefined ? {} : { hint }), requestId };
  return {
    message: hint === undefined ? message : `${message}. ${hint}`,
    documentation_url: DOCUMENTATION_URL,
    request_id: requestId,
  };
}
