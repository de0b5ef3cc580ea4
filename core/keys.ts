/**
 * Every key of a store, spelled once and in both directions (docs/format.md §2). A name is one escaped segment, so no
 * key is ever a folder of another.
 */
import { type Digest, digestOf, parseDigest } from './digest.ts';
import { DatamonError } from './errors.ts';

export type Key = string & { readonly __brand: 'Key' };
/** `name` or `owner/name`. */
export type RepoName = string & { readonly __brand: 'RepoName' };
/** Unit of dedup: by default the owner, else the repo's own name. */
export type PoolName = string & { readonly __brand: 'PoolName' };
/** 128 random bits, 32 lower-case hex digits; names a container and is never used again. */
export type ContainerId = string & { readonly __brand: 'ContainerId' };
/** A git object id: 40 (SHA-1) or 64 (SHA-256) lower-case hex digits. */
export type GitSha = string & { readonly __brand: 'GitSha' };
/** 128 random bits, 32 lower-case hex digits. */
export type PushId = string & { readonly __brand: 'PushId' };

export const KEY_SEGMENT_SIZE_MAX_BYTES = 255;
export const LOG_ENTRY_COUNT_MAX = 10 ** 12 - 1;
const LOG_DIGITS = 12;
export const SEGMENT_TIER_MAX = 9;

/** The limit of the common object stores. */
export const KEY_SIZE_MAX_BYTES = 1024;
const SEGMENT = /^(?:[a-z0-9_~=-]|%[0-9A-F]{2})(?:[a-z0-9._~=-]|%[0-9A-F]{2})*$/;

const REPO_PART = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$/;
/** First words of URL paths that a server keeps for itself, so no repo may begin with them. */
const RESERVED_FIRST = new Set([
  'api',
  'assets',
  'healthz',
  'readyz',
  'metrics',
  'openapi.json',
  'favicon.ico',
  'robots.txt',
]);
/** Words that follow a repo in a URL, so no repo may have them as its second part. */
const RESERVED_SECOND = new Set([
  'tree',
  'blob',
  'raw',
  'blame',
  'commit',
  'commits',
  'bundle',
  'bundles',
  'branches',
  'labels',
  'log',
  'compare',
  'oid',
  'info',
  'objects',
  'locks',
  'verify',
]);

/** Parses a key: segments of the characters that escaping leaves, joined by slashes; no segment starts with a dot. Throws INVALID. */
export function parseKey(text: string): Key {
  if (text.length <= KEY_SIZE_MAX_BYTES && text.split('/').every(isKeySegment)) return text as Key;
  throw new DatamonError('INVALID', `not a key: ${JSON.stringify(text.slice(0, 120))}`);
}

export function isKeySegment(text: string): boolean {
  return text.length <= KEY_SEGMENT_SIZE_MAX_BYTES && SEGMENT.test(text);
}

/** Parses `name` or `owner/name`. Throws INVALID for anything a URL or a store could not hold. */
export function parseRepoName(text: string): RepoName {
  const parts = text.split('/');
  const [first = '', second] = parts;
  const legal =
    parts.length <= 2 &&
    parts.every(
      (part) => REPO_PART.test(part) && !part.endsWith('.git') && !part.endsWith('.lock'),
    );
  if (!legal) {
    throw new DatamonError('INVALID', `not a repo name: ${JSON.stringify(text.slice(0, 120))}`, {
      hint: 'A repo is called name or owner/name, in letters, digits, dot, dash and underscore.',
    });
  }
  if (RESERVED_FIRST.has(first) || (second !== undefined && RESERVED_SECOND.has(second))) {
    throw new DatamonError('INVALID', `the repo name ${JSON.stringify(text)} is reserved`);
  }
  return text as RepoName;
}

/** The pool a repo uses unless told otherwise: its owner's, or its own. */
export function defaultPool(repo: RepoName): PoolName {
  return (repo.split('/')[0] ?? repo) as PoolName;
}

export function parsePoolName(text: string): PoolName {
  if (text.length > 0 && text.length <= 200) return text as PoolName;
  throw new DatamonError('INVALID', `not a pool name: ${JSON.stringify(text.slice(0, 120))}`);
}

