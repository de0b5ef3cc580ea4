/**
 * Walks the logs of a store, newest entry first: every entry proved, every link followed, no number left out. Hands on what the
 * entries say, because logs are the roots of everything else.
 */
import type { Backend } from '../backend/backend.ts';
import { collect } from '../bytes.ts';
import { type Digest, digestOf } from '../digest.ts';
import { DatamonError, type ErrorCode } from '../errors.ts';
import { openSealedJson } from '../json.ts';
import { kindOfKey, type LogEntryKey } from '../key-kind.ts';
import { type Key, logKey, unescapeName } from '../keys.ts';
import { LOG_ENTRY_SIZE_MAX_BYTES } from '../log.ts';
import { type Finding, type FindingState, finding } from './finding.ts';
import { checkBytes } from './prove-object.ts';

export interface LogFact {
  readonly entry: LogEntryKey;
  readonly event: unknown;
  readonly isHead: boolean;
}

export interface LogWalk {
  readonly backend: Backend;
  readonly prefix: string;
  readonly repo: string | null;
  readonly onFact: (fact: LogFact) => void;
  /** Called with the bytes read of each object. */
  readonly onRead: (sizeBytes: number) => void;
}

interface Read {
  readonly bytes: Buffer | null;
  readonly state: FindingState | null;
  readonly message: string;
}

/** All logs whose keys begin with `prefix`; keys of other kinds are passed over. */
export async function* walkLogs(walk: LogWalk): AsyncGenerator<Finding> {
  const { backend, prefix } = walk;
  let log: OneLog | null = null;
  for await (const { key } of backend.list(prefix)) {
    const kind = kindOfKey(key);
    if (kind.kind !== 'log') continue;
    if (log?.prefix !== kind.prefix) {
      if (log !== null) yield* log.end();
      log = new OneLog(walk, kind);
    }
    yield* log.next(key, kind);
  }
  if (log !== null) yield* log.end();
}

class OneLog {
  readonly prefix: string;
  readonly #walk: LogWalk;
  readonly #first: LogEntryKey;
  /** Number of the entry before, in the order of reading. */
  #n: number;
  /** What the next older entry's digest must be; null where that is not known. */
  #expected: Digest | null = null;

  constructor(walk: LogWalk, first: LogEntryKey) {
    this.prefix = first.prefix;
    this.#walk = walk;
    this.#first = first;
    this.#n = first.n + 1;
  }

  async *next(key: Key, kind: LogEntryKey): AsyncGenerator<Finding> {
    yield* this.#gap(kind.n);
    this.#n = kind.n;
    const { bytes, state, message } = await readChecked(this.#walk, key);
    if (state !== null) yield this.#damage(key, kind.n, state, message);
    if (bytes === null || state !== null) {
      this.#expected = null;
      return;
    }
    const { previous, event } = openSealedJson(bytes, key);
    if (this.#expected !== null && digestOf(bytes) !== this.#expected) {
      const what = `${key} is not the entry that entry ${kind.n + 1} of its log follows`;
      yield this.#damage(key, kind.n, 'damaged', what);
    }
    this.#expected = previous as Digest | null;
    this.#walk.onFact({ entry: kind, event, isHead: kind.n === this.#first.n });
  }

  async *end(): AsyncGenerator<Finding> {
    yield* this.#gap(0);
  }

  /** Entries between the last one read and entry `n`, which a later entry proves to have been there. */
  async *#gap(n: number): AsyncGenerator<Finding> {
    const newest = this.#n - 1;
    if (newest <= n) return;
    const key = logKey(this.#first.prefix, newest);
    // A listing may be older than what stands there now.
    if ((await this.#walk.backend.stat(key)) !== null) return;
    this.#expected = null;
    const what = newest === n + 1 ? `entry ${newest} is` : `entries ${n + 1} to ${newest} are`;
    yield this.#damage(key, newest, 'missing', `${what} missing from the log ${this.prefix}`);
  }

  #damage(key: Key, n: number, state: FindingState, message: string): Finding {
    const isHead = n >= this.#first.n;
    const { backend, repo } = this.#walk;
    const what = logTitle(this.#first);
    return finding({
      kind: 'log',
      state,
      key,
      repo,
      message,
      meaning: isHead
        ? `${what} cannot be read or written until this entry is back; ${REST_WORKS}`
        : `The history of ${what} before this entry cannot be read; its newest state, ${REST_WORKS}`,
      hint: state === 'newer' ? NEWER_HINT : logHint(backend.url),
    });
  }
}

const REST_WORKS = 'all other logs, all bundles and all files are as they were.';
export const NEWER_HINT = 'Update datamon on this machine; the store is intact.';

const logHint = (url: string): string =>
  `A log entry has one copy in a store. Put it back from a replica (datamon fsck ${url} --repair) or from a backup of the store.`;

export function logTitle({ log, name }: LogEntryKey): string {
  if (name === null) return `the log of ${LOG_TITLES[log] ?? log}`;
  const shown = unescapeName(name) ?? name;
  return (
    { branches: `branch ${shown}`, labels: `label ${shown}` }[log as string] ?? `commit ${shown}`
  );
}

const LOG_TITLES: { readonly [log: string]: string } = {
  gc: 'what was condemned',
  format: 'the store’s format',
  scrubs: 'checks',
};

/** An object's bytes, checked against its key; reads that fail are a state too, not the end of the walk. */
export async function readChecked(
  { backend, onRead }: Pick<LogWalk, 'backend' | 'onRead'>,
  key: Key,
): Promise<Read> {
  let bytes: Buffer | null = null;
  try {
    bytes = await collect(backend.get(key), LOG_ENTRY_SIZE_MAX_BYTES);
    onRead(bytes.length);
    checkBytes(bytes, key, kindOfKey(key), backend.url);
    return { bytes, state: null, message: '' };
  } catch (error) {
    return { bytes, state: stateOf(error), message: (error as Error).message };
  }
}

const STATES: { readonly [code in ErrorCode]?: FindingState } = {
  NOT_FOUND: 'missing',
  UNSUPPORTED: 'newer',
  UNAVAILABLE: 'unreadable',
  FORBIDDEN: 'unreadable',
};

/** Which state of an object a failure tells of. Throws on what is no answer about the object. */
export function stateOf(error: unknown): FindingState {
  if (!(error instanceof DatamonError) || error.code === 'CANCELLED') throw error;
  return STATES[error.code] ?? 'damaged';
}
