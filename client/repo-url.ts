/** Repo URLs, both directions: `datamon::<store>//<repo>` and `<store>//<repo>` straight on a store, `http(s)://host/<repo>` through a server; an absolute path is a store too. */
import { DatamonError } from '../core/errors.ts';
import { parseRepoName, type RepoName } from '../core/keys.ts';

export interface StoreRepoUrl {
  readonly kind: 'store';
  /** As `openBackend` takes it: `file:///abs/dir`, `gs://bucket/prefix`, `memory:x`. */
  readonly storeUrl: string;
  readonly repo: RepoName;
}

export interface ServerRepoUrl {
  readonly kind: 'server';
  /** `https://host:port`, without a final slash. */
  readonly origin: string;
  readonly repo: RepoName;
  /** `<origin>/<repo>`. */
  readonly url: string;
}

export type RepoUrl = StoreRepoUrl | ServerRepoUrl;

/** A place that holds repos, without one of them named. */
export type Endpoint =
  | { readonly kind: 'store'; readonly storeUrl: string }
  | { readonly kind: 'server'; readonly origin: string };

const LFS_PREFIX = 'datamon::';
const URL_LENGTH_MAX = 4096;
const STORE_SCHEME = /^(file:\/\/(?=\/)|gs:\/\/|s3:\/\/|memory:)/;
const HINT =
  'A repo is file:///dir//owner/name, gs://bucket/prefix//owner/name or https://server/owner/name.';

/** Parses a repo's URL. INVALID names what is wrong, without repeating credentials. */
export function parseRepoUrl(text: string): RepoUrl {
  const checked = checkCharacters(text);
  if (/^https?:\/\//i.test(checked)) return parseServerRepo(checked);
  const storeText = storeTextOf(checked);
  const scheme = storeScheme(storeText);
  const rest = storeText.slice(scheme.length);
  const split = rest.replace(/\/+$/, '').lastIndexOf('//');
  if (split < 0) {
    throw refuse(`${shown(text)} names a store but no repo in it`, {
      hint: `Put the repo behind two slashes: ${storeText.replace(/\/+$/, '')}//owner/name`,
    });
  }
  return {
    kind: 'store',
    storeUrl: storeOf(scheme, rest.slice(0, split)),
    repo: parseRepoName(rest.slice(split + 2).replace(/\/+$/, '')),
  };
}

/** Parses the URL of a store or a server; where it names a repo, its store or server is meant. */
export function parseEndpoint(text: string): Endpoint {
  const checked = checkCharacters(text);
  if (/^https?:\/\//i.test(checked)) return { kind: 'server', origin: parseHttp(checked).origin };
  const storeText = storeTextOf(checked);
  const scheme = storeScheme(storeText);
  const rest = storeText.slice(scheme.length).replace(/\/+$/, '');
  const split = rest.lastIndexOf('//');
  return { kind: 'store', storeUrl: storeOf(scheme, split < 0 ? rest : rest.slice(0, split)) };
}

/** The shortest text that parses back to `url`. */
export function formatRepoUrl(url: RepoUrl): string {
  return url.kind === 'server' ? url.url : `${url.storeUrl}//${url.repo}`;
}

/** What goes into `lfs.url`: git-lfs passes `datamon::` URLs through untouched to the agent. */
export function lfsUrl(url: RepoUrl): string {
  return url.kind === 'server' ? url.url : `${LFS_PREFIX}${formatRepoUrl(url)}`;
}

function checkCharacters(text: string): string {
  if (text.length === 0 || text.length > URL_LENGTH_MAX) {
    throw refuse(`a repo URL has 1 to ${URL_LENGTH_MAX} characters, this one has ${text.length}`);
  }
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  if (/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/.test(text)) {
    throw refuse('a repo URL must not contain control characters');
  }
  // A URL that begins with a dash would be an option to every program it is handed to.
  if (text.startsWith('-')) throw refuse(`${shown(text)} begins with a dash`);
  return text;
}

/** An absolute path stands for the directory's `file:` URL. */
function storeTextOf(text: string): string {
  const bare = text.startsWith(LFS_PREFIX) ? text.slice(LFS_PREFIX.length) : text;
  if (!/^\/(?!\/)/.test(bare)) return bare;
  return `file://${bare.split('/').map(encodeURIComponent).join('/')}`;
}

function storeScheme(text: string): string {
  const scheme = STORE_SCHEME.exec(text)?.[0];
  if (scheme !== undefined) return scheme;
  if (text.startsWith('file:')) throw refuse(`${shown(text)}: file URLs are file:///absolute/dir`);
  throw refuse(
    `${shown(text)} is not the URL of a store or server (file:, gs:, s3:, memory:, https:)`,
  );
}

function storeOf(scheme: string, rest: string): string {
  const path = rest.replace(/\/+$/, '');
  if (path === '' && scheme !== 'memory:') throw refuse(`${scheme}… names no place for a store`);
  if ((scheme === 'gs://' || scheme === 's3://') && /[@?#]/.test(path)) {
    throw refuse('a store URL has no credentials, query or fragment', {
      hint: "Credentials come from the cloud's own chain, never from a URL.",
    });
  }
  return `${scheme}${path}`;
}

function parseServerRepo(text: string): ServerRepoUrl {
  const { origin, pathname } = parseHttp(text);
  const path = pathname
    .replace(/\/+$/, '')
    .replace(/\/info\/lfs$/, '')
    .replace(/\.git$/, '');
  if (path === '') {
    throw refuse(`${origin} names a server but no repo on it`, {
      hint: `Put the repo behind it: ${origin}/owner/name`,
    });
  }
  const repo = parseRepoName(path.slice(1));
  return { kind: 'server', origin, repo, url: `${origin}/${repo}` };
}

function parseHttp(text: string): { readonly origin: string; readonly pathname: string } {
  const authority = /^https?:\/\/([^/]*)/i.exec(text)?.[1] ?? '';
  if (authority.includes('@')) {
    throw refuse('a repo URL must not contain a user name or password', {
      hint: 'Take them out and run: datamon login <url>',
    });
  }
  if (/[\s\\?#]/.test(text)) {
    throw refuse("a server's repo URL has no spaces, backslashes, query or fragment");
  }
  const url = URL.parse(text);
  const rawPath = text.slice(text.indexOf(authority, text.indexOf('//') + 2) + authority.length);
  // What the URL parser rewrites (dot segments, escapes) is not a repo, and must not silently become another one.
  if (url === null || authority === '' || url.pathname !== (rawPath === '' ? '/' : rawPath)) {
    throw refuse(`${shown(text)} is not a URL of a server`);
  }
  return { origin: url.origin, pathname: url.pathname };
}

function shown(text: string): string {
  return JSON.stringify(text.replace(/\/\/[^/@]*@/, '//…@').slice(0, 200));
}

function refuse(message: string, details: { readonly hint?: string } = {}): DatamonError {
  return new DatamonError('INVALID', message, { hint: details.hint ?? HINT });
}
