/** What a route is: one row of the table that mounting, access checks, tests and OpenAPI are made from. */
import type { Request, Response } from 'express';
import type { ActionClaims, Verb } from '../client/tokens.ts';
import { DatamonError } from '../core/errors.ts';
import type { RepoName } from '../core/keys.ts';
import type { Random } from '../core/random.ts';
import type { Access } from './access.ts';
import type { BatchMemory } from './batch-memory.ts';
import { type Caller, verbsOn } from './caller.ts';
import type { Repos } from './repos.ts';
import type { Log } from './request-log.ts';
import type { Settings } from './settings.ts';
import type { SpaceWatch } from './space-watch.ts';

/** What a server is made of. Nothing in it is lost with the process. */
export interface ServerDeps {
  readonly settings: Settings;
  readonly repos: Repos;
  readonly batches: BatchMemory;
  readonly space: SpaceWatch;
  readonly random: Random;
  readonly log: Log;
}

/** With the table that the app was made from, which describes itself. */
export interface AppDeps extends ServerDeps {
  readonly routes: readonly Route[];
}

/** Where a route lives: at the origin, below `/<repo>` as LFS or as a page, or below `/api/v1/repos/<repo>`. */
export type Area = 'root' | 'lfs' | 'page' | 'api';

export const API_PREFIX = '/api/v1/repos/:repo';

export interface Route {
  readonly area: Area;
  readonly method: 'get' | 'put' | 'post';
  /** Below its area; `:name` is one escaped segment, `*name` the rest. */
  readonly path: string;
  readonly access: Access;
  readonly summary: string;
  /** Query parameters, for OpenAPI. */
  readonly query?: readonly string[];
  /** Media type of the request body, for OpenAPI; none without one. */
  readonly body?: string;
  /** Media type of the answer. */
  readonly answer?: string;
  readonly run: (call: Call) => Promise<void> | void;
}

/** One request on its way through a route. */
export interface Call {
  readonly request: Request;
  readonly response: Response;
  readonly deps: AppDeps;
  readonly area: Area;
  readonly caller: Caller;
  /** The repo of the URL; throws where the route has none. */
  readonly repo: RepoName;
  readonly requestId: string;
}

/** A path parameter, unescaped. */
export function param(call: Call, name: string): string {
  const value: unknown = call.request.params[name];
  return typeof value === 'string' ? value : '';
}

/** The segments of a `*name` parameter, each unescaped. */
export function rest(call: Call, name: string): readonly string[] {
  const value: unknown = call.request.params[name];
  return Array.isArray(value) ? value.map(String) : [];
}

/** A query parameter given once, else undefined. INVALID where it is given twice. */
export function query(call: Call, name: string): string | undefined {
  const value: unknown = call.request.query[name];
  if (value === undefined || typeof value === 'string') return value;
  throw new DatamonError('INVALID', `the query parameter ${name} is given more than once`);
}

/** A whole number from the query, within bounds. */
export function queryCount(
  call: Call,
  name: string,
  bounds: { readonly max: number; readonly fallback: number },
): number {
  const text = query(call, name);
  if (text === undefined || text === '') return bounds.fallback;
  if (!/^[0-9]{1,15}$/.test(text)) {
    throw new DatamonError(
      'INVALID',
      `${name} is ${JSON.stringify(text.slice(0, 40))}, not a number`,
    );
  }
  return Math.min(Number(text), bounds.max);
}

export const mayUse = (call: Call, verb: Verb): boolean =>
  verbsOn(call.caller, call.repo).includes(verb);

/** The basic action that opened this call, or null where a person or a whole batch did. */
export function basicAction(call: Call): Extract<ActionClaims, { kind: 'basic' }> | null {
  return call.caller.action?.kind === 'basic' ? call.caller.action : null;
}

const HOST_PATTERN = /^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?$/;

/** What URLs in answers begin with. */
export function originOf(call: Call): string {
  const { publicUrl } = call.deps.settings;
  if (publicUrl !== null) return publicUrl;
  const host = call.request.headers.host ?? '';
  if (!HOST_PATTERN.test(host)) throw new DatamonError('INVALID', 'the Host header is not a host');
  return `http://${host}`;
}

export const repoUrl = (call: Call): string => `${originOf(call)}/${call.repo}`;
