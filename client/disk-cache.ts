/**
 * A cache of ranges in a folder that many processes share. Promises: a file is whole and what was kept, or counts as absent and goes;
 * the folder holds no more than its cap, and a sixteenth of it per process that is writing; what was used last stays longest; no
 * call ever fails.
 */
import { mkdir, open, readdir, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import type { RangeCache } from '../core/backend/caching.ts';
import { createHasher, digestOf } from '../core/digest.ts';
import type { Key } from '../core/keys.ts';
import { type Random, randomHex } from '../core/random.ts';

export const DISK_CACHE_SIZE_DEFAULT_BYTES = 1024 ** 3;
const DIGEST_SIZE_BYTES = 32;
/** A sweep leaves some room, or the next file would need another one. */
const SWEPT_SHARE = 0.9;
const LOOK_SHARE = 1 / 16;
/** A file used again so soon is not marked again. */
const MARK_INTERVAL_MS = 60_000;
/** An unfinished file so old is nobody's. */
const TEMP_AGE_MAX_MS = 60 * 60 * 1000;
const TEMP_SUFFIX = '.tmp';
const FOLDER = /^[0-9a-f]{2}$/;

export interface DiskCacheOptions {
  readonly dir: string;
  readonly sizeMaxBytes: number;
  /** Keys of several stores share the folder. */
  readonly store: string;
  readonly random: Random;
  readonly nowMs: () => number;
}

/** `$XDG_CACHE_HOME/datamon/ranges`, below the home folder by default; null where there is neither. */
export function diskCacheFolder(env: Readonly<Record<string, string | undefined>>): string | null {
  const { XDG_CACHE_HOME: cache, HOME: home } = env;
  if (cache !== undefined && isAbsolute(cache)) return join(cache, 'datamon', 'ranges');
  if (home === undefined || !isAbsolute(home)) return null;
  return join(home, '.cache', 'datamon', 'ranges');
}

/** Bytes it takes now. */
export async function diskCacheSize(dir: string): Promise<number> {
  return (await filesBelow(dir)).reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

/** Removes all of it; who reads at this moment asks the store. Returns the bytes freed. */
export async function clearDiskCache(dir: string): Promise<number> {
  const freedBytes = await diskCacheSize(dir);
  for (const name of await readdir(dir).catch(() => [])) {
    if (FOLDER.test(name)) await rm(join(dir, name), { recursive: true, force: true });
  }
  return freedBytes;
}

export function createDiskCache(options: DiskCacheOptions): RangeCache {
  const { dir, sizeMaxBytes, store, random, nowMs } = options;
  const lookAfterBytes = sizeMaxBytes * LOOK_SHARE;
  /** Since the folder was looked through; at first nobody knows what is there. */
  let writtenBytes = lookAfterBytes;

  const placeOf = (key: Key): { readonly folder: string; readonly prefix: string } => {
    const name = digestOf(`${store}\n${key}`).slice(0, 40);
    return { folder: join(dir, name.slice(0, 2)), prefix: `${name}-` };
  };
  const pathOf = (key: Key, start: number, end: number): string => {
    const { folder, prefix } = placeOf(key);
    return join(folder, `${prefix}${start}-${end}`);
  };

  async function write(path: string, parts: readonly Uint8Array[]): Promise<void> {
    const temp = `${path}.${randomHex(random, 8)}${TEMP_SUFFIX}`;
    await mkdir(join(path, '..'), { recursive: true, mode: 0o700 });
    try {
      const file = await open(temp, 'wx', 0o600);
      try {
        await file.writev([...parts, sealOf(path, parts)]);
      } finally {
        await file.close();
      }
      await rename(temp, path);
    } catch (error) {
      await rm(temp, { force: true });
      throw error;
    }
  }

  return {
    async read(key, start, end) {
      const path = pathOf(key, start, end);
      const bytes = await readFile(path).catch(() => null);
      if (bytes === null) return null;
      const content = bytes.subarray(0, Math.max(0, bytes.length - DIGEST_SIZE_BYTES));
      if (!sealOf(path, [content]).equals(bytes.subarray(content.length))) {
        await rm(path, { force: true }).catch(() => {});
        return null;
      }
      await mark(path, nowMs()).catch(() => {});
      return content;
    },
    async keep(key, { start, end }, parts) {
      const sizeBytes = parts.reduce((sum, { length }) => sum + length, DIGEST_SIZE_BYTES);
      if (sizeBytes > sizeMaxBytes / 4) return;
      try {
        writtenBytes += sizeBytes;
        if (writtenBytes > lookAfterBytes) {
          writtenBytes = sizeBytes;
          await makeRoom(dir, sizeMaxBytes - sizeBytes, nowMs());
        }
        await write(pathOf(key, start, end), parts);
      } catch {
        // A full disk, say: the next read asks the store.
      }
    },
    async evict(key) {
      const { folder, prefix } = placeOf(key);
      const names = (await readdir(folder).catch(() => [])).filter((n) => n.startsWith(prefix));
      for (const name of names) await rm(join(folder, name), { force: true }).catch(() => {});
      return names.length > 0;
    },
  };
}

/** Over the bytes and the name, so that no file passes for another's. */
function sealOf(path: string, parts: readonly Uint8Array[]): Buffer {
  const hasher = createHasher();
  hasher.update(Buffer.from(path.slice(path.lastIndexOf('/') + 1)));
  for (const part of parts) hasher.update(part);
  return Buffer.from(hasher.digest(), 'hex');
}

async function mark(path: string, nowMs: number): Promise<void> {
  if (nowMs - (await stat(path)).mtimeMs < MARK_INTERVAL_MS) return;
  await utimes(path, nowMs / 1000, nowMs / 1000);
}

interface CacheFile {
  readonly path: string;
  readonly sizeBytes: number;
  readonly usedMs: number;
}

/** Removes what was used longest ago until the rest takes no more than `sizeMaxBytes`, and then some. */
async function makeRoom(dir: string, sizeMaxBytes: number, nowMs: number): Promise<void> {
  const files: CacheFile[] = [];
  for (const file of await filesBelow(dir)) {
    const isTemp = file.path.endsWith(TEMP_SUFFIX);
    if (isTemp && nowMs - file.usedMs > TEMP_AGE_MAX_MS) await rm(file.path, { force: true });
    else if (!isTemp) files.push(file);
  }
  let sizeBytes = files.reduce((sum, file) => sum + file.sizeBytes, 0);
  if (sizeBytes <= sizeMaxBytes * (1 - LOOK_SHARE)) return;
  for (const file of files.sort((a, b) => a.usedMs - b.usedMs)) {
    if (sizeBytes <= sizeMaxBytes * SWEPT_SHARE) return;
    await rm(file.path, { force: true });
    sizeBytes -= file.sizeBytes;
  }
}

async function filesBelow(dir: string): Promise<CacheFile[]> {
  const files: CacheFile[] = [];
  for (const folder of (await readdir(dir).catch(() => [])).filter((name) => FOLDER.test(name))) {
    for (const name of await readdir(join(dir, folder)).catch(() => [])) {
      const path = join(dir, folder, name);
      const found = await stat(path).catch(() => null);
      if (found?.isFile()) files.push({ path, sizeBytes: found.size, usedMs: found.mtimeMs });
    }
  }
  return files;
}
