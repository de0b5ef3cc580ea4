/**
 * What members are owed (docs/format.md §13): written at home before the object it names, so that no object stands at home alone
 * without a note. Keys that come while a note is being written share the next one.
 */
import { type Backend, bytesBody } from '../backend/backend.ts';
import { collect } from '../bytes.ts';
import { hasCode } from '../errors.ts';
import { openSealedJson, sealJson } from '../json.ts';
import { DEBTS_PREFIX, debtKey, type Key, parseKey } from '../keys.ts';
import { type Random, randomHex } from '../random.ts';
import { listOf, record, text } from '../shape.ts';

const DEBT_SIZE_MAX_BYTES = 16 * 1024 * 1024;
const KEYS_PER_NOTE_MAX = 10_000;
const ID_SIZE_BYTES = 16;

export interface DebtNote {
  readonly members: readonly string[];
  readonly keys: readonly Key[];
}

export interface StoredDebt {
  readonly key: Key;
  readonly createdAt: Date;
  /** Null where it does not read: then nobody knows what it named. */
  readonly note: DebtNote | null;
}

interface Batch {
  readonly keys: Set<Key>;
  readonly members: Set<string>;
  readonly written: Promise<void>;
}

export class DebtWriter {
  readonly #home: Backend;
  readonly #random: Random;
  #waiting: Batch | null = null;
  #writing: Promise<unknown> = Promise.resolve();

  constructor(home: Backend, random: Random) {
    this.#home = home;
    this.#random = random;
  }

  /** Resolves once a durable note names the key. */
  owe(key: Key, members: readonly string[]): Promise<void> {
    const full = (this.#waiting?.keys.size ?? 0) >= KEYS_PER_NOTE_MAX;
    const batch = this.#waiting === null || full ? this.#newBatch() : this.#waiting;
    batch.keys.add(key);
    for (const member of members) batch.members.add(member);
    return batch.written;
  }

  #newBatch(): Batch {
    const [keys, members] = [new Set<Key>(), new Set<string>()];
    const written = this.#writing.then(() => {
      if (this.#waiting === batch) this.#waiting = null;
      return writeDebt(this.#home, this.#random, { members: [...members], keys: [...keys] });
    });
    // A note that failed is its own callers' failure, not that of the next note's.
    this.#writing = written.catch(() => {});
    const batch: Batch = { keys, members, written };
    this.#waiting = batch;
    return batch;
  }
}

export async function writeDebt(home: Backend, random: Random, note: DebtNote): Promise<void> {
  const body = bytesBody(sealJson({ members: note.members, keys: note.keys }));
  await home.putIfAbsent(debtKey(randomHex(random, ID_SIZE_BYTES)), body);
}

const parseNote = record<DebtNote>({
  members: listOf(text),
  keys: listOf((value, where) => parseKey(text(value, where))),
});

/** All notes at home. */
export async function* readDebts(home: Backend): AsyncIterable<StoredDebt> {
  for await (const { key, createdAt } of home.list(DEBTS_PREFIX)) {
    try {
      const bytes = await collect(home.get(key), DEBT_SIZE_MAX_BYTES);
      yield { key, createdAt, note: parseNote(openSealedJson(bytes, key), key) };
    } catch (error) {
      // Another pusher was faster.
      if (hasCode(error, 'NOT_FOUND')) continue;
      if (!hasCode(error, 'CORRUPT') && !hasCode(error, 'INVALID')) throw error;
      yield { key, createdAt, note: null };
    }
  }
}
