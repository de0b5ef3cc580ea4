/** What a push is about to do, read from git alone: which refs move from where to where, and which files their commits need. */
import type { Digest } from '../core/digest.ts';
import { type GitSha, isGitSha } from '../core/keys.ts';
import type { RawPath } from '../core/meta/model.ts';
import type { WantedBlob } from '../git/blob-sources.ts';
import { isAncestor, peelToCommit, TRUE_OBJECTS } from '../git/commit.ts';
import { type CommitFiles, filesSince } from '../git/commit-files.ts';
import type { Git } from '../git/git.ts';
import { type BlobCache, type ChangedPointer, changedPointers } from '../git/pointers.ts';
import { passingOids } from '../git/record-commit.ts';
import { fetchRefspecs, trackingRef } from '../git/refspec.ts';
import type { GitRepository } from '../git/repository.ts';

/** One line of pre-push's standard input. */
export interface PushLine {
  readonly localRef: string;
  /** Null: the ref is deleted. */
  readonly localSha: GitSha | null;
  readonly remoteRef: string;
  readonly remoteSha: GitSha | null;
}

export function parsePushLines(text: string): readonly PushLine[] {
  const lines: PushLine[] = [];
  for (const line of text.split('\n')) {
    const [localRef = '', localSha, remoteRef = '', remoteSha] = line.split(' ');
    if (!isGitSha(localSha) || !isGitSha(remoteSha) || remoteRef === '') continue;
    lines.push({ localRef, localSha: orNull(localSha), remoteRef, remoteSha: orNull(remoteSha) });
  }
  return lines;
}

const orNull = (sha: GitSha): GitSha | null => (/^0+$/.test(sha) ? null : sha);

export interface PlannedRef {
  readonly ref: string;
  readonly tracking: string | null;
  readonly gitOld: GitSha | null;
  /** What `changed` was compared with; null: with nothing. */
  readonly start: GitSha | null;
  readonly tip: GitSha;
  readonly files: CommitFiles;
  /** LFS files that differ from what the remote had. */
  readonly changed: readonly ChangedPointer[];
  /** Files of commits on the way that the tip no longer has. */
  readonly passing: readonly WantedBlob[];
  readonly basis: ReadonlyMap<RawPath, Digest>;
  readonly forced: boolean;
}

export interface DeletedRef {
  readonly ref: string;
  readonly tracking: string | null;
  readonly gitOld: GitSha | null;
}

export interface PushPlan {
  readonly moved: readonly PlannedRef[];
  readonly deleted: readonly DeletedRef[];
}

/** True where the ref has, brings or had LFS files, or a rule that lists others. */
export const concernsData = ({ files, changed, passing }: PlannedRef): boolean =>
  files.lfsCount > 0 || changed.length > 0 || passing.length > 0 || files.config !== null;

export async function planPush(
  repo: GitRepository,
  lines: readonly PushLine[],
  remote: string,
): Promise<PushPlan> {
  const cache: BlobCache = new Map();
  const filesByCommit = new Map<GitSha, CommitFiles>();
  const refspecs = await fetchRefspecs(repo.git, remote);
  const onRemote = await trackedCommits(repo.git, remote);
  const moved: PlannedRef[] = [];
  const deleted: DeletedRef[] = [];
  for (const { localSha, remoteRef: ref, remoteSha } of lines) {
    const tracking = trackingRef(refspecs, ref);
    const gitOld =
      remoteSha === null ? null : ((await peelToCommit(repo.git, remoteSha)) ?? remoteSha);
    if (localSha === null) {
      deleted.push({ ref, tracking, gitOld });
      continue;
    }
    const commit = await peelToCommit(repo.git, localSha);
    // A tag of a tree or a blob has no commit to tie a bundle to.
    if (commit === null) continue;
    const exclude = [...onRemote, ...(remoteSha === null ? [] : [remoteSha])];
    const start = await startOf(repo.git, commit, { gitOld, exclude });
    const files = filesByCommit.get(commit) ?? (await filesSince(repo, commit, start, cache));
    filesByCommit.set(commit, files);
    const changed = await changedPointers(repo.git, { before: start, after: commit }, cache);
    moved.push({
      ref,
      tracking,
      gitOld,
      start,
      tip: localSha,
      files,
      changed,
      passing: await passingOids(repo, files, { exclude, cache }),
      basis: basisOf(changed),
      forced: gitOld !== null && (await isAncestor(repo.git, gitOld, commit)) !== true,
    });
  }
  return { moved, deleted };
}

function basisOf(changed: readonly ChangedPointer[]): ReadonlyMap<RawPath, Digest> {
  const basis = new Map<RawPath, Digest>();
  for (const { path, before } of changed) if (before !== null) basis.set(path, before.oid);
  return basis;
}

/** Commits the remote is known to have: its remote-tracking refs. */
async function trackedCommits(git: Git, remote: string): Promise<readonly GitSha[]> {
  const answer = await git.run([
    'for-each-ref',
    '--format=%(objectname)',
    `refs/remotes/${remote}/`,
  ]);
  return [...new Set(answer.stdout.toString('latin1').split('\n'))].filter(isGitSha);
}

/** The commit to compare with: the ref's old one, else where the new commits leave what the remote has, else nothing. */
async function startOf(
  git: Git,
  commit: GitSha,
  from: { readonly gitOld: GitSha | null; readonly exclude: readonly string[] },
): Promise<GitSha | null> {
  if (from.gitOld !== null && (await peelToCommit(git, from.gitOld)) !== null) return from.gitOld;
  const candidates = from.exclude.filter((sha) => sha !== from.gitOld);
  if (candidates.length === 0) return null;
  const answer = await git.run(['rev-list', '--boundary', '--ignore-missing', '--stdin'], {
    input: `${[commit, ...candidates.map((sha) => `^${sha}`)].join('\n')}\n`,
    env: TRUE_OBJECTS,
  });
  const lines = answer.stdout.toString('latin1').trimEnd().split('\n');
  if (lines[0] === '') return commit;
  const boundary = lines.find((line) => line.startsWith('-'))?.slice(1);
  return isGitSha(boundary) ? boundary : null;
}
