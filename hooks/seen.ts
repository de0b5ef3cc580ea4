/** Where remote-tracking refs stood when we last looked. The hook's shell part compares, so that pushes that change nothing start no Node. */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { GitSha } from '../core/keys.ts';
import { ownFolder } from '../git/own-folder.ts';
import type { GitRepository } from '../git/repository.ts';

/** A cache: where it cannot be written, the next push looks again. */
export async function rememberSeen(
  repo: GitRepository,
  tracking: string,
  sha: GitSha,
): Promise<void> {
  const file = join(ownFolder(repo), 'seen', tracking);
  try {
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, `${sha}\n`);
  } catch {
    // `a` was a branch and is now a folder of branches, or the clone is read-only.
  }
}
