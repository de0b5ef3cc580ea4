/** The Express app: puts the route table in place. It neither listens nor keeps anything that matters. */
import express, { type Express, type NextFunction, type Request, type Response } from 'express';
import { DatamonError, hasCode } from '../core/errors.ts';
import { parseRepoName, type RepoName } from '../core/keys.ts';
import { randomHex } from '../core/random.ts';
import { demand } from './access.ts';
import { ANONYMOUS, authenticate, type Caller } from './caller.ts';
import { locateRepo } from './locate.ts';
import { DEFAULT_HEADERS, failureOf, sendFailure } from './reply.ts';
import {
  API_PREFIX,
  type AppDeps,
  type Area,
  type Call,
  param,
  type Route,
  type ServerDeps,
} from './route.ts';
import { ROUTES } from './routes/table.ts';

/** Any other method gets the answer of an address that does not exist; express itself would answer OPTIONS for us. */
const METHODS = new Set(['GET', 'HEAD', 'PUT', 'POST']);
const REQUEST_ID_PATTERN = /^[A-Za-z0-9._-]{1,64}$/;
/** How long an unread body is swallowed after an early answer, so that the client gets to read it. */
const LINGER_MS = 2_000;

/** What is known of a request before a route takes it. */
interface Locals {
  startedAt?: number;
  requestId?: string | undefined;
  path?: string;
  repo?: RepoName;
}

const localsOf = (response: Response): Locals => response.locals;

const NOBODY: Caller = { subject: ANONYMOUS, isAnonymous: true, scopes: [], action: null };

export function createApp(server: ServerDeps): Express {
  const deps: AppDeps = { ...server, routes: ROUTES };
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('query parser', 'simple');
  // Names of repos are told apart by case, so routes are too: `Healthz` may be a repo.
  app.enable('case sensitive routing');
  const router = () => express.Router({ caseSensitive: true });
  app.use(stampRequest);
  app.use(refuseForeignHosts(deps));
  const below = { lfs: router(), page: router() };
  for (const route of ROUTES) {
    const run = runRoute(route, deps);
    if (route.area === 'root') app[route.method](route.path, run);
    else if (route.area === 'api') app[route.method](API_PREFIX + route.path, run);
    else below[route.area][route.method](route.path, run);
  }
  app.use(belowRepo([below.lfs, below.page]));
  app.use((request, response) => {
    fail(callOf({ request, response, deps, area: areaOf(request) }), nothingHere());
  });
  app.use((error: unknown, request: Request, response: Response, _next: NextFunction) => {
    fail(callOf({ request, response, deps, area: areaOf(request) }), error);
  });
  return app;
}

const nothingHere = () => new DatamonError('NOT_FOUND', 'there is nothing at this address');

function stampRequest(request: Request, response: Response, next: NextFunction): void {
  const given = request.headers['x-request-id'];
  const isUsable = typeof given === 'string' && REQUEST_ID_PATTERN.test(given);
  localsOf(response).startedAt = performance.now();
  localsOf(response).requestId = isUsable ? given : undefined;
  localsOf(response).path = request.path;
  for (const [name, value] of DEFAULT_HEADERS) response.setHeader(name, value);
  next(METHODS.has(request.method) ? undefined : nothingHere());
}

/** A web page elsewhere can make a browser call this server by a name of its own (DNS rebinding); such names are not answered. */
function refuseForeignHosts(deps: AppDeps) {
  return (request: Request, _response: Response, next: NextFunction): void => {
    const { hosts } = deps.settings;
    if (hosts !== null && !hosts.has(hostName(request.headers.host ?? ''))) {
      next(new DatamonError('FORBIDDEN', 'this server is not called by that name'));
    } else next();
  };
}

function hostName(host: string): string {
  return host.replace(/:[0-9]*$/, '').toLowerCase();
}

/** Hands what is below a repo to the routers, with the repo taken off the URL. */
function belowRepo(routers: readonly express.Router[]) {
  return (request: Request, response: Response, next: NextFunction): void => {
    const located = locateRepo(request.path);
    if (located === null) {
      next();
      return;
    }
    const { url } = request;
    const mark = url.indexOf('?');
    request.url = located.rest + (mark < 0 ? '' : url.slice(mark));
    localsOf(response).repo = located.repo;
    const tryRouter = (index: number): void => {
      const router = routers[index];
      if (router !== undefined) {
        router(request, response, (error?: unknown) =>
          error ? next(error) : tryRouter(index + 1),
        );
        return;
      }
      request.url = url;
      next();
    };
    tryRouter(0);
  };
}

