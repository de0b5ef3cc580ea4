/**
 * The few settings datamon writes into a clone: `lfs.url` in `.lfsconfig` for the team, a local copy of it so that commits
 * from before find the store too, and nothing of `datamon.*` in a committed file (git-lfs warns of each on every command).
 */
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatamonError } from '../core/errors.ts';
import { getConfig, listConfig, setConfig, unsetConfig } from '../git/config.ts';
import { LFS_CONFIG_FILE } from '../git/lfs-endpoint.ts';
import { ownFolder } from '../git/own-folder.ts';
import type { GitRepository } from '../git/repository.ts';

const MARK = '# This repository keeps its data in datamon.';
const COMMENT = `${MARK} Where files are pointers instead of data:
#     datamon install      once on a machine
#     git lfs pull
`;
/** Holds the URL that was copied into the clone's own configuration. */
const COPY_FILE = 'lfs-url';
/** Holds the key that was set so that git-lfs checks locks. */
const LOCKS_FILE = 'locks-verify';

export interface LfsConfig {
  readonly url: string;
  /** Set where the URL is for one remote alone. */
  readonly remote: string | null;
  /** A clone without datamon gets pointers instead of an error. */
  readonly lenient: boolean;
}

/** `.lfsconfig` at the top of the work tree. */
export function lfsConfigFile(clone: GitRepository): string {
  if (clone.topLevel !== null) return join(clone.topLevel, LFS_CONFIG_FILE);
  throw new DatamonError('INVALID', 'a bare repository has no work tree for .lfsconfig', {
    hint: 'Run this in a clone of it.',
  });
}

/** True where `.lfsconfig` names this URL already, for all remotes or for `remote` alone. */
export async function isShared(
  clone: GitRepository,
  { url, remote }: Pick<LfsConfig, 'url' | 'remote'>,
): Promise<boolean> {
  const key = remote === null ? 'lfs.url' : `remote.${remote}.lfsurl`;
  const file = lfsConfigFile(clone);
  const answer = await clone.git.run(['config', '--file', file, '--get-all', key]);
  return answer.status === 0 && answer.stdout.toString('utf8').trimEnd() === url;
}

/** Writes `.lfsconfig`, keeping what else is in it. True where it changed. */
export async function writeLfsConfig(clone: GitRepository, config: LfsConfig): Promise<boolean> {
  const file = lfsConfigFile(clone);
  const before = await readFile(file, 'utf8').catch(() => '');
  const temp = `${file}.datamon`;
  await writeFile(temp, before.includes(MARK) ? before : `${COMMENT}${before}`);
  try {
    const key = config.remote === null ? 'lfs.url' : `remote.${config.remote}.lfsurl`;
    await clone.git.bytes(['config', '--file', temp, '--replace-all', key, config.url]);
    if (config.lenient) {
      await clone.git.bytes(['config', '--file', temp, 'lfs.skipdownloaderrors', 'true']);
    }
    const after = await readFile(temp, 'utf8');
    if (after === before) return false;
    await rename(temp, file);
    return true;
  } finally {
    await rm(temp, { force: true });
  }
}

/** The same URL in the clone's own configuration; `uninstall` takes it out again. */
export async function copyUrl(clone: GitRepository, url: string): Promise<void> {
  const own = await getConfig(clone.git, 'lfs.url', 'local');
  if (own === url) return;
  await setConfig(clone.git, 'local', 'lfs.url', url);
  await mkdir(ownFolder(clone), { recursive: true });
  await writeFile(join(ownFolder(clone), COPY_FILE), `${url}\n`);
}

/** The copied URL where it is still what the clone has, else null. */
export async function copiedUrl(clone: GitRepository): Promise<string | null> {
  const noted = await readFile(join(ownFolder(clone), COPY_FILE), 'utf8').catch(() => '');
  const own = await getConfig(clone.git, 'lfs.url', 'local');
  return own !== null && own === noted.trim() ? own : null;
}

/** Our servers enforce locks: said beforehand, or git-lfs asks on the first push whether to look at them. A "no" of the user's stays. */
export async function verifyLocks(clone: GitRepository, lfsUrl: string): Promise<void> {
  const key = `lfs.${lfsUrl}.locksverify`;
  if ((await getConfig(clone.git, key)) !== null) return;
  await forgetLocks(clone);
  await mkdir(ownFolder(clone), { recursive: true });
  await writeFile(join(ownFolder(clone), LOCKS_FILE), `${key}\n`);
  await setConfig(clone.git, 'local', key, 'true');
}

/** The key that `verifyLocks` set, where it is still what it was set to, else null. */
export async function lockKey(clone: GitRepository): Promise<string | null> {
  const noted = await readFile(join(ownFolder(clone), LOCKS_FILE), 'utf8').catch(() => '');
  const key = noted.trim();
  if (key === '') return null;
  return (await getConfig(clone.git, key, 'local')) === 'true' ? key : null;
}

/** Takes it out again. */
export async function forgetLocks(clone: GitRepository): Promise<void> {
  const key = await lockKey(clone);
  if (key !== null) await unsetConfig(clone.git, 'local', key);
  await rm(join(ownFolder(clone), LOCKS_FILE), { force: true });
}

/** Keys of `datamon.*` in `.lfsconfig`. */
export async function strayKeys(clone: GitRepository): Promise<readonly string[]> {
  if (clone.topLevel === null) return [];
  const file = lfsConfigFile(clone);
  const exists = await readFile(file).then(
    () => true,
    () => false,
  );
  if (!exists) return [];
  const entries = await listConfig(clone.git, ['--no-includes', '--file', file]);
  return [...new Set(entries.map(({ key }) => key).filter((key) => key.startsWith('datamon.')))];
}
