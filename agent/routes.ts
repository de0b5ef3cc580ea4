/**
 * Which way an object travels: through datamon (straight on a store, or a server's API), or as a plain GET or PUT where the
 * peer is no datamon or one this version does not understand. Repositories are opened once and shared by all objects.
 */
import type { BlobStore } from '../core/cas/blob-store.ts';
import { DatamonError, type ErrorCode } from '../core/errors.ts';
import type { Repository } from '../core/meta/repository.ts';
import type { Log } from './log-file.ts';
import { type Action, asDatamonError, type ObjectRequest } from './messages.ts';

export type Route =
  | { readonly kind: 'datamon'; readonly blobs: BlobStore; readonly batch: BatchAccess | null }
  | { readonly kind: 'basic'; readonly action: Action };

/** What a server's action tells beyond the object itself. */
export interface BatchAccess {
  readonly repoUrl: string;
  /** As the server gave it; bound to repo, operation and batch. */
  readonly token: string | null;
}

/** Opens the repo at `url`. `token` is asked each time one is needed: a later batch brings a later token. */
export type OpenRepository = (
  url: string,
  options: { readonly token: (() => string | null) | null },
) => Promise<Repository>;

export interface RoutesOptions {
  readonly openRepository: OpenRepository;
  /** The repo's URL where no server takes part; throws where there is none. */
  readonly standaloneUrl: () => Promise<string>;
  /** Told each time an object is found to travel through datamon. */
  readonly onDatamon: () => void;
  readonly log: Log;
}

export interface Routes {
  /** Opens the store of standalone mode ahead of the first object. */
  openStandalone(): Promise<void>;
  find(request: ObjectRequest): Promise<Route>;
  /** The plain way for an object whose datamon way failed with `error`; null where it would fail alike, or there is none. */
  fallback(request: ObjectRequest, error: unknown): Route | null;
  close(): Promise<void>;
}

interface Opened {
  /** Null: speak plain LFS to this server. */
  readonly repository: Promise<Repository | null>;
  token: string | null;
}

export function createRoutes(options: RoutesOptions): Routes {
  const servers = new Map<string, Opened>();
  let standalone: Promise<Repository> | null = null;

  const openStandalone = (): Promise<Repository> => {
    standalone ??= options
      .standaloneUrl()
      .then((url) => options.openRepository(url, { token: null }))
      .catch((error: unknown) => {
        standalone = null; // the next object may find it back
        throw error;
      });
    return standalone;
  };

  return {
    openStandalone: async () => {
      await openStandalone();
    },
    find: async (request) => {
      const { action } = request;
      if (action === null) {
        const { blobs } = await openStandalone();
        options.onDatamon();
        return { kind: 'datamon', blobs, batch: null };
      }
      const repoUrl = repoUrlOf(action.href, request.oid);
      if (repoUrl === null) return { kind: 'basic', action };
      const token = tokenOf(action);
      const server = servers.get(repoUrl) ?? openServer(options, repoUrl);
      servers.set(repoUrl, server);
      server.token = token;
      const repository = await server.repository;
      if (repository === null) return { kind: 'basic', action };
      options.onDatamon();
      return { kind: 'datamon', blobs: repository.blobs, batch: { repoUrl, token } };
    },
    fallback: (request, error) => {
      if (request.action === null || !mayPassPlainly(request, asDatamonError(error).code)) {
        return null;
      }
      return { kind: 'basic', action: request.action };
    },
    close: async () => {
      const opened = [...servers.values()].map(({ repository }) => repository);
      const all = standalone === null ? opened : [...opened, standalone];
      await Promise.all(all.map(async (repository) => (await repository)?.close()));
    },
  };
}

function openServer({ openRepository, log }: RoutesOptions, repoUrl: string): Opened {
  const server: { token: string | null } = { token: null };
  // Deferred by a tick, so that the first token is in place when it is asked for.
  const repository = Promise.resolve()
    .then(() => openRepository(repoUrl, { token: () => server.token }))
    .catch((error: unknown) => {
      log(`${repoUrl}: plain transfers, because: ${asDatamonError(error).message}`);
      return null;
    });
  return Object.assign(server, { repository });
}

/** Failures that belong to datamon's own API rather than to the object. */
function mayPassPlainly(request: ObjectRequest, code: ErrorCode): boolean {
  if (code === 'UNSUPPORTED' || code === 'UNAVAILABLE') return true;
  // For an upload it is the repo or the route that was not found.
  return code === 'NOT_FOUND' && request.event === 'upload';
}

/** `<origin>/<repo>` of `<origin>/<repo>/objects/<oid>`; null where the address has another shape. */
export function repoUrlOf(href: string, oid: string): string | null {
  const url = URL.parse(href);
  const suffix = `/objects/${oid}`;
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) return null;
  if (url.search !== '' || url.username !== '' || !url.pathname.endsWith(suffix)) return null;
  const repo = url.pathname.slice(0, -suffix.length).replace(/\/+$/, '');
  return repo === '' ? null : `${url.origin}${repo}`;
}

/** The token in an action's Authorization header: a Bearer's, or a Basic's password. */
export function tokenOf(action: Action): string | null {
  const [, value] =
    Object.entries(action.header).find(([name]) => name.toLowerCase() === 'authorization') ?? [];
  const [, scheme, credentials] = /^(bearer|basic)\s+(\S+)$/i.exec(value ?? '') ?? [];
  if (scheme === undefined || credentials === undefined) return null;
  if (scheme.toLowerCase() === 'bearer') return credentials;
  const pair = Buffer.from(credentials, 'base64').toString('utf8');
  const colon = pair.indexOf(':');
  if (colon < 0) throw new DatamonError('INVALID', 'the LFS server sent unreadable credentials');
  return pair.slice(colon + 1);
}
