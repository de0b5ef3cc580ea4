/**
 * Pays what members are owed. Promises: data before what refers to it, a note is removed only once every member it names has every key
 * it names, and doing it twice changes nothing.
 *
 * Notes are listed twice: whatever was noted before a log entry of the first listing is in one of the two, so that no entry arrives
 * before what it names.
 */
import { Copier, isLocalFailure, type Member } from '../backend/copying.ts';
import { DatamonError, hasCode } from '../errors.ts';
import { kindOfKey, logEntryOf } from '../key-kind.ts';
import type { Key } from '../keys.ts';
import { type DebtNote, readDebts, type StoredDebt } from './debts.ts';

/** How long a key may be on its way to home; after that its writer is gone. */
export const UNWRITTEN_AGE_MAX_MS = 24 * 60 * 60 * 1000;

export interface DrainOptions {
  readonly home: Member;
  /** Members that are in, home left out. */
  readonly others: readonly Member[];
  readonly now: () => Promise<Date>;
  /** Everything was compared since notes that do not read were written: they may go. */
  readonly compared?: 'all';
  readonly signal?: AbortSignal;
}

export interface DrainReport {
  readonly copied: number;
  /** Keys still owed, to whichever member. */
  readonly owed: number;
  /** Of the oldest note that is left. */
  readonly owedSince: Date | null;
  /** Notes that do not read: only a resync settles them. */
  readonly unreadable: number;
  /** Members that did not answer, or hold other objects: a resync tells which. */
  readonly failed: readonly string[];
}

const CLASSES = ['pool', 'repo', 'pack', 'segment', 'bundle'];

/** Packs before segments before bundles before the rest; a log's oldest entry first. */
function classOf(key: Key): number {
  const index = CLASSES.indexOf(kindOfKey(key).kind);
  if (index >= 0) return index;
  return logEntryOf(key) === null ? CLASSES.length : CLASSES.length + 1;
}

export async function drain(options: DrainOptions): Promise<DrainReport> {
  const { home, others } = options;
  const first = await allDebts(home);
  const second = first.size === 0 ? first : await allDebts(home);
  const notes = [...first.values()];
  const early = new Set(notes.flatMap(({ note }) => note?.keys ?? []));
  const late = [...second.values()].flatMap(({ note }) => note?.keys ?? []);
  // Of what only the second listing shows, data alone: its own log entries may refer to what neither shows.
  const keys = [...new Set([...early, ...late.filter((key) => classOf(key) < CLASSES.length)])];
  keys.sort((a, b) => classOf(a) - classOf(b) || orderOf(a, b));
  const paid = new Map<string, Set<Key>>();
  let copied = 0;
  const failed: string[] = [];
  for (const member of others) {
    const done = new Set<Key>();
    paid.set(member.name, done);
    try {
      copied += await pay(keys, member, done, options);
    } catch (error) {
      if (!isLocalFailure(error) && !hasCode(error, 'CONFLICT')) throw error;
      failed.push(member.name);
    }
  }
  return { copied, failed, ...(await settle(notes, paid, options)) };
}

const allDebts = async (home: Member): Promise<Map<Key, StoredDebt>> => {
  const found = new Map<Key, StoredDebt>();
  for await (const debt of readDebts(home.backend)) found.set(debt.key, debt);
  return found;
};

function orderOf(a: Key, b: Key): number {
  const [first, second] = [logEntryOf(a), logEntryOf(b)];
  if (first !== null && second !== null && first.prefix === second.prefix)
    return first.n - second.n;
  return a < b ? -1 : 1;
}

/** Adds to `done` what the member has; stops where it does not answer. */
async function pay(
  keys: readonly Key[],
  member: Member,
  done: Set<Key>,
  { home, signal }: DrainOptions,
): Promise<number> {
  const copier = new Copier(home, member);
  let copied = 0;
  for (const key of keys) {
    if (signal?.aborted === true) {
      throw new DatamonError('CANCELLED', 'stopped; what is owed is still noted');
    }
    const isThere = (await member.backend.stat(key)) !== null;
    if (!(await copier.copyStored(key))) continue;
    done.add(key);
    if (!isThere) copied += 1;
  }
  return copied;
}

type Left = Pick<DrainReport, 'owed' | 'owedSince' | 'unreadable'>;

async function settle(
  notes: readonly StoredDebt[],
  paid: ReadonlyMap<string, ReadonlySet<Key>>,
  options: DrainOptions,
): Promise<Left> {
  const { home, now, compared } = options;
  const at = notes.length === 0 ? 0 : (await now()).getTime();
  const left: StoredDebt[] = [];
  let owed = 0;
  for (const debt of notes) {
    const isUnread = debt.note === null && compared !== 'all';
    const isOld = at - debt.createdAt.getTime() >= UNWRITTEN_AGE_MAX_MS;
    const open = await openKeys(debt.note, paid, async (key) =>
      isOld ? (await home.backend.stat(key)) !== null : true,
    );
    owed += open;
    if (open > 0 || isUnread) left.push(debt);
    else await home.backend.remove(debt.key);
  }
  const times = left.map(({ createdAt }) => createdAt.getTime());
  return {
    owed,
    owedSince: times.length === 0 ? null : new Date(Math.min(...times)),
    unreadable: left.filter(({ note }) => note === null).length,
  };
}

/** Keys of a note that some member still lacks. Members that left are owed nothing. */
async function openKeys(
  note: DebtNote | null,
  paid: ReadonlyMap<string, ReadonlySet<Key>>,
  counts: (key: Key) => Promise<boolean>,
): Promise<number> {
  let open = 0;
  for (const key of note?.keys ?? []) {
    const lacks = note?.members.some((member) => paid.get(member)?.has(key) === false) === true;
    if (lacks && (await counts(key))) open += 1;
  }
  return open;
}
