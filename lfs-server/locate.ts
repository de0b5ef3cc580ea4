/** Finds the repo in a URL path: `/<repo>/…`, `/<repo>.git/…`, each with or without `info/lfs`. */
import { hasCode } from '../core/errors.ts';
import { parseRepoName, type RepoName } from '../core/keys.ts';

export interface Located {
  readonly repo: RepoName;
  /** The path behind the repo, still escaped, starting with a slash. */
  readonly rest: string;
}

/** Null where the path names no repo. `path` is escaped as it came. */
export function locateRepo(path: string): Located | null {
  const parts = path.split('/').slice(1);
  for (const length of lengthsToTry(parts)) {
    const repo = repoOf(parts.slice(0, length));
    if (repo !== null) return { repo, rest: restOf(parts.slice(length)) };
  }
  return null;
}

/** Two parts before one: words that may follow a one-part repo are reserved as second parts, so this is never ambiguous. */
function lengthsToTry(parts: readonly string[]): readonly number[] {
  const [first = '', second = ''] = parts;
  return second === '' || first.endsWith('.git') ? [1] : [2, 1];
}

function repoOf(parts: readonly string[]): RepoName | null {
  try {
    return parseRepoName(decodeURIComponent(parts.join('/')).replace(/\.git$/, ''));
  } catch (error) {
    if (hasCode(error, 'INVALID') || error instanceof URIError) return null;
    throw error;
  }
}

function restOf(parts: readonly string[]): string {
  const [first, second] = parts;
  const below = first === 'info' && second === 'lfs' ? parts.slice(2) : parts;
  return `/${below.join('/')}`;
}
