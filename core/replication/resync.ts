/**
 * Makes a member what home is. Promises: idempotent and interruptible anywhere; nothing is copied that does not prove itself; nothing
 * is dropped silently (what a former home has otherwise is kept under `diverged/`); only what is condemned and gone at home is removed.
 */
import { bodyOf, Copier, type Member, storedBody } from '../backend/copying.ts';
import { DatamonError, hasCode } from '../errors.ts';
import { logEntryOf } from '../key-kind.ts';
import { divergedKey, type Key, logKey, replicasLog } from '../keys.ts';
import { type Comparison, compare, isEqual, isSame } from './compare.ts';
import type { Prove } from './heal.ts';

export interface ResyncOptions {
  readonly home: Member;
  readonly member: Member;
  /** Of the store now: names what diverged. */
  readonly epoch: number;
  readonly prove: Prove;
  readonly isCondemned: (key: Key) => Promise<boolean>;
  readonly onProgress?: (done: ResyncCounts) => void;
  readonly signal?: AbortSignal;
}

export interface ResyncCounts {
  /** Copied to the member. */
  copied: number;
  copiedBytes: number;
  /** Copied to home, which lacked them. */
  returned: number;
  removed: number;
}

export interface ResyncReport extends Readonly<ResyncCounts> {
  /** Keys of which the member had another object, kept under `diverged/`. */
  readonly diverged: readonly Key[];
  /** Keys of which neither has an object that proves itself. */
  readonly damaged: readonly Key[];
  readonly last: Comparison;
  readonly isEqual: boolean;
}

/** Writers go on meanwhile, so that a pass may find new keys. */
const PASSES_MAX = 4;

export async function resync(options: ResyncOptions): Promise<ResyncReport> {
  const run = new Resync(options);
  let last = await compare(options.home, options.member);
  for (let pass = 1; pass <= PASSES_MAX && !isEqual(last); pass += 1) {
    await run.pass(last);
    last = await compare(options.home, options.member);
  }
  const { counts, diverged, damaged } = run;
  return {
    ...counts,
    diverged: [...diverged],
    damaged: [...damaged],
    last,
    isEqual: isEqual(last),
  };
}

class Resync {
  readonly counts: ResyncCounts = { copied: 0, copiedBytes: 0, returned: 0, removed: 0 };
  readonly diverged = new Set<Key>();
  readonly damaged = new Set<Key>();
  readonly #options: ResyncOptions;
  readonly #toMember: Copier;
  readonly #toHome: Copier;

  constructor(options: ResyncOptions) {
    this.#options = options;
    this.#toMember = new Copier(options.home, options.member);
    this.#toHome = new Copier(options.member, options.home);
  }

  /** Data before what refers to it, towards home first: what diverged refers to data that only the member may have. */
  async pass({ missing, extra, differs }: Comparison): Promise<void> {
    const isLog = (key: Key): boolean => logEntryOf(key) !== null;
    for (const key of extra.filter((each) => !isLog(each))) await this.#settleExtra(key);
    for (const key of differs) await (isLog(key) ? this.#splitLog(key) : this.#settleOther(key));
    for (const key of extra.filter(isLog)) await this.#settleExtraEntry(key);
    for (const key of missing) await this.#copy(key);
  }

  async #copy(key: Key): Promise<void> {
    this.#step();
    const { home, prove } = this.#options;
    const found = await home.backend.stat(key);
    // Collected since it was listed.
    if (found === null) return;
    if ((await prove(home.backend, key)) === 'damaged') {
      this.damaged.add(key);
      return;
    }
    await this.#toMember.copy(key, bodyOf(home.backend, key, found.sizeBytes));
    this.counts.copied += 1;
    this.counts.copiedBytes += found.sizeBytes;
  }

  /** Only the member has it: gone at home because it was collected, or never there. */
  async #settleExtra(key: Key): Promise<void> {
    this.#step();
    const { member, isCondemned, prove } = this.#options;
    if (await isCondemned(key)) {
      await member.backend.remove(key);
      this.counts.removed += 1;
      return;
    }
    if ((await prove(member.backend, key)) === 'damaged') {
      this.damaged.add(key);
      await this.#setAside(key);
      return;
    }
    await this.#toHome.copyStored(key);
    this.counts.returned += 1;
  }

  /** An entry that home lacks follows its newest one and becomes home's too, or it belongs to another chain. */
  async #settleExtraEntry(key: Key): Promise<void> {
    this.#step();
    const { member, prove } = this.#options;
    if ((await member.backend.stat(key)) === null) return;
    if (!key.startsWith(replicasLog) && (await prove(member.backend, key)) !== 'damaged') {
      try {
        await this.#toHome.copyStored(key);
        this.counts.returned += 1;
        return;
      } catch (error) {
        // Another entry stands before or in its place, or what it follows was set aside.
        if (!hasCode(error, 'CONFLICT') && !hasCode(error, 'NOT_FOUND')) throw error;
      }
    }
    await this.#setAside(key);
  }

  /** The newest entry that both have is another: so are all down to the one where they part, and all above it. */
  async #splitLog(key: Key): Promise<void> {
    const { home, member, prove } = this.#options;
    const newest = logEntryOf(key);
    if (newest === null) return;
    if ((await prove(home.backend, key)) === 'damaged') {
      // A flipped bit is no other chain: healing is for that.
      this.damaged.add(key);
      return;
    }
    // Home's own entries follow in the next pass, oldest first.
    for (let n = newest.n; n >= 1; n -= 1) {
      const entry = logKey(newest.prefix, n);
      this.#step();
      if ((await member.backend.stat(entry)) === null) break;
      if (await isSame(entry, home, member)) break;
      await this.#setAside(entry);
    }
  }

  async #settleOther(key: Key): Promise<void> {
    this.#step();
    const { home, member, prove } = this.#options;
    const [here, there] = [await prove(home.backend, key), await prove(member.backend, key)];
    if (here === 'damaged') {
      this.damaged.add(key);
      return;
    }
    if (there === 'damaged') await member.backend.remove(key);
    else await this.#setAside(key);
    this.#toMember.forget(key);
    await this.#copy(key);
  }

  /** Kept in both under `diverged/`, then out of the way. */
  async #setAside(key: Key): Promise<void> {
    const { home, member, epoch } = this.#options;
    const aside = divergedKey(epoch, member.name, key);
    for (const { backend } of [home, member]) {
      await backend.putIfAbsent(aside, await storedBody(member.backend, key));
    }
    await member.backend.remove(key);
    this.#toMember.forget(key);
    this.diverged.add(key);
  }

  #step(): void {
    const { signal, onProgress } = this.#options;
    if (signal?.aborted === true) {
      throw new DatamonError('CANCELLED', 'the resync was stopped; run it again to go on');
    }
    onProgress?.(this.counts);
  }
}
