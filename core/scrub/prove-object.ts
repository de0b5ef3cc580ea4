/**
 * Proves one object of a store by its key and its bytes alone, in bounded memory. Promise: no single bit of an object of datamon's can
 * be other than it was written without a flaw being found.
 */
import type { Backend } from '../backend/backend.ts';
import { collect } from '../bytes.ts';
import { parseCondemned } from '../cas/condemned.ts';
import { isDigest } from '../digest.ts';
import { DatamonError, hasCode } from '../errors.ts';
import { openSealedJson } from '../json.ts';
import { type KeyKind, kindOfKey, type LogEntryKey, type LogName } from '../key-kind.ts';
import { escapeName, type Key } from '../keys.ts';
import { LOG_ENTRY_SIZE_MAX_BYTES } from '../log.ts';
import { BUNDLE_SIZE_MAX_BYTES, decodeBundle } from '../meta/bundle.ts';
import { parseBranchRecord, parseCommitRecord, parseLabelRecord } from '../meta/events.ts';
import { lockRecord } from '../meta/locks.ts';
import { parseSettings } from '../meta/settings.ts';
import { parseAnnouncement } from '../meta/wire.ts';
import { oneOf, record, time } from '../shape.ts';
import { checkFormat, parsePool, parseRepo } from '../store.ts';
import type { Extents } from './extents.ts';
import { type Flaw, proveContainer } from './prove-container.ts';
import { parseScrubReceipt } from './receipt.ts';

export type Verdict =
  /** Every bit is as it was written. */
  | 'sound'
  | 'damaged'
  | 'missing'
  /** Written by a later datamon: nothing can be said. */
  | 'newer'
  /** No object of datamon's. */
  | 'foreign';

export interface ObjectProof {
  readonly key: Key;
  readonly kind: KeyKind;
  readonly verdict: Verdict;
  /** 0 where it is missing. */
  readonly sizeBytes: number;
  readonly flaws: readonly Flaw[];
  /** Of a container: where frames are that prove themselves, whatever became of the rest. */
  readonly intact: Extents | null;
}

type Findings = Pick<ObjectProof, 'flaws' | 'intact'>;
const SOUND: Findings = { flaws: [], intact: null };
const parseDone = record({ outcome: oneOf(['confirmed', 'abandoned']), at: time });

/** Fails only where the backend does: an object that cannot be read at the moment proves nothing. */
export async function proveObject(
  backend: Pick<Backend, 'get' | 'stat' | 'url'>,
  key: Key,
): Promise<ObjectProof> {
  const kind = kindOfKey(key);
  const there = await backend.stat(key);
  const sizeBytes = there?.sizeBytes ?? 0;
  const proof = { key, kind, sizeBytes, ...SOUND };
  if (there === null) return { ...proof, verdict: 'missing' };
  if (kind.kind === 'foreign') return { ...proof, verdict: 'foreign' };
  try {
    const found = await findingsOf(backend, key, kind, sizeBytes);
    return { ...proof, ...found, verdict: found.flaws.length > 0 ? 'damaged' : 'sound' };
  } catch (error) {
    if (hasCode(error, 'NOT_FOUND')) return { ...proof, verdict: 'missing' };
    if (hasCode(error, 'UNSUPPORTED')) {
      return { ...proof, verdict: 'newer', flaws: [flaw(error)] };
    }
    if (hasCode(error, 'CORRUPT') || hasCode(error, 'INVALID')) {
      return { ...proof, verdict: 'damaged', flaws: [flaw(error)] };
    }
    throw error;
  }
}

async function findingsOf(
  backend: Pick<Backend, 'get' | 'stat' | 'url'>,
  key: Key,
  kind: Exclude<KeyKind, { kind: 'foreign' }>,
  sizeBytes: number,
): Promise<Findings> {
  if (kind.kind === 'pack' || kind.kind === 'segment') {
    return await proveContainer(backend, key, { kind: kind.kind, id: kind.id }, sizeBytes);
  }
  const limit = kind.kind === 'bundle' ? BUNDLE_SIZE_MAX_BYTES : LOG_ENTRY_SIZE_MAX_BYTES;
  if (sizeBytes > limit) {
    const message = `${key} has ${sizeBytes} bytes, more than any such object`;
    return { flaws: [{ part: 'content', message, offset: null }], intact: null };
  }
  checkBytes(await collect(backend.get(key), limit), key, kind, backend.url);
  return SOUND;
}

/** For what is no container: whether these are the bytes of `key`, in the store `url`. CORRUPT, INVALID, or UNSUPPORTED where a later datamon wrote them. */
export function checkBytes(bytes: Buffer, key: Key, kind: KeyKind, url: string): void {
  if (kind.kind === 'bundle') decodeBundle(kind.bundle, bytes);
  else if (kind.kind === 'pool') checkName(escapeName(parsePool(bytes, null).pool), kind.pool, key);
  else if (kind.kind === 'repo') checkName(escapeName(parseRepo(bytes, null).repo), kind.repo, key);
  else if (kind.kind === 'log') checkEntry(bytes, key, kind, url);
  else if (kind.kind === 'pending') {
    const fields = openSealedJson(bytes, key);
    if (kind.part === 'done') parseDone(fields, key);
    else checkName(parseAnnouncement(fields, key).pushId, kind.push, key);
  }
}

function checkEntry(bytes: Buffer, key: Key, kind: LogEntryKey, url: string): void {
  const { n, previous, nonce, event } = openSealedJson(bytes, `the log entry ${key}`);
  const isLinked = kind.n === 1 ? previous === null : isDigest(previous);
  if (n !== kind.n || !isLinked || typeof nonce !== 'string') {
    throw new DatamonError('CORRUPT', `${key} is not entry ${kind.n} of its log`);
  }
  const name = EVENT_NAMES[kind.log]?.(event, url);
  if (typeof name === 'string') checkName(escapeName(name), kind.name ?? '', key);
}

/** Parses a log's event: whether it is one at all. Branches and labels say which log they belong to, which is then told. */
const EVENT_NAMES: { readonly [log in LogName]?: (event: unknown, url: string) => unknown } = {
  format: (event, url) => checkFormat(url)(event),
  scrubs: parseScrubReceipt,
  gc: parseCondemned,
  settings: (event) => parseSettings(event, 'settings'),
  locks: (event) => lockRecord(event, 'lock event'),
  commits: parseCommitRecord,
  branches: (event) => parseBranchRecord(event).branch,
  labels: (event) => parseLabelRecord(event).label,
};

function checkName(found: string, expected: string, key: Key): void {
  if (found !== expected)
    throw new DatamonError('CORRUPT', `${key} holds what belongs to ${found}`);
}

const flaw = ({ message }: DatamonError): Flaw => ({ part: 'content', message, offset: null });
