/** What git-lfs would prune: objects that no checkout, stash, recent or unpushed commit needs. It is asked, and deletes nothing. */
import { type Digest, isDigest } from '../core/digest.ts';
import { DatamonError } from '../core/errors.ts';
import type { GitRepository } from './repository.ts';

/** A clone may have a long history to look through. */
const PRUNE_TIMEOUT_MS = 30 * 60 * 1000;

/** Oids in the order git-lfs names them. UNSUPPORTED where it names none that it counts: its words may have changed. */
export async function pruneCandidates(
  repo: GitRepository,
  signal: AbortSignal,
): Promise<readonly Digest[]> {
  const args = ['lfs', 'prune', '--dry-run', '--verbose', '--no-verify-remote'];
  const { status, stdout, stderr } = await repo.git.run(args, {
    // Without a terminal git-lfs names the last object alone, unless it is told to show its progress all the same.
    env: { GIT_LFS_FORCE_PROGRESS: '1' },
    timeoutMs: PRUNE_TIMEOUT_MS,
    signal,
  });
  if (status !== 0) {
    throw new DatamonError('UNSUPPORTED', `git lfs prune --dry-run failed: ${stderr.trim()}`, {
      hint: 'See what it says: git lfs prune --dry-run --verbose',
    });
  }
  const text = stdout.toString('utf8').replaceAll('\r', '\n');
  const oids = [...text.matchAll(/^\s*\*\s+([0-9a-f]{64})\s/gm)].map(([, oid = '']) => oid);
  const found = [...new Set(oids.filter(isDigest))];
  const counted = countedIn(text);
  if (found.length === counted) return found;
  throw new DatamonError(
    'UNSUPPORTED',
    `git lfs prune counts ${counted ?? 'no'} objects and names ${found.length}`,
    { hint: 'This version of git-lfs speaks in other words. Nothing was deleted.' },
  );
}

/** `4 local objects, 2 retained` makes two; null where it says nothing of the kind. The last count is the final one. */
function countedIn(text: string): number | null {
  const counts = [...text.matchAll(/(\d+) local objects?(?:, (\d+) retained)?/g)];
  const [, local, retained = '0'] = counts.at(-1) ?? [];
  return local === undefined ? null : Number(local) - Number(retained);
}