export function parseContainerId(text: string): ContainerId {
  if (/^[0-9a-f]{32}$/.test(text) && text.length === 32) return text as ContainerId;
  throw new DatamonError(
    'INVALID',
    `not a container id (32 lower-case hex digits): ${JSON.stringify(text.slice(0, 80))}`,
  );
}

export function parsePushId(text: string): PushId {
  if (/^[0-9a-f]{32}$/.test(text) && text.length === 32) return text as PushId;
  throw new DatamonError(
    'INVALID',
    `not a push id (32 lower-case hex digits): ${JSON.stringify(text.slice(0, 80))}`,
  );
}

export function isGitSha(text: unknown): text is GitSha {
  return (
    typeof text === 'string' &&
    (text.length === 40 || text.length === 64) &&
    /^[0-9a-f]+$/.test(text)
  );
}

export function parseGitSha(text: unknown): GitSha {
  if (isGitSha(text)) return text;
  throw new DatamonError(
    'INVALID',
    `not a git object id: ${JSON.stringify(String(text).slice(0, 80))}`,
  );
}

/** One name as one key segment: a–z, 0–9, dot, dash, underscore stand for themselves, all else as %XX. */
export function escapeName(name: string): string {
  let escaped = '';
  for (const [index, byte] of Buffer.from(name, 'utf8').entries()) {
    const char = String.fromCharCode(byte);
    const plain =
      /[a-z0-9_-]/.test(char) || (char === '.' && index > 0) || (char === '~' && index === 0);
    escaped += plain ? char : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  if (escaped.length === 0) throw new DatamonError('INVALID', 'a name must not be empty');
  return escaped.length <= KEY_SEGMENT_SIZE_MAX_BYTES ? escaped : `=${digestOf(name)}`;
}

/** The name behind a segment; null where the name was too long to stand in a key (its log entries tell it). */
export function unescapeName(segment: string): string | null {
  if (segment.startsWith('=')) return null;
  const bytes: number[] = [];
  for (let index = 0; index < segment.length; index += 1) {
    if (segment[index] === '%') {
      bytes.push(Number.parseInt(segment.slice(index + 1, index + 3), 16));
      index += 2;
    } else bytes.push(segment.charCodeAt(index));
  }
  return Buffer.from(bytes).toString('utf8');
}

/** Key prefix of a log; entries are numbered from 1 and the newest is listed first. */
export type LogPrefix = string & { readonly __brand: 'LogPrefix' };

export function logKey(log: LogPrefix, n: number): Key {
  if (!Number.isSafeInteger(n) || n < 1 || n > LOG_ENTRY_COUNT_MAX) {
    throw new DatamonError('INVALID', `a log has no entry ${n}`);
  }
  return `${log}${String(LOG_ENTRY_COUNT_MAX - n).padStart(LOG_DIGITS, '0')}` as Key;
}

/** The log below a listed segment, which is all one has of a name too long to stand in a key. */
export const logOfSegment = (prefix: string, segment: string): LogPrefix =>
  `${prefix}${segment}/` as LogPrefix;

/** The number behind a log key, or null where the key is not one of this log. */
export function parseLogKey(log: LogPrefix, key: string): number | null {
  const digits = key.slice(log.length);
  if (!key.startsWith(log) || !/^[0-9]{12}$/.test(digits)) return null;
  const n = LOG_ENTRY_COUNT_MAX - Number(digits);
  return n >= 1 ? n : null;
}

const asLog = (prefix: string): LogPrefix => prefix as LogPrefix;

export const formatLog: LogPrefix = asLog('format/');
/** What proves a store's capabilities; no part of the store. */
export const PROBE_PREFIX = 'probe/';
export const probePrefix = (id: string): string => `${PROBE_PREFIX}${id}/`;
export const probeKey = (id: string, name: string): Key => `${probePrefix(id)}${name}` as Key;
export const scrubsLog: LogPrefix = asLog('scrubs/');
export const replicasLog: LogPrefix = asLog('replicas/');
export const resyncsLog: LogPrefix = asLog('resyncs/');
export const DEBTS_PREFIX = 'debts/';
export const debtKey = (id: string): Key => `${DEBTS_PREFIX}${id}` as Key;
export const DIVERGED_PREFIX = 'diverged/';
/** Where an object of a former home is kept that its successor has otherwise. */
export const divergedKey = (epoch: number, member: string, key: Key): Key =>
  `${DIVERGED_PREFIX}${epoch}-${escapeName(member)}/${key}` as Key;
export const poolKey = (pool: PoolName): Key => `pools/${escapeName(pool)}/pool.json` as Key;
export const packPrefix = (pool: PoolName): string => `pools/${escapeName(pool)}/packs/`;
export const packKey = (pool: PoolName, id: ContainerId): Key =>
  `${packPrefix(pool)}${id.slice(0, 2)}/${id}` as Key;
export const condemnedLog = (pool: PoolName): LogPrefix => asLog(`pools/${escapeName(pool)}/gc/`);

/** Packs and segments: large, never changed, and proving themselves. */
export const isContainerKey = (key: Key): boolean =>
  /^(?:pools\/[^/]+\/packs|repos\/[^/]+\/segments)\//.test(key);

export const REPOS_PREFIX = 'repos/';
const repoPrefix = (repo: RepoName): string => `${REPOS_PREFIX}${escapeName(repo)}/`;
export const repoKey = (repo: RepoName): Key => `${repoPrefix(repo)}repo.json` as Key;
/** The same key from a listed segment, which is all one has of a name too long to stand in a key. */
export const repoKeyOfSegment = (segment: string): Key =>
  `${REPOS_PREFIX}${segment}/repo.json` as Key;
export const settingsLog = (repo: RepoName): LogPrefix => asLog(`${repoPrefix(repo)}settings/`);
export const segmentPrefix = (repo: RepoName): string => `${repoPrefix(repo)}segments/`;
export const segmentKey = (repo: RepoName, tier: number, id: ContainerId): Key =>
  `${segmentPrefix(repo)}${tier}-${id}` as Key;
export const bundlePrefix = (repo: RepoName): string => `${repoPrefix(repo)}bundles/`;
export const bundleKey = (repo: RepoName, bundle: Digest): Key =>
  `${bundlePrefix(repo)}${bundle}` as Key;
export const commitsPrefix = (repo: RepoName): string => `${repoPrefix(repo)}commits/`;
export const commitLog = (repo: RepoName, commit: GitSha): LogPrefix =>
  asLog(`${commitsPrefix(repo)}${commit}/`);
export const branchesPrefix = (repo: RepoName): string => `${repoPrefix(repo)}branches/`;
export const branchLog = (repo: RepoName, branch: string): LogPrefix =>
  asLog(`${branchesPrefix(repo)}${escapeName(branch)}/`);
export const labelsPrefix = (repo: RepoName): string => `${repoPrefix(repo)}labels/`;
export const labelLog = (repo: RepoName, label: string): LogPrefix =>
  asLog(`${labelsPrefix(repo)}${escapeName(label)}/`);
export const lockLog = (repo: RepoName): LogPrefix => asLog(`${repoPrefix(repo)}locks/`);
export const pendingPrefix = (repo: RepoName): string => `${repoPrefix(repo)}pending/`;
export const pendingKey = (repo: RepoName, push: PushId, part: 'announced' | 'done'): Key =>
  `${pendingPrefix(repo)}${push}/${part}` as Key;

export function parseSegmentKey(
  repo: RepoName,
  key: string,
): { readonly tier: number; readonly id: ContainerId } | null {
  const match = /^([0-9])-([0-9a-f]{32})$/.exec(key.slice(segmentPrefix(repo).length));
  if (!key.startsWith(segmentPrefix(repo)) || match === null) return null;
  return { tier: Number(match[1]), id: match[2] as ContainerId };
}

export function parseBundleKey(repo: RepoName, key: string): Digest | null {
  const digits = key.slice(bundlePrefix(repo).length);
  return key.startsWith(bundlePrefix(repo)) && /^[0-9a-f]{64}$/.test(digits)
    ? parseDigest(digits)
    : null;
}

/** The first segment after `prefix`, and the string after which a list goes on behind all of its keys. */
export function firstSegment(
  prefix: string,
  key: string,
): { readonly segment: string; readonly skipTo: string } {
  const rest = key.slice(prefix.length);
  const end = rest.indexOf('/');
  const segment = end < 0 ? rest : rest.slice(0, end);
  // '0' is the code unit after '/', so it sorts behind every key below the segment.
  return { segment, skipTo: end < 0 ? key : `${prefix}${segment}0` };
}