function runRoute(route: Route, deps: AppDeps) {
  return async (request: Request, response: Response): Promise<void> => {
    let call = callOf({ request, response, deps, area: route.area });
    try {
      // Nobody reads this body: it must neither keep the connection busy for ever nor be waited for.
      if (route.body === undefined && hasMoreToCome(request)) closeAfterAnswer(request, response);
      const repo = repoOf(route.area, call);
      call = callOf({ request, response, deps, area: route.area, repo });
      if (route.access.kind !== 'open') {
        const caller = authenticate(request.headers.authorization, deps.settings);
        call = callOf({ request, response, deps, area: route.area, caller, repo });
        demand(route.access, caller, { repo, oid: param(call, 'oid') || null });
      }
      await route.run(call);
      record(call, response.statusCode);
    } catch (error) {
      fail(call, error);
    }
  };
}

function repoOf(area: Area, call: Call): RepoName | null {
  if (area === 'root') return null;
  if (area === 'api') return parseRepoName(param(call, 'repo'));
  return localsOf(call.response).repo as RepoName;
}

interface CallParts {
  readonly request: Request;
  readonly response: Response;
  readonly deps: AppDeps;
  readonly area: Area;
  readonly caller?: Caller;
  readonly repo?: RepoName | null;
}

function callOf(parts: CallParts): Call {
  const { response, deps, caller = NOBODY, repo = null } = parts;
  localsOf(response).requestId ??= randomHex(deps.random, 8);
  const requestId = String(localsOf(response).requestId);
  response.setHeader('X-Request-Id', requestId);
  return { ...parts, caller, repo: repo ?? ('' as RepoName), requestId };
}

/** The area of a request that no route took, so that even its 404 has the shape its client reads. */
function areaOf(request: Request): Area {
  if (request.path.startsWith('/api/')) return 'api';
  return /^application\/vnd\.git-lfs\+json/.test(request.headers.accept ?? '') ? 'lfs' : 'page';
}

function fail(call: Call, error: unknown): void {
  const { request, response, deps } = call;
  deps.space.noticed(error);
  const failure = failureOf(error, call.requestId);
  record(call, failure.status, { code: failure.code, ...whyOf(error, failure.status) });
  // Bytes are on their way: a clean end would make the client believe it has them all.
  if (response.headersSent) {
    response.destroy();
    return;
  }
  if (hasMoreToCome(request)) closeAfterAnswer(request, response);
  if (hasCode(error, 'CANCELLED') && request.destroyed) return;
  sendFailure(call, failure);
}

/** What the operator needs and the caller does not get: why the server failed, down to the cause; the stack where nobody foresaw it. */
function whyOf(error: unknown, status: number): { why?: string; trace?: string } {
  if (status < 500) return {};
  if (!(error instanceof DatamonError)) {
    return { trace: String(error instanceof Error ? error.stack : error) };
  }
  const cause = error.cause instanceof Error ? ` (${error.cause.message})` : '';
  return { why: error.message + cause };
}

/** True where a body is announced and not all of it is here. */
function hasMoreToCome({ complete, headers }: Request): boolean {
  return !complete && (headers['transfer-encoding'] !== undefined || announced(headers) > 0);
}

const announced = (headers: Request['headers']): number => Number(headers['content-length'] ?? 0);

/** The body was not read to its end: answer, let the client read the answer, then hang up. */
function closeAfterAnswer(request: Request, response: Response): void {
  response.setHeader('Connection', 'close');
  const { socket } = request;
  response.once('finish', () => {
    request.resume();
    setTimeout(() => socket.destroy(), LINGER_MS).unref();
  });
}

function record(
  call: Call,
  status: number,
  more: { code?: string; why?: string; trace?: string } = {},
): void {
  const { request, response, caller, requestId } = call;
  const durationMs = Math.round(performance.now() - Number(localsOf(response).startedAt));
  const path = String(localsOf(response).path);
  const { method } = request;
  call.deps.log({ requestId, method, path, status, subject: caller.subject, durationMs, ...more });
}
