/**
 * Unfinished files of a local store, in `<root>/tmp`. A name says who writes it, so that a later opening can tell what a
 * dead process left from what a living one is busy with.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { digestOf } from '../core/digest.ts';
import type { LocalHost } from '../core/local-host.ts';
import type { LocalFs } from './local-fs.ts';

export const TEMP_FOLDER = 'tmp';
const NAME = /^([0-9a-f]{12})-([0-9]{1,10})-[0-9a-f]{32}$/;
const CLAIM = /^claim-[0-9a-f]{64}$/;
/** A stranger's file (another machine, another container) untouched for this long is left over. */
export const STRANGER_AGE_MAX_MS = 60 * 60 * 1000;
/** A living process's file is given longer: its machine may have slept. */
export const OWN_AGE_MAX_MS = 24 * STRANGER_AGE_MAX_MS;
/** So that an opening stays quick however much was left over; the next one goes on. */
export const SWEEP_COUNT_MAX = 1000;

export function tempName(host: LocalHost): string {
  return `${host.id}-${host.pid}-${randomBytes(16).toString('hex')}`;
}

/** Name of the file that stands for the right to create `key` where the file system has no links. */
export const claimName = (key: string): string => `claim-${digestOf(key)}`;

export interface SweepOptions {
  readonly fs: LocalFs;
  readonly root: string;
  readonly host: LocalHost;
  /** The file system's clock. */
  readonly nowMs: () => Promise<number>;
}

/** Removes what dead processes left. Best effort: a store that cannot be swept (read-only, say) is opened all the same. */
export async function sweepTemps(options: SweepOptions): Promise<void> {
  const { fs, root } = options;
  try {
    const entries = await fs.readFolder(join(root, TEMP_FOLDER));
    const candidates = entries.filter(({ name }) => NAME.test(name) || CLAIM.test(name));
    if (candidates.length === 0) return;
    const nowMs = await options.nowMs();
    for (const { name } of candidates.slice(0, SWEEP_COUNT_MAX)) {
      const path = join(root, TEMP_FOLDER, name);
      if (await isDead(options, name, path, nowMs)) await fs.unlink(path);
    }
  } catch {
    // The next opening tries again.
  }
}

async function isDead(
  { fs, host }: SweepOptions,
  name: string,
  path: string,
  nowMs: number,
): Promise<boolean> {
  const [, id, pid] = NAME.exec(name) ?? [];
  if (id === host.id && !(await host.isAlive(Number(pid)))) return true;
  const ageMs = nowMs - (await fs.stat(path)).modifiedMs;
  return ageMs > (id === host.id ? OWN_AGE_MAX_MS : STRANGER_AGE_MAX_MS);
}
