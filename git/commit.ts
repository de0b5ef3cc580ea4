/** Commits: names made into ids, raw bytes as they were hashed (replacements ignored), ancestry. Names are user text and never options. */
import { DatamonError, hasCode } from '../core/errors.ts';
import { type GitSha, isGitSha, parseGitSha } from '../core/keys.ts';
import type { Git } from './git.ts';

/** Replacement refs would show another commit than the one that was pushed. */
export const TRUE_OBJECTS = { GIT_NO_REPLACE_OBJECTS: '1' } as const;

/** The commit a name means, tags peeled. NOT_FOUND where it means none. */
export async function resolveCommit(git: Git, name: string): Promise<GitSha> {
  const found = await peelToCommit(git, name);
  if (found !== null) return found;
  throw new DatamonError('NOT_FOUND', `${JSON.stringify(name)} is no commit of this repository`, {
    hint: 'See the names there are: git branch -a; git tag',
  });
}

/** The same, or null for what is no commit: a tree, a blob, a name nobody knows. */
export async function peelToCommit(git: Git, name: string): Promise<GitSha | null> {
  if (name === '' || /[\n\0]/.test(name)) return null;
  const answer = await git.run(
    ['rev-parse', '--verify', '--quiet', '--end-of-options', `${name}^{commit}`],
    { env: TRUE_OBJECTS },
  );
  const text = answer.stdout.toString('utf8').trim();
  return answer.status === 0 && isGitSha(text) ? text : null;
}

/** The bytes of the commit object. INCOMPLETE where the clone does not have it. */
export async function readCommit(git: Git, commit: GitSha): Promise<Buffer> {
  try {
    return await git.bytes(['cat-file', 'commit', commit], { env: TRUE_OBJECTS });
  } catch (cause) {
    if (!hasCode(cause, 'INVALID')) throw cause;
    throw new DatamonError('INCOMPLETE', `this clone does not have commit ${commit}`, {
      cause,
      hint: `Fetch it: git fetch origin ${commit}`,
    });
  }
}

/** True where this clone has the object. */
export async function hasObject(git: Git, sha: GitSha): Promise<boolean> {
  return (await git.run(['cat-file', '-e', sha])).status === 0;
}

/** True where `ancestor` is `descendant` or one of its ancestors; null where the clone lacks one of them. */
export async function isAncestor(
  git: Git,
  ancestor: GitSha,
  descendant: GitSha,
): Promise<boolean | null> {
  const answer = await git.run(['merge-base', '--is-ancestor', ancestor, descendant], {
    env: TRUE_OBJECTS,
  });
  return answer.status === 0 ? true : answer.status === 1 ? false : null;
}

/** Refs of a remote, as it shows them now, peeled tags included as `<ref>^{}`. */
export async function listRemoteRefs(
  git: Git,
  remote: string,
  options: {
    readonly timeoutMs: number;
    readonly signal?: AbortSignal;
    readonly patterns?: readonly string[];
  },
): Promise<ReadonlyMap<string, GitSha>> {
  const patterns = options.patterns ?? [];
  const answer = await git.run(['ls-remote', '--quiet', '--end-of-options', remote, ...patterns], {
    timeoutMs: options.timeoutMs,
    ...(options.signal === undefined ? {} : { signal: options.signal }),
    env: { GIT_TERMINAL_PROMPT: '0', GIT_SSH_COMMAND: batchSsh(git) },
  });
  if (answer.status !== 0) {
    throw new DatamonError('UNAVAILABLE', `cannot list the refs of ${remote}`, {
      cause: answer.stderr.trim(),
    });
  }
  const refs = new Map<string, GitSha>();
  for (const line of answer.stdout.toString('utf8').split('\n')) {
    const tab = line.indexOf('\t');
    if (tab > 0) refs.set(line.slice(tab + 1), parseGitSha(line.slice(0, tab)));
  }
  return refs;
}

/** ssh that asks nobody anything; the user's own command stays where there is one. */
const batchSsh = (git: Git): string | undefined =>
  git.env['GIT_SSH_COMMAND'] ??
  (git.env['GIT_SSH'] === undefined ? 'ssh -oBatchMode=yes' : undefined);
