/**
 * The one log primitive (docs/format.md §3). Invariant: entry n+1 is created, exclusively, only by a writer that read
 * entry n, so entries form one chain whatever races, fails or is repeated.
 */
import { type Backend, bytesBody } from './backend/backend.ts';
import { readHealed } from './backend/healing.ts';
import { firstKey } from './backend/segments.ts';
import { collect } from './bytes.ts';
import { type Digest, digestOf, isDigest } from './digest.ts';
import { DatamonError, hasCode } from './errors.ts';
import { isFast } from './fast-paths.ts';
import { type Json, openSealedJson, sealJson } from './json.ts';
import { type Key, type LogPrefix, logKey, parseLogKey } from './keys.ts';
import { type Random, randomHex } from './random.ts';

export const LOG_ENTRY_SIZE_MAX_BYTES = 64 * 1024 * 1024;
/** Of racing writers one wins each round, so this is how many others one writer outlasts. */
export const LOG_UPDATE_TRIES = 100;
const NONCE_SIZE_BYTES = 16;

export interface LogEntry<T> {
  /** From 1. */
  readonly n: number;
  readonly event: T;
  /** Of the entry's bytes. */
  readonly digest: Digest;
}

export interface LogOptions<T> {
  readonly backend: Backend;
  readonly prefix: LogPrefix;
  readonly random: Random;
  /** Parses an event read from the store; what it refuses as INVALID is reported as CORRUPT. */
  readonly parse: (event: unknown) => T;
}

export interface Log<T> {
  /** The newest entry, or null. One list call of one key and one get. */
  head(): Promise<LogEntry<T> | null>;
  /**
   * Appends after `previous` (null: as the first entry). CONFLICT where somebody else did. Where an acknowledgement was
   * lost the entry is read back: it either counts as appended, or the error is thrown on and nothing was.
   */
  append(previous: LogEntry<T> | null, event: T): Promise<LogEntry<T>>;
  /** Newest first, those before entry `before` if given. CORRUPT where the chain does not hold. */
  entries(before?: number): AsyncIterable<LogEntry<T>>;
  /**
   * Appends what `decide` makes of the head; decides again, `tries` times in all, where somebody else was faster, then
   * CONFLICT. Returns null where `decide` did: nothing is appended, and the head it was shown is durable, so that "already so"
   * may be acknowledged. `guess`: what the head probably is; the log is read only where it is not, or where nothing is to be appended.
   */
  update(decide: Decide<T>, options?: UpdateOptions<T>): Promise<LogEntry<T> | null>;
}

type Decide<T> = (head: LogEntry<T> | null) => T | null | Promise<T | null>;

export interface UpdateOptions<T> {
  readonly tries?: number;
  /** An entry that was read. Never the emptiness of a log: a first entry that was lost must be put back, not made anew. */
  readonly guess?: LogEntry<T>;
}

interface StoredEntry<T> extends LogEntry<T> {
  readonly previous: Digest | null;
  readonly bytes: Uint8Array;
}

export function openLog<T>(options: LogOptions<T>): Log<T> {
  const { backend, prefix } = options;

  const storedHead = async (): Promise<StoredEntry<T> | null> => {
    const n = await newest(backend, prefix);
    return n === null
      ? null
      : await readHealed(backend, logKey(prefix, n), () => readEntry(options, n));
  };
  const head = async (): Promise<LogEntry<T> | null> => {
    const entry = await storedHead();
    return entry && publicEntry(entry);
  };

  const append = async (previous: LogEntry<T> | null, event: T): Promise<LogEntry<T>> => {
    const n = (previous?.n ?? 0) + 1;
    const key = logKey(prefix, n);
    const bytes = sealJson({
      n,
      previous: previous?.digest ?? null,
      nonce: randomHex(options.random, NONCE_SIZE_BYTES),
      event: event as Json,
    });
    const entry = { n, event, digest: digestOf(bytes) };
    if (await createEntry(backend, key, bytes, entry.digest)) return entry;
    throw new DatamonError('CONFLICT', `entry ${n} of ${prefix} was written by somebody else`, {
      hint: 'Somebody else was faster. Run the same command again.',
    });
  };

  /** Whoever wrote the entry may not have been told yet that it would survive: only a put that succeeds says so. */
  const settle = async (entry: StoredEntry<T> | null): Promise<null> => {
    if (entry !== null) {
      await backend.putIfAbsent(logKey(prefix, entry.n), bytesBody(entry.bytes));
    }
    return null;
  };

  /** The entry that follows `guess`, or null where that is not the head or `decide` wants nothing. */
  const appendTo = async (guess: LogEntry<T>, decide: Decide<T>): Promise<LogEntry<T> | null> => {
    const event = await decide(guess);
    try {
      return event === null ? null : await append(guess, event);
    } catch (error) {
      if (!hasCode(error, 'CONFLICT')) throw error;
      return null;
    }
  };

  const update: Log<T>['update'] = async (decide, { tries = LOG_UPDATE_TRIES, guess } = {}) => {
    const isGuessed = guess !== undefined && isFast('head-guess');
    const appended = !isGuessed ? null : await appendTo(guess, decide);
    return appended ?? (await updateHead(decide, tries));
  };

  const updateHead = async (decide: Decide<T>, tries: number): Promise<LogEntry<T> | null> => {
    for (let tried = 1; ; tried += 1) {
      const stored = await storedHead();
      const previous = stored && publicEntry(stored);
      const event = await decide(previous);
      if (event === null) return await settle(stored);
      try {
        return await append(previous, event);
      } catch (error) {
        if (!hasCode(error, 'CONFLICT') || tried >= tries) throw error;
      }
    }
  };

  return { head, append, update, entries: (before) => readEntries(options, before) };
}

