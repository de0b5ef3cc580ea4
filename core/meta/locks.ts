/**
 * `Locks` straight on a backend: one log whose newest entry holds every lock, so two requests for one path meet at the same
 * new key and one of them wins. Paths are canonical, and paths that some file system takes for one file are one lock.
 */
import type { Backend } from '../backend/backend.ts';
import { DatamonError } from '../errors.ts';
import { lockLog, type RepoName } from '../keys.ts';
import { type Log, openLog } from '../log.ts';
import { type Random, randomHex } from '../random.ts';
import { listOf, oneOf, record, text, time } from '../shape.ts';
import type { Lock, RawPath } from './model.ts';
import { foldPath } from './path-safety.ts';
import { displayPath, PATH_SIZE_MAX_BYTES, rawPathFromText } from './raw-path.ts';
import type { Locks } from './repository.ts';
import { parseLock } from './wire.ts';

/** Every entry repeats all locks, so there must be an end to them. */
export const LOCK_COUNT_MAX = 10_000;
const ID_SIZE_BYTES = 16;
const OWNER_LENGTH_MAX = 1024;

/** Entry of the lock log. */
export interface LockRecord {
  readonly action: 'locked' | 'unlocked';
  readonly lock: Lock;
  /** Who did it: for a forced unlock not the lock's owner. */
  readonly by: string;
  readonly at: string;
  /** Every lock held after the event. */
  readonly held: readonly Lock[];
}

export const lockRecord = record<LockRecord>({
  action: oneOf(['locked', 'unlocked']),
  lock: parseLock,
  by: text,
  at: time,
  held: listOf(parseLock),
});

export interface LocksOptions {
  readonly backend: Backend;
  readonly repo: RepoName;
  readonly random: Random;
}

export class DirectLocks implements Locks {
  readonly #options: LocksOptions;
  readonly #log: Log<LockRecord>;

  constructor(options: LocksOptions) {
    this.#options = options;
    const { backend, repo, random } = options;
    const parse = (event: unknown): LockRecord => lockRecord(event, 'lock event');
    this.#log = openLog({ backend, random, prefix: lockLog(repo), parse });
  }

  async list(): Promise<readonly Lock[]> {
    return (await this.#log.head())?.event.held ?? [];
  }

  async lock(request: {
    readonly path: string;
    readonly owner: string;
    readonly ref: string | null;
  }): Promise<Lock> {
    const { owner, ref } = request;
    const path = canonicalLockPath(request.path);
    checkOwner(owner);
    const id = randomHex(this.#options.random, ID_SIZE_BYTES);
    const entry = await this.#log.update(async (head) => {
      const held = head?.event.held ?? [];
      refuseHeld(held, path);
      const at = await this.#now();
      const lock: Lock = { id, path, owner, lockedAt: at, ref };
      return { action: 'locked', lock, by: owner, at, held: [...held, lock] };
    });
    if (entry === null) throw new Error('an update that always decides appended nothing');
    return entry.event.lock;
  }

  async unlock(request: {
    readonly id: string;
    readonly owner: string;
    readonly force: boolean;
  }): Promise<Lock> {
    const { id, owner, force } = request;
    const entry = await this.#log.update(async (head) => {
      const held = head?.event.held ?? [];
      const lock = held.find((each) => each.id === id);
      if (lock === undefined) throw unknownLock(id);
      if (lock.owner !== owner && !force) throw notYours(lock);
      const rest = held.filter((each) => each.id !== id);
      return { action: 'unlocked', lock, by: owner, at: await this.#now(), held: rest };
    });
    if (entry === null) throw new Error('an update that always decides appended nothing');
    return entry.event.lock;
  }

  async #now(): Promise<string> {
    return (await this.#options.backend.now()).toISOString();
  }
}

/** Throws INVALID for a path that has another, shorter spelling, or none within a work tree. */
export function canonicalLockPath(path: string): string {
  const parts = path.split('/');
  const legal =
    path.length <= PATH_SIZE_MAX_BYTES &&
    !/[\p{Cc}\p{Cs}\\]/u.test(path) &&
    parts.every((part) => part !== '' && part !== '.' && part !== '..');
  if (legal) return path;
  throw new DatamonError('INVALID', `not a path to lock: ${JSON.stringify(path.slice(0, 200))}`, {
    hint: 'Give the path from the top of the work tree, with single slashes and no dots: data/a.csv',
  });
}

/** Finds the lock that covers a path: paths that differ in case or Unicode form only are one. */
export function indexLocks(held: readonly Lock[]): (path: RawPath) => Lock | undefined {
  const byPath = new Map(held.map((lock) => [foldPath(rawPathFromText(lock.path)), lock]));
  return (path) => byPath.get(foldPath(path));
}

function refuseHeld(held: readonly Lock[], path: string): void {
  if (held.length >= LOCK_COUNT_MAX) {
    throw new DatamonError('TOO_LARGE', `this repo holds ${held.length} locks, and no more fit`, {
      hint: 'See them and give some back: git lfs locks; git lfs unlock <path>',
    });
  }
  const raw = rawPathFromText(path);
  const lock = indexLocks(held)(raw);
  if (lock === undefined) return;
  const twin = lock.path === path ? '' : ` as ${displayPath(rawPathFromText(lock.path))}`;
  throw new DatamonError(
    'LOCKED',
    `${displayPath(raw)} is locked${twin} by ${lock.owner} since ${lock.lockedAt}`,
    { hint: `Ask ${lock.owner} to give it back: git lfs unlock ${JSON.stringify(lock.path)}` },
  );
}

function checkOwner(owner: string): void {
  if (owner !== '' && owner.length <= OWNER_LENGTH_MAX && !/[\p{Cc}\p{Cs}]/u.test(owner)) return;
  throw new DatamonError(
    'INVALID',
    `not the owner of a lock: ${JSON.stringify(owner.slice(0, 80))}`,
  );
}

const unknownLock = (id: string): DatamonError =>
  new DatamonError('NOT_FOUND', `no lock has the id ${JSON.stringify(id.slice(0, 80))}`, {
    hint: 'See the locks there are: git lfs locks',
  });

const notYours = (lock: Lock): DatamonError =>
  new DatamonError('FORBIDDEN', `${lock.path} is locked by ${lock.owner}`, {
    hint: `Ask ${lock.owner}, or take it with the right to: git lfs unlock --force`,
  });
