/**
 * Takes a proven copy of an object where another is damaged or gone. Promises: only bytes that prove themselves are copied; what was
 * condemned is never brought back; the newest entry of a log is replaced only where no other writer could take its place unseen.
 */
import type { Backend } from '../backend/backend.ts';
import { isLocalFailure, type Member, storedBody } from '../backend/copying.ts';
import type { HealOutcome } from '../backend/healing.ts';
import type { ReplicationMode } from '../backend/replicated.ts';
import { collect } from '../bytes.ts';
import { type Digest, digestOf } from '../digest.ts';
import { DatamonError, hasCode } from '../errors.ts';
import { openSealedJson } from '../json.ts';
import { logEntryOf } from '../key-kind.ts';
import { type Key, logKey } from '../keys.ts';
import { LOG_ENTRY_SIZE_MAX_BYTES } from '../log.ts';

/** What a copy is worth. `unknown`: the member does not answer, or the object is no kind that can be proved. */
export type Proof = 'sound' | 'damaged' | 'missing' | 'unknown';
export type Prove = (backend: Backend, key: Key) => Promise<Proof>;

export interface HealOptions {
  readonly prove: Prove;
  readonly mode: ReplicationMode;
  /** Home first. */
  readonly members: readonly Member[];
  readonly isCondemned: (key: Key) => Promise<boolean>;
  /** Told which member's copy is to be read where home's cannot be replaced. */
  readonly prefer: (key: Key, member: Member | null) => void;
  readonly onRepaired: (key: Key, member: Member) => void;
}

export async function heal(key: Key, options: HealOptions): Promise<HealOutcome> {
  if (await options.isCondemned(key)) return 'no good copy';
  const { members, prefer } = options;
  const proofs = await Promise.all(members.map((member) => proofOf(options, member, key)));
  const sound = members.filter((_, index) => proofs[index] === 'sound');
  const bad = members.filter((_, index) => ['damaged', 'missing'].includes(proofs[index] ?? ''));
  const source = await firstThatFits(key, sound, members);
  if (bad.length === 0) return 'intact';
  if (source === null) return 'no good copy';
  const [home] = members;
  if (home !== undefined && bad.includes(home)) prefer(key, source);
  if (options.mode === 'async' && (await isNewest(key, members))) return 'healed';
  for (const member of bad) await replace(key, source, member, options);
  prefer(key, null);
  return 'healed';
}

async function proofOf({ prove }: HealOptions, { backend }: Member, key: Key): Promise<Proof> {
  try {
    return await prove(backend, key);
  } catch (error) {
    if (hasCode(error, 'CORRUPT')) return 'damaged';
    if (isLocalFailure(error)) return 'unknown';
    throw error;
  }
}

/** A log entry that proves itself may still be another chain's: it must follow the entry before it. */
async function firstThatFits(
  key: Key,
  sound: readonly Member[],
  members: readonly Member[],
): Promise<Member | null> {
  const entry = logEntryOf(key);
  if (entry === null || entry.n === 1) return sound[0] ?? null;
  const before = logKey(entry.prefix, entry.n - 1);
  for (const member of sound) {
    const { previous } = openSealedJson(await bytesOf(member.backend, key), key);
    const digests = await Promise.all(members.map(({ backend }) => digestIn(backend, before)));
    if (digests.some((digest) => digest !== null && digest === previous)) return member;
  }
  return null;
}

async function digestIn(backend: Backend, key: Key): Promise<Digest | null> {
  try {
    return digestOf(await bytesOf(backend, key));
  } catch (error) {
    if (error instanceof DatamonError) return null;
    throw error;
  }
}

const bytesOf = (backend: Backend, key: Key): Promise<Buffer> =>
  collect(backend.get(key), LOG_ENTRY_SIZE_MAX_BYTES);

/** True for the newest entry of a log: while it is gone another writer may create it. */
async function isNewest(key: Key, [home]: readonly Member[]): Promise<boolean> {
  const entry = logEntryOf(key);
  if (entry === null || home === undefined) return false;
  return (await home.backend.stat(logKey(entry.prefix, entry.n + 1))) === null;
}

/**
 * Removed, then created exclusively. Who creates a newest log entry of their own in between cannot have it acknowledged: another
 * member holds the right one (mode sync). So theirs makes way too.
 */
async function replace(
  key: Key,
  source: Member,
  member: Member,
  { onRepaired }: HealOptions,
): Promise<void> {
  const body = await storedBody(source.backend, key);
  for (let tries = 1; ; tries += 1) {
    await member.backend.remove(key);
    const { created } = await member.backend.putIfAbsent(key, body);
    if (created || (await digestIn(member.backend, key)) === (await digestIn(source.backend, key)))
      break;
    if (tries >= REPLACE_TRIES) {
      throw new DatamonError('UNAVAILABLE', `${key} is being written while it is repaired`);
    }
  }
  onRepaired(key, member);
}

const REPLACE_TRIES = 10;
