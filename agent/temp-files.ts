/**
 * Download targets: `<lfs dir>/tmp/<oid>-datamon-<pid>-<nonce>.part`, on the file system of the LFS store because git-lfs
 * renames them into it. Invariant: a temp is either handed back whole or removed; what a killed process left behind goes
 * at the next start. Never a cache file: git-lfs takes the file away.
 */
import { existsSync, readlinkSync, rmSync } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { type Digest, digestOf } from '../core/digest.ts';
import { DatamonError } from '../core/errors.ts';
import { type Random, randomHex } from '../core/random.ts';

/** git's `core.sharedRepository`: bits to add to a file's mode, or the mode itself; null for the umask alone. */
export type SharedMode = { readonly add: number } | { readonly exact: number } | null;

const NAME_PATTERN = /^[0-9a-f]{64}-datamon-(\d+)-([0-9a-f]{8})[0-9a-f]{8}\.part$/;
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
}

export interface TempFile {
  readonly path: string;
  readonly handle: FileHandle;
  /** Closes the file; from now on it belongs to git-lfs. */
  keep(): Promise<string>;
  /** Closes and removes it. */
  discard(): Promise<void>;
}

export interface TempFiles {
  create(oid: Digest): Promise<TempFile>;
  /** At once and without waiting: every temp not handed back is removed. */
  removeAll(): void;
}

export function createTempFiles(options: TempFilesOptions): TempFiles {
  const folder = join(options.lfsDirectory, 'tmp');
  const unfinished = new Map<string, FileHandle>();
  return {
    create: async (oid) => {
      const nonce = `${options.pidSpace}${randomHex(options.random, 4)}`;
      const path = join(folder, `${oid}-datamon-${options.pid}-${nonce}.part`);
      const handle = await openNew(folder, path);
      unfinished.set(path, handle);
      await adjustMode(handle, options.sharedMode);
      return {
        path,
        handle,
        keep: async () => {
          await handle.close();
          unfinished.delete(path);
          return path;
        },
        discard: async () => {
          await handle.close().catch(() => undefined);
          await rm(path, { force: true });
          unfinished.delete(path);
        },
      };
    },
    removeAll: () => {
      for (const [path, handle] of unfinished) {
        rmSync(path, { force: true });
        void handle.close().catch(() => undefined);
      }
      unfinished.clear();
    },
  };
}

async function openNew(folder: string, path: string): Promise<FileHandle> {
  try {
    await mkdir(folder, { recursive: true });
    return await open(path, 'wx', FILE_MODE);
  } catch (cause) {
    throw fileError(cause, `cannot create a file in ${folder}`);
  }
}

async function adjustMode(handle: FileHandle, shared: SharedMode): Promise<void> {
  if (shared === null) return;
  if ('exact' in shared) return await handle.chmod(shared.exact);
  const { mode } = await handle.stat();
  await handle.chmod((mode & PERMISSION_BITS) | shared.add);
}

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

export interface SweepOptions {
  readonly lfsDirectory: string;
  readonly pidSpace: string;
  readonly isAlive: (pid: number) => boolean;
}

/** Removes temps of processes that are gone. Another machine's are left to git-lfs, which clears its folder by age. */
export async function sweepTempFiles(options: SweepOptions): Promise<number> {
  const folder = join(options.lfsDirectory, 'tmp');
  let removedCount = 0;
  const names = await readdir(folder).catch(() => []);
  for (const name of names) {
    const match = NAME_PATTERN.exec(name);
    if (match?.[2] !== options.pidSpace || options.isAlive(Number(match[1]))) continue;
    await rm(join(folder, name), { force: true }).catch(() => undefined);
    removedCount += 1;
  }
  return removedCount;
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
