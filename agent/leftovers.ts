/**
 * What interrupted downloads left: beginnings of objects, of processes that are gone. Promises: nothing a living process may still
 * be writing is touched; what is too old, too small or already downloaded is removed; the rest can be claimed.
 */
import { existsSync } from 'node:fs';
import { lstat, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Digest, parseDigest } from '../core/digest.ts';
import { KEPT_SIZE_MIN_BYTES, type Leftovers, tempFolder } from './temp-files.ts';

const NAME_PATTERN = /^([0-9a-f]{64})-datamon-(\d+)-([0-9a-f]{8})[0-9a-f]{8}\.part$/;
export const LEFTOVER_AGE_MAX_MS = 7 * 24 * 60 * 60 * 1000;

export interface SweepOptions {
  readonly lfsDirectory: string;
  readonly pidSpace: string;
  readonly isAlive: (pid: number) => boolean;
  readonly nowMs: number;
}

export interface Swept {
  readonly leftovers: Leftovers;
  readonly removedCount: number;
}

/** Another machine's files say nothing about their process: they go by age alone. */
export async function sweepTempFiles(options: SweepOptions): Promise<Swept> {
  const folder = tempFolder(options.lfsDirectory);
  const leftovers: Leftovers = new Map();
  let removedCount = 0;
  for (const name of await readdir(folder).catch(() => [])) {
    const [, oid = '', pid, space] = NAME_PATTERN.exec(name) ?? [];
    if (pid === undefined) continue;
    const isOurs = space === options.pidSpace;
    if (isOurs && options.isAlive(Number(pid))) continue;
    const path = join(folder, name);
    const use = await useOf(path, parseDigest(oid), options);
    if (use === 'none') {
      await rm(path, { force: true }).catch(() => undefined);
      removedCount += 1;
    } else if (isOurs) addTo(leftovers, parseDigest(oid), path);
  }
  return { leftovers, removedCount };
}

async function useOf(
  path: string,
  oid: Digest,
  { lfsDirectory, pidSpace, nowMs }: SweepOptions,
): Promise<'none' | 'perhaps'> {
  const found = await lstat(path).catch(() => null);
  if (found === null) return 'perhaps';
  if (nowMs - found.mtimeMs > LEFTOVER_AGE_MAX_MS) return 'none';
  if (!path.includes(`-${pidSpace}`)) return 'perhaps';
  const object = join(lfsDirectory, 'objects', oid.slice(0, 2), oid.slice(2, 4), oid);
  const isUseful = found.isFile() && found.size >= KEPT_SIZE_MIN_BYTES && !existsSync(object);
  return isUseful ? 'perhaps' : 'none';
}

function addTo(leftovers: Leftovers, oid: Digest, path: string): void {
  const paths = leftovers.get(oid) ?? [];
  paths.push(path);
  leftovers.set(oid, paths);
}
