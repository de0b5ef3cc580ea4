/**
 * Copies objects from one member of a store to another. Invariants: a log entry is copied after its predecessors, and only behind
 * the same ones; what stands there under the key is the same object, or the copy is refused as CONFLICT.
 */
import { createHasher, type Digest } from '../digest.ts';
import { DatamonError, hasCode } from '../errors.ts';
import { hasOneContent, logEntryOf } from '../key-kind.ts';
import { type Key, logKey } from '../keys.ts';
import type { Backend, Body } from './backend.ts';

/** A place that holds a copy of the store. */
export interface Member {
  readonly name: string;
  readonly backend: Backend;
}

/** Keys known to be the same in two members; forgetting costs a comparison. */
const KNOWN_COUNT_MAX = 100_000;

export class Copier {
  readonly #from: Member;
  readonly #to: Member;
  readonly #known = new Set<Key>();
  readonly #seen = new Set<Key>();

  constructor(from: Member, to: Member) {
    this.#from = from;
    this.#to = to;
  }

  /** Makes sure that `to` has the object that `from` has, or is about to have, under `key`. */
  async copy(key: Key, body: Body): Promise<void> {
    if (this.#known.has(key)) return;
    for (const earlier of await this.#missingBefore(key)) {
      await this.#put(earlier, await storedBody(this.#from.backend, earlier));
    }
    await this.#put(key, body);
  }

  /** As `copy`, of what `from` has stored. False where it has nothing under `key`. */
  async copyStored(key: Key): Promise<boolean> {
    if (this.#known.has(key)) return true;
    const there = await this.#from.backend.stat(key);
    if (there === null) return false;
    await this.copy(key, bodyOf(this.#from.backend, key, there.sizeBytes));
    return true;
  }

  /** As `copyStored` for who only reads: that some object stands there is believed to be this one. */
  async help(key: Key): Promise<void> {
    if (this.#known.has(key) || this.#seen.has(key)) return;
    if ((await this.#to.backend.stat(key)) === null) await this.copyStored(key);
    remember(this.#seen, key);
  }

  /** Something changed under `key`. */
  forget(key: Key): void {
    this.#known.delete(key);
    this.#seen.delete(key);
  }

  /** Log entries before `key` that `to` lacks, oldest first. CONFLICT where the newest that it has is another than ours. */
  async #missingBefore(key: Key): Promise<readonly Key[]> {
    const entry = logEntryOf(key);
    const missing: Key[] = [];
    for (let n = (entry?.n ?? 1) - 1; n >= 1 && entry !== null; n -= 1) {
      const earlier = logKey(entry.prefix, n);
      if (this.#known.has(earlier)) break;
      const found = await this.#to.backend.stat(earlier);
      if (found !== null) {
        await this.#mustBeSame(earlier, await storedBody(this.#from.backend, earlier));
        break;
      }
      // A log that begins with a gap is for its readers to complain of.
      if ((await this.#from.backend.stat(earlier)) === null) break;
      missing.unshift(earlier);
    }
    return missing;
  }

  async #put(key: Key, body: Body): Promise<void> {
    const { created } = await this.#to.backend.putIfAbsent(key, body);
    if (!created) await this.#mustBeSame(key, body);
    remember(this.#known, key);
  }

  async #mustBeSame(key: Key, body: Body): Promise<void> {
    const there = await this.#to.backend.stat(key);
    const same =
      there?.sizeBytes === body.sizeBytes &&
      // Whoever writes under such a name writes the same bytes; whether they still are is scrub's to say.
      (hasOneContent(key) ||
        (await digestOfStream(body.open())) === (await this.#digestThere(key)));
    if (!same) throw this.#differs(key);
    remember(this.#known, key);
  }

  #digestThere(key: Key): Promise<Digest> {
    return digestOfStream(this.#to.backend.get(key));
  }

  #differs(key: Key): DatamonError {
    const [from, to] = [this.#from, this.#to];
    return new DatamonError(
      'CONFLICT',
      `${key} is another object in ${to.name} (${to.backend.url}) than in ${from.name} (${from.backend.url})`,
      { hint: 'See which is right: datamon replicate --status' },
    );
  }
}

/** The bytes stored under `key`, to be put elsewhere. NOT_FOUND where there are none. */
export async function storedBody(backend: Backend, key: Key): Promise<Body> {
  const found = await backend.stat(key);
  if (found === null) throw new DatamonError('NOT_FOUND', `${key} is not in ${backend.url}`);
  return bodyOf(backend, key, found.sizeBytes);
}

export const bodyOf = (backend: Backend, key: Key, sizeBytes: number): Body => ({
  sizeBytes,
  open: () => backend.get(key),
});

export async function digestOfStream(stream: AsyncIterable<Uint8Array>): Promise<Digest> {
  const hasher = createHasher();
  for await (const bytes of stream) hasher.update(bytes);
  return hasher.digest();
}

function remember(keys: Set<Key>, key: Key): void {
  if (keys.size >= KNOWN_COUNT_MAX) keys.clear();
  keys.add(key);
}

/** True for failures of one place that another may answer instead. */
export const isLocalFailure = (error: unknown): boolean =>
  hasCode(error, 'UNAVAILABLE') || hasCode(error, 'CORRUPT') || hasCode(error, 'FORBIDDEN');
