/**
 * A private folder for temporary files, below the system's. Its name tells whose it is; folders of processes that were killed are
 * removed at the next opening. Promise: nothing of another user, of a living process, or with another kind of name is touched.
 */
import { lstat, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { currentHost, type LocalHost } from '../core/local-host.ts';

const NAME = /^datamon-([0-9a-f]{12})-([0-9]{1,10})-[A-Za-z0-9]{6}$/;
/** Of another boot or container, whose processes cannot be asked for. */
const STRANGER_AGE_MAX_MS = 7 * 24 * 60 * 60 * 1000;
/** So that an opening stays quick; the next one goes on. */
const SWEEP_COUNT_MAX = 100;

export interface SpoolFolder {
  readonly dir: string;
  remove(): Promise<void>;
}

export interface SpoolFolderOptions {
  /** Where it is made; default: the system's folder for temporary files. */
  readonly parent?: string;
  readonly host?: LocalHost;
  readonly nowMs?: number;
}

export async function openSpoolFolder(options: SpoolFolderOptions = {}): Promise<SpoolFolder> {
  const { parent = tmpdir(), host = await currentHost(), nowMs = Date.now() } = options;
  await sweepSpoolFolders({ parent, host, nowMs });
  const dir = await mkdtemp(join(parent, `datamon-${host.id}-${host.pid}-`));
  return { dir, remove: () => rm(dir, { recursive: true, force: true }) };
}

/** Best effort: what cannot be removed now is tried again by the next one. */
async function sweepSpoolFolders(options: Required<SpoolFolderOptions>): Promise<void> {
  const names = await readdir(options.parent).catch(() => []);
  const candidates = names.filter((name) => NAME.test(name)).slice(0, SWEEP_COUNT_MAX);
  for (const name of candidates) {
    const path = join(options.parent, name);
    if (await isLeftOver(path, name, options).catch(() => false)) {
      await rm(path, { recursive: true, force: true }).catch(() => {});
    }
  }
}

async function isLeftOver(
  path: string,
  name: string,
  { host, nowMs }: Required<SpoolFolderOptions>,
): Promise<boolean> {
  const [, id, pid] = NAME.exec(name) ?? [];
  const found = await lstat(path);
  if (!found.isDirectory() || found.uid !== userInfo().uid) return false;
  if (id === host.id) return !(await host.isAlive(Number(pid)));
  return nowMs - found.mtimeMs > STRANGER_AGE_MAX_MS;
}
