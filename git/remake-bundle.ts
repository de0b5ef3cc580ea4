/** A commit's bundle and pages as recording it would make them, storing nothing: for stores that lost theirs. */
import type { Digest } from '../core/digest.ts';
import { hasCode } from '../core/errors.ts';
import type { GitSha } from '../core/keys.ts';
import type { BundleDescriptor } from '../core/meta/model.ts';
import { buildTree, sortEntries } from '../core/meta/tree-builder.ts';
import { hasObject } from './commit.ts';
import { filesOf, RECORDER_VERSION } from './commit-files.ts';
import type { BlobCache } from './pointers.ts';
import type { GitRepository } from './repository.ts';

export interface RemadeCommit {
  readonly descriptor: BundleDescriptor;
  /** Children before parents. */
  readonly pages: readonly Uint8Array[];
  /** Files that git itself holds, by the digest of their bytes. */
  readonly gitBlobs: ReadonlyMap<Digest, string>;
}

/** Null where this clone lacks the commit, or part of it. */
export async function remakeBundle(
  repo: GitRepository,
  commit: GitSha,
  cache: BlobCache,
): Promise<RemadeCommit | null> {
  if (!(await hasObject(repo.git, commit))) return null;
  try {
    const files = await filesOf(repo, commit, cache);
    const tree = await buildTree(sortEntries([...files.entries]));
    const descriptor: BundleDescriptor = {
      tree: tree.root,
      totals: tree.totals,
      commit,
      commitObject: files.commitObject.toString('base64'),
      rules: { recorder: RECORDER_VERSION, config: files.config },
      pointerExtensions: [...files.pointerExtensions].sort(),
    };
    const pages = tree.pages.map(({ bytes }) => bytes);
    return { descriptor, pages, gitBlobs: files.gitBlobs };
  } catch (error) {
    if (hasCode(error, 'INCOMPLETE') || hasCode(error, 'INVALID')) return null;
    throw error;
  }
}
