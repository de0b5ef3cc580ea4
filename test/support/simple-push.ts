/** A push without git: a bundle of some files, and the move of a branch to it. What a hook does, in one call. */
import { type Digest, digestOf } from '../../core/digest.ts';
import type { GitSha, PushId } from '../../core/keys.ts';
import { createSyntheticCommit } from '../../core/meta/commit-object.ts';
import type { Entry, MoveOutcome, RawPath } from '../../core/meta/model.ts';
import { recordBundle } from '../../core/meta/record.ts';
import type { Repository } from '../../core/meta/repository.ts';

export interface SimplePush {
  /** Names the push: its id, its commit and its message follow from it. */
  readonly name: string;
  readonly entries: readonly Entry[];
  readonly branch?: string;
}

export const pushIdOf = (name: string): PushId => digestOf(`push ${name}`).slice(0, 32) as PushId;

export const fileEntry = (path: string, oid: Digest, sizeBytes: number): Entry => ({
  path: path as RawPath,
  kind: 'lfs',
  executable: false,
  oid,
  sizeBytes,
});

/** Whoever pushes takes the branch on from where it stands; where somebody was faster, that is marked as a gap. */
export async function recordSimplePush(
  repository: Pick<Repository, 'pages' | 'history'>,
  { name, entries, branch = 'main' }: SimplePush,
): Promise<MoveOutcome> {
  const commit = createSyntheticCommit({
    message: name,
    author: { name: 'Ada', mail: 'ada@example.org' },
    at: new Date('2026-01-01T00:00:00Z'),
    parents: [],
    treeLabel: '00',
  });
  const { bundle, totals } = await recordBundle(repository, {
    ...commit,
    entries,
    rules: { recorder: 1, config: null },
    pointerExtensions: [],
  });
  let gitOld: GitSha | null = null;
  for await (const { event } of repository.history.branchLog(branch)) {
    gitOld = event.gitNew;
    break;
  }
  return await repository.history.recordMove({
    pushId: pushIdOf(name),
    remote: 'example.org/soak',
    ref: `refs/heads/${branch}`,
    gitOld,
    gitNew: commit.commit,
    bundle,
    totals,
    extraOids: null,
    missing: [],
    forced: true,
    pushedBy: 'Ada <ada@example.org>',
    receipt: {
      newBytes: 0,
      storedBytes: 0,
      packCount: 0,
      requestCount: 0,
      resumedBytes: 0,
      durationMs: 0,
      reusedFrom: null,
      measured: false,
    },
  });
}
