/** Our own files in a clone, shared by its work trees: below the git folder, so that git never lists them and `uninstall` finds them. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { GitRepository } from './repository.ts';

export const ownFolder = (repo: GitRepository): string => join(repo.commonDir, 'datamon');

/** Where pushes wait that are announced and not confirmed. The reference-transaction hook's shell part looks there too. */
export const pendingFolder = (repo: GitRepository): string => join(ownFolder(repo), 'pending');

/** Where packs of interrupted uploads are noted. */
export const uploadsFolder = (repo: GitRepository): string => join(ownFolder(repo), 'uploads');

/** Where the agent keeps unfinished downloads, unless `lfs.storage` is elsewhere and perhaps another clone's too. */
export const unfinishedFolder = (repo: GitRepository): string =>
  join(repo.commonDir, 'lfs', 'datamon');

/** True where a push may have been left open; cheap, so that any command can ask. */
export async function hasOpenPushes(repo: GitRepository): Promise<boolean> {
  const names = await readdir(pendingFolder(repo)).catch(() => []);
  return names.some((name) => name.endsWith('.json'));
}
