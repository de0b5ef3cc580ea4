/** What a key names, read from the key alone: the other direction of `keys.ts` for whoever meets keys in a listing. */
import { type Digest, isDigest } from './digest.ts';
import {
  type ContainerId,
  DEBTS_PREFIX,
  DIVERGED_PREFIX,
  isGitSha,
  type LogPrefix,
  type PushId,
  parseLogKey,
} from './keys.ts';

/** Logs of a whole store, of a pool, of a repo; the last three have one log for each name. */
export type LogName =
  | 'format'
  | 'replicas'
  | 'resyncs'
  | 'scrubs'
  | 'gc'
  | 'settings'
  | 'locks'
  | 'commits'
  | 'branches'
  | 'labels';

export interface LogEntryKey {
  readonly kind: 'log';
  readonly log: LogName;
  readonly prefix: LogPrefix;
  /** From 1. */
  readonly n: number;
  /** Escaped segment of the pool or the repo it belongs to; null for a log of the store. */
  readonly owner: string | null;
  /** Escaped segment of the branch, label or commit; null where a log has no name. */
  readonly name: string | null;
}

/** `pool` and `repo` are escaped segments: of a name too long for a key there is nothing else. */
export type KeyKind =
  | LogEntryKey
  | { readonly kind: 'pool'; readonly pool: string }
  | { readonly kind: 'pack'; readonly pool: string; readonly id: ContainerId }
  | { readonly kind: 'repo'; readonly repo: string }
  | {
      readonly kind: 'segment';
      readonly repo: string;
      readonly tier: number;
      readonly id: ContainerId;
    }
  | { readonly kind: 'bundle'; readonly repo: string; readonly bundle: Digest }
  | {
      readonly kind: 'pending';
      readonly repo: string;
      readonly push: PushId;
      readonly part: 'announced' | 'done';
    }
  /** Keys that members of a replicated store are owed. */
  | { readonly kind: 'debt' }
  /** What a former home had under another key. */
  | { readonly kind: 'diverged' }
  /** Nothing of datamon's. */
  | { readonly kind: 'foreign' };

const FOREIGN: KeyKind = { kind: 'foreign' };
const STORE_LOGS: readonly LogName[] = ['format', 'replicas', 'resyncs', 'scrubs'];
const ID = /^[0-9a-f]{32}$/;

export function kindOfKey(key: string): KeyKind {
  const [top = '', owner = '', room = '', ...rest] = key.split('/');
  const storeLog = STORE_LOGS.find((name) => name === top);
  if (storeLog !== undefined) return logEntry(key, storeLog, `${top}/`, null, null);
  if (top === 'pools') return poolKind(key, owner, room, rest);
  if (key.startsWith(DIVERGED_PREFIX)) return { kind: 'diverged' };
  if (key.startsWith(DEBTS_PREFIX))
    return ID.test(owner) && room === '' ? { kind: 'debt' } : FOREIGN;
  return top === 'repos' ? repoKind(key, owner, room, rest) : FOREIGN;
}

function poolKind(key: string, pool: string, room: string, rest: readonly string[]): KeyKind {
  const [shard = '', id = ''] = rest;
  if (room === 'pool.json' && rest.length === 0) return { kind: 'pool', pool };
  if (room === 'gc') return logEntry(key, 'gc', `pools/${pool}/gc/`, pool, null);
  const isPack = room === 'packs' && rest.length === 2 && ID.test(id) && shard === id.slice(0, 2);
  return isPack ? { kind: 'pack', pool, id: id as ContainerId } : FOREIGN;
}

function repoKind(key: string, repo: string, room: string, rest: readonly string[]): KeyKind {
  const [name = '', part = ''] = rest;
  const below = `repos/${repo}/${room}/`;
  if (room === 'settings' || room === 'locks') return logEntry(key, room, below, repo, null);
  if (room === 'branches' || room === 'labels' || (room === 'commits' && isGitSha(name))) {
    return logEntry(key, room, `${below}${name}/`, repo, name);
  }
  if (room === 'pending' && rest.length === 2) return pendingKind(repo, name, part);
  return rest.length > 1 ? FOREIGN : soleKind(repo, room, name);
}

/** Objects that stand directly in their room. */
function soleKind(repo: string, room: string, name: string): KeyKind {
  if (room === 'repo.json' && name === '') return { kind: 'repo', repo };
  if (room === 'bundles' && isDigest(name)) return { kind: 'bundle', repo, bundle: name };
  const [, tier, id] = /^([0-9])-([0-9a-f]{32})$/.exec(name) ?? [];
  if (room !== 'segments' || tier === undefined) return FOREIGN;
  return { kind: 'segment', repo, tier: Number(tier), id: id as ContainerId };
}

function pendingKind(repo: string, push: string, part: string): KeyKind {
  const isPending = ID.test(push) && (part === 'announced' || part === 'done');
  return isPending ? { kind: 'pending', repo, push: push as PushId, part } : FOREIGN;
}

function logEntry(
  key: string,
  log: LogName,
  prefix: string,
  owner: string | null,
  name: string | null,
): KeyKind {
  const n = parseLogKey(prefix as LogPrefix, key);
  return n === null ? FOREIGN : { kind: 'log', log, prefix: prefix as LogPrefix, n, owner, name };
}

/** The log and number of a key that can only be a log entry's, also of a log that only a later datamon knows. */
export function logEntryOf(key: string): { readonly prefix: LogPrefix; readonly n: number } | null {
  const prefix = key.slice(0, key.lastIndexOf('/') + 1) as LogPrefix;
  if (prefix === '' || key.startsWith(DIVERGED_PREFIX)) return null;
  const n = parseLogKey(prefix, key);
  return n === null ? null : { prefix, n };
}

/** True where whoever writes the key writes the same bytes: its name is random or a digest. Of all other keys the first writer decides. */
export const hasOneContent = (key: string): boolean =>
  ['pack', 'segment', 'bundle'].includes(kindOfKey(key).kind);