/** True where the entry at `key` is ours, also where only its acknowledgement was lost; false where it is another's. */
async function createEntry(
  backend: Backend,
  key: Key,
  bytes: Uint8Array,
  digest: Digest,
): Promise<boolean> {
  let failure: unknown;
  try {
    const { created } = await backend.putIfAbsent(key, bytesBody(bytes));
    if (created) return true;
  } catch (error) {
    if (!mayBeDone(error)) throw error;
    failure = error;
  }
  try {
    // The bytes hold a random nonce, so equal bytes are our own.
    if (digestOf(await readBytes(backend, key)) !== digest) return false;
    // It is there; whether it would survive a power loss only a put that succeeds can tell.
    if (failure !== undefined) await backend.putIfAbsent(key, bytesBody(bytes));
    return true;
  } catch (error) {
    throw hasCode(error, 'NOT_FOUND') && failure !== undefined ? failure : error;
  }
}

/** A full disk may show only when the folder is flushed that has the entry's name already. */
const mayBeDone = (error: unknown): boolean =>
  hasCode(error, 'UNAVAILABLE') || hasCode(error, 'NO_SPACE');

async function* readEntries<T>(
  options: LogOptions<T>,
  before?: number,
): AsyncIterable<LogEntry<T>> {
  const { backend, prefix } = options;
  let n = (await newest(backend, prefix, before)) ?? 0;
  let expected: Digest | undefined;
  for (; n >= 1; n -= 1) {
    const entry = await readLinked(options, n);
    if (expected !== undefined && entry.digest !== expected) {
      throw new DatamonError('CORRUPT', `entry ${n + 1} of ${prefix} does not follow entry ${n}`);
    }
    yield publicEntry(entry);
    expected = entry.previous ?? undefined;
  }
}

/** An entry that must be there, because a later one is. */
async function readLinked<T>(options: LogOptions<T>, n: number): Promise<StoredEntry<T>> {
  const isDamage = (error: unknown): boolean =>
    hasCode(error, 'CORRUPT') || hasCode(error, 'NOT_FOUND');
  try {
    const key = logKey(options.prefix, n);
    return await readHealed(options.backend, key, () => readEntry(options, n), isDamage);
  } catch (error) {
    if (!hasCode(error, 'NOT_FOUND')) throw error;
    throw new DatamonError('CORRUPT', `entry ${n} of ${options.prefix} is missing`, {
      cause: error,
    });
  }
}

/** Number of the newest entry, of those before `before` if given. */
async function newest(
  backend: Backend,
  prefix: LogPrefix,
  before?: number,
): Promise<number | null> {
  const after = before === undefined ? undefined : logKey(prefix, before);
  const key = await firstKey(backend, prefix, after);
  if (key === null) return null;
  const n = parseLogKey(prefix, key);
  if (n === null) throw new DatamonError('CORRUPT', `${key} stands in a log and is no entry`);
  return n;
}

async function readEntry<T>(options: LogOptions<T>, n: number): Promise<StoredEntry<T>> {
  const key = logKey(options.prefix, n);
  const bytes = await readBytes(options.backend, key);
  const fields = openSealedJson(bytes, `the log entry ${key}`);
  const { n: number, previous, nonce, event } = fields;
  const linked = n === 1 ? previous === null : isDigest(previous);
  if (number !== n || !linked || typeof nonce !== 'string') {
    throw new DatamonError('CORRUPT', `the log entry ${key} is not entry ${n} of its log`);
  }
  return {
    n,
    event: parseEvent(options, key, event),
    digest: digestOf(bytes),
    previous: isDigest(previous) ? previous : null,
    bytes,
  };
}

function parseEvent<T>(options: LogOptions<T>, key: Key, event: unknown): T {
  try {
    return options.parse(event);
  } catch (error) {
    if (!hasCode(error, 'INVALID')) throw error;
    throw new DatamonError('CORRUPT', `the log entry ${key}: ${error.message}`, { cause: error });
  }
}

const readBytes = (backend: Backend, key: Key): Promise<Buffer> =>
  collect(backend.get(key), LOG_ENTRY_SIZE_MAX_BYTES);

const publicEntry = <T>({ n, event, digest }: StoredEntry<T>): LogEntry<T> => ({
  n,
  event,
  digest,
});
