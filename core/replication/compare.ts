/**
 * What two members of a store have, side by side, in one pass over both lists. Debts are home's own and left out. Members are equal
 * where the digests of their sorted keys and sizes are, and nothing `differs`.
 */
import type { Backend } from '../backend/backend.ts';
import { digestOfStream, type Member } from '../backend/copying.ts';
import { createHasher, type Digest } from '../digest.ts';
import { kindOfKey, logEntryOf } from '../key-kind.ts';
import { DEBTS_PREFIX, type Key, type LogPrefix, PROBE_PREFIX } from '../keys.ts';

/** What is each place's own. */
const OWN = [DEBTS_PREFIX, PROBE_PREFIX];

export interface Comparison {
  /** Keys that home alone has, in the order in which they may be copied. */
  readonly missing: readonly Key[];
  /** Keys that the other alone has, in the same order. */
  readonly extra: readonly Key[];
  /** Keys of which they hold different objects; of a log the newest one they share. */
  readonly differs: readonly Key[];
  readonly keyCount: number;
  readonly homeDigest: Digest;
  readonly memberDigest: Digest;
}

/** References after what they refer to; within a log the oldest first. */
const ORDER = [
  'pool',
  'repo',
  'pack',
  'segment',
  'bundle',
  'pending',
  'diverged',
  'foreign',
  'log',
];

export async function compare(home: Member, member: Member): Promise<Comparison> {
  const missing: Key[] = [];
  const extra: Key[] = [];
  const suspects: Key[] = [];
  const differs: Key[] = [];
  const logs = new Set<LogPrefix>();
  const [ours, theirs] = [createHasher(), createHasher()];
  let keyCount = 0;
  for await (const pair of joined(home.backend, member.backend)) {
    const { key, home: here, member: there } = pair;
    // What no datamon wrote does not come home from a replica.
    if (here === null && kindOfKey(key).kind === 'foreign' && logEntryOf(key) === null) continue;
    note(ours, key, here);
    note(theirs, key, there);
    keyCount += here === null ? 0 : 1;
    const place = { missing, extra, differs, suspects, same: null }[placeOf(pair, logs)];
    place?.push(key);
  }
  for (const key of suspects) if (!(await isSame(key, home, member))) differs.push(key);
  return {
    missing: missing.sort(byOrder),
    extra: extra.sort(byOrder),
    differs: differs.sort(byOrder),
    keyCount,
    homeDigest: ours.digest(),
    memberDigest: theirs.digest(),
  };
}

function note(hasher: ReturnType<typeof createHasher>, key: Key, sizeBytes: number | null): void {
  if (sizeBytes !== null) hasher.update(Buffer.from(`${key} ${sizeBytes}\n`));
}

function placeOf(
  { key, home, member }: Pair,
  logs: Set<LogPrefix>,
): 'missing' | 'extra' | 'differs' | 'suspects' | 'same' {
  if (member === null) return 'missing';
  if (home === null) return 'extra';
  const isNewest = isSuspect(key, logs);
  if (home !== member) return 'differs';
  return isNewest ? 'suspects' : 'same';
}

export const isEqual = ({ homeDigest, memberDigest, differs }: Comparison): boolean =>
  homeDigest === memberDigest && differs.length === 0;

/** Equal sizes say little of what two writers may have written each: descriptions, and the newest shared entry of a log, which holds the digests of all before. */
function isSuspect(key: Key, logs: Set<LogPrefix>): boolean {
  const entry = logEntryOf(key);
  if (entry !== null) {
    const isFirst = !logs.has(entry.prefix);
    logs.add(entry.prefix);
    return isFirst;
  }
  return ['pool', 'repo'].includes(kindOfKey(key).kind);
}

export async function isSame(key: Key, a: Member, b: Member): Promise<boolean> {
  const [one, other] = await Promise.all(
    [a, b].map(({ backend }) => digestOfStream(backend.get(key))),
  );
  return one === other;
}

function byOrder(a: Key, b: Key): number {
  const classes = ORDER.indexOf(kindOfKey(a).kind) - ORDER.indexOf(kindOfKey(b).kind);
  if (classes !== 0) return classes;
  const [first, second] = [logEntryOf(a), logEntryOf(b)];
  // Newer entries have smaller keys.
  if (first !== null && second !== null && first.prefix === second.prefix)
    return first.n - second.n;
  return a < b ? -1 : 1;
}

interface Pair {
  readonly key: Key;
  /** Sizes; null where it is not there. */
  readonly home: number | null;
  readonly member: number | null;
}

/** Both lists as one, ascending. */
async function* joined(home: Backend, member: Backend): AsyncIterable<Pair> {
  const [ours, theirs] = [entriesOf(home), entriesOf(member)];
  try {
    let [here, there] = [await ours.next(), await theirs.next()];
    while (here.done !== true || there.done !== true) {
      const [a, b] = [here.value, there.value];
      if (b === undefined || (a !== undefined && a.key < b.key)) {
        yield { key: (a as Sized).key, home: (a as Sized).sizeBytes, member: null };
        here = await ours.next();
      } else if (a === undefined || b.key < a.key) {
        yield { key: b.key, home: null, member: b.sizeBytes };
        there = await theirs.next();
      } else {
        yield { key: a.key, home: a.sizeBytes, member: b.sizeBytes };
        [here, there] = [await ours.next(), await theirs.next()];
      }
    }
  } finally {
    await ours.return(undefined);
    await theirs.return(undefined);
  }
}

interface Sized {
  readonly key: Key;
  readonly sizeBytes: number;
}

async function* entriesOf(backend: Backend): AsyncGenerator<Sized, undefined, undefined> {
  for await (const found of backend.list('')) {
    if (!OWN.some((prefix) => found.key.startsWith(prefix))) yield found;
  }
  return undefined;
}
