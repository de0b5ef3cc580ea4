/**
 * Download targets: `<lfs dir>/datamon/<oid>-datamon-<pid>-<nonce>.part`, on the file system of the LFS store because git-lfs
 * renames them into it, and not in its own `tmp`, which it clears by the hour. Promises: a temp belongs to one process; it is
 * handed back whole, removed, or left as the beginning of the same object for whoever claims it next. Never a cache file, never
 * a hard link: git-lfs takes the file away.
 */
import {
  closeSync,
  constants,
  existsSync,
  fchmodSync,
  fstatSync,
  mkdirSync,
  openSync,
  readlinkSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { type Digest, digestOf } from '../core/digest.ts';
import { DatamonError } from '../core/errors.ts';
import { type Random, randomHex } from '../core/random.ts';

/** git's `core.sharedRepository`: bits to add to a file's mode, or the mode itself; null for the umask alone. */
export type SharedMode = { readonly add: number } | { readonly exact: number } | null;

/** Less is not worth the room it takes meanwhile. */
export const KEPT_SIZE_MIN_BYTES = 1024 * 1024;
const FILE_MODE = 0o666;
const PERMISSION_BITS = 0o777;

export interface TempFilesOptions {
  /** Absolute: `lfs.storage`, or `lfs` in the common git folder. */
  readonly lfsDirectory: string;
  readonly pid: number;
  readonly sharedMode: SharedMode;
  readonly random: Random;
  /** Which processes a pid can name; see `pidSpace`. */
  readonly pidSpace: string;
  /** Beginnings of objects that interrupted downloads left, see `sweepTempFiles`. */
  readonly leftovers?: Leftovers;
}

/** Paths of beginnings, by object. */
export type Leftovers = Map<Digest, string[]>;

/** A finished file that nobody asked for yet. */
export interface HeldFile {
  /** From now on it belongs to git-lfs. */
  keep(): Promise<string>;
  discard(): Promise<void>;
}

export interface TempFile extends HeldFile {
  readonly path: string;
  readonly handle: FileHandle;
  /** What an interrupted download left in it, unproved; 0 for a new file. */
  readonly foundBytes: number;
  /** Closes the file, which stays ours until `keep` or `discard`: a process has more files ahead than it may hold open. */
  rest(): Promise<void>;
  /** Closes the file; from now on it belongs to git-lfs. */
  keep(): Promise<string>;
  /** Closes and removes it. */
  discard(): Promise<void>;
  /** Closes it and leaves it for the next download of the same object, where enough of it is there. */
  leave(): Promise<void>;
}

export interface TempFiles {
  /** A new file, or the beginning that was left of this object. */
  create(oid: Digest): Promise<TempFile>;
  /**
   * A finished file with these bytes, of which no beginning can be left: fewer than KEPT_SIZE_MIN_BYTES. Made without a turn of the
   * event loop, since there may be very many of them.
   */
  hold(oid: Digest, bytes: Uint8Array): HeldFile;
  /** At once and without waiting: every temp not handed back is given up. */
  removeAll(): void;
}

export const tempFolder = (lfsDirectory: string): string => join(lfsDirectory, 'datamon');

export function createTempFiles(options: TempFilesOptions): TempFiles {
  const folder = tempFolder(options.lfsDirectory);
  const unfinished = new Map<string, FileHandle | null>();
  const leftovers = options.leftovers ?? new Map<Digest, string[]>();
  const newPath = (oid: Digest): string => {
    const nonce = `${options.pidSpace}${randomHex(options.random, 4)}`;
    return join(folder, `${oid}-datamon-${options.pid}-${nonce}.part`);
  };

  return {
    create: async (oid) => {
      const path = newPath(oid);
      const handle = (await claim(leftovers.get(oid) ?? [], path)) ?? (await openNew(folder, path));
      unfinished.set(path, handle);
      const foundBytes = (await handle.stat()).size;
      await adjustMode(handle, options.sharedMode);
      const close = async (): Promise<void> => {
        unfinished.delete(path);
        await handle.close().catch(() => undefined);
      };
      const discard = async (): Promise<void> => {
        await close();
        await rm(path, { force: true });
      };
      return {
        path,
        handle,
        foundBytes,
        rest: () => handle.close(),
        keep: async () => {
          unfinished.delete(path);
          await handle.close();
          return path;
        },
        discard,
        leave: async () => {
          const { size } = await handle.stat();
          if (size < KEPT_SIZE_MIN_BYTES) return await discard();
          await close();
          leftovers.set(oid, [...(leftovers.get(oid) ?? []), path]);
        },
      };
    },
    hold: (oid, bytes) => {
      const path = newPath(oid);
      writeNew(folder, path, bytes, options.sharedMode);
      unfinished.set(path, null);
      return {
        keep: async () => {
          unfinished.delete(path);
          return path;
        },
        discard: async () => {
          unfinished.delete(path);
          await rm(path, { force: true });
        },
      };
    },
    removeAll: () => {
      for (const [path, handle] of unfinished) {
        // What is large enough is claimed by the next process: this one's pid will be gone.
        if (sizeOf(path) < KEPT_SIZE_MIN_BYTES) rmSync(path, { force: true });
        void handle?.close().catch(() => undefined);
      }
      unfinished.clear();
    },
  };
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

/** Takes over the first of `leftovers` that nobody else took. A rename has one winner. */
async function claim(leftovers: string[], path: string): Promise<FileHandle | null> {
  for (let left = leftovers.pop(); left !== undefined; left = leftovers.pop()) {
    try {
      await rename(left, path);
      return await open(path, constants.O_RDWR | constants.O_NOFOLLOW);
    } catch {
      // Somebody else's now, or unreadable: a new file is always right.
    }
  }
  return null;
}

async function openNew(folder: string, path: string): Promise<FileHandle> {
  try {
    await mkdir(folder, { recursive: true });
    await rm(path, { force: true });
    return await open(path, 'wx+', FILE_MODE);
  } catch (cause) {
    throw fileError(cause, `cannot create a file in ${folder}`);
  }
}

/** All of a new file, or nothing of it. */
function writeNew(folder: string, path: string, bytes: Uint8Array, shared: SharedMode): void {
  let file: number | null = null;
  try {
    file = openNewSync(folder, path);
    for (let written = 0; written < bytes.length; ) written += writeSync(file, bytes, written);
    if (shared !== null) fchmodSync(file, sharedMode(shared, fstatSync(file).mode));
  } catch (cause) {
    if (file !== null) rmSync(path, { force: true });
    throw fileError(cause, `cannot create a file in ${folder}`);
  } finally {
    if (file !== null) closeSync(file);
  }
}

function openNewSync(folder: string, path: string): number {
  try {
    return openSync(path, 'wx', FILE_MODE);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    mkdirSync(folder, { recursive: true });
    return openSync(path, 'wx', FILE_MODE);
  }
}

async function adjustMode(handle: FileHandle, shared: SharedMode): Promise<void> {
  if (shared === null) return;
  await handle.chmod(sharedMode(shared, (await handle.stat()).mode));
}

const sharedMode = (shared: NonNullable<SharedMode>, mode: number): number =>
  'exact' in shared ? shared.exact : (mode & PERMISSION_BITS) | shared.add;

/** `core.sharedRepository` as git reads it; what git would not understand counts as unset. */
export function parseSharedMode(value: string | null): SharedMode {
  const word = value?.toLowerCase() ?? '';
  if (['group', 'true', 'yes', 'on', '1'].includes(word)) return { add: 0o660 };
  if (['all', 'world', 'everybody', '2', '3'].includes(word)) return { add: 0o664 };
  if (/^0?[0-7]{3}$/.test(word)) return { exact: Number.parseInt(word, 8) & FILE_MODE };
  return null;
}

/** Eight hex digits that differ between machines and containers sharing a folder: a pid says nothing across them. */
export function pidSpace(): string {
  let namespace = '';
  try {
    namespace = readlinkSync('/proc/self/ns/pid');
  } catch {
    // Only Linux has them.
  }
  return digestOf(`${hostname()}\n${namespace}`).slice(0, 8);
}

/** Where there is no `/proc`, everything counts as alive. */
export function isAliveByProc(pid: number): boolean {
  return !existsSync('/proc/self') || existsSync(`/proc/${pid}`);
}

/** A failed write or creation of a local file, as an error that says what to do. */
export function fileError(cause: unknown, what: string): DatamonError {
  if (cause instanceof DatamonError) return cause;
  const code = (cause as NodeJS.ErrnoException | null)?.code ?? '';
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    const hint = 'Free some space there, then run the command again.';
    return new DatamonError('NO_SPACE', `${what}: the disk is full`, { cause, hint });
  }
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') {
    const hint = 'Make it writable for you, then run the command again.';
    return new DatamonError('FORBIDDEN', `${what}: not permitted`, { cause, hint });
  }
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new DatamonError('UNSUPPORTED', `${what}: ${reason}`, { cause });
}
