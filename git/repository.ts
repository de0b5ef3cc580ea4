/** Where a clone's parts are: opened once from any folder inside it (or from a hook's GIT_DIR), then independent of both. */
import { DatamonError } from '../core/errors.ts';
import type { Environment } from './binary.ts';
import { type Git, openGit } from './git.ts';

/** `--path-format` came with 2.31. */
const GIT_VERSION_MIN: readonly [number, number] = [2, 31];

export interface GitRepository {
  /** Bound to this repo by GIT_DIR; its processes stand in the git folder, never in the work tree. */
  readonly git: Git;
  /** Top of the work tree; null in a bare repo or inside the git folder. */
  readonly topLevel: string | null;
  /** This work tree's own git folder. */
  readonly gitDir: string;
  /** The git folder all work trees share; LFS objects and our own files are below it. */
  readonly commonDir: string;
  /** Where git looks for hooks. */
  readonly hooksDir: string;
  /** Value of core.hooksPath; null where hooks are in the git folder. */
  readonly hooksPath: string | null;
  readonly isBare: boolean;
  readonly isLinkedWorktree: boolean;
  readonly isSubmodule: boolean;
  readonly version: string;
}

/** Opens the repo around `cwd`, or the one GIT_DIR names. NOT_FOUND outside of one; UNSUPPORTED where git is too old. */
export async function openGitRepo(cwd: string, env: Environment): Promise<GitRepository> {
  const git = await openGit({ cwd, env });
  const version = await gitVersion(git);
  const found = await git.run([
    'rev-parse',
    '--path-format=absolute',
    '--git-dir',
    '--git-common-dir',
    '--is-bare-repository',
    '--is-inside-work-tree',
  ]);
  if (found.status !== 0) throw notARepo(cwd, found.stderr);
  const [gitDir = '', commonDir = '', bare, inside] = linesOf(found.stdout, 4, cwd);
  const topLevel = inside === 'true' ? await topLevelOf(git, cwd) : null;
  const bound = await boundGit(git, env, { gitDir, topLevel });
  const [hooksDir = ''] = linesOf(
    await at(bound, topLevel ?? gitDir, env).then((here) =>
      here.bytes(['rev-parse', '--path-format=absolute', '--git-path', 'hooks']),
    ),
    1,
    cwd,
  );
  const hooksPath = await bound.run(['config', '--get', 'core.hooksPath']);
  return {
    git: bound,
    topLevel,
    gitDir,
    commonDir,
    hooksDir,
    hooksPath: hooksPath.status === 0 ? trimNewline(hooksPath.stdout) : null,
    isBare: bare === 'true',
    isLinkedWorktree: gitDir !== commonDir,
    isSubmodule: topLevel !== null && (await superproject(git)),
    version,
  };
}

export async function gitVersion(git: Git): Promise<string> {
  const text = (await git.bytes(['--version'])).toString('utf8');
  const version = /(\d+)\.(\d+)(\.\d+)*/.exec(text);
  const [major, minor] = [Number(version?.[1] ?? 0), Number(version?.[2] ?? 0)];
  const [leastMajor, leastMinor] = GIT_VERSION_MIN;
  if (major < leastMajor || (major === leastMajor && minor < leastMinor)) {
    throw new DatamonError(
      'UNSUPPORTED',
      `git ${version?.[0] ?? text.trim()} is too old; datamon needs ${GIT_VERSION_MIN.join('.')} or newer`,
    );
  }
  return version?.[0] ?? '';
}

/** A `Git` for the repo that holds no matter where its processes run. */
async function boundGit(
  git: Git,
  env: Environment,
  place: { readonly gitDir: string; readonly topLevel: string | null },
): Promise<Git> {
  const { GIT_WORK_TREE: _tree, GIT_COMMON_DIR: _common, ...rest } = env;
  const tree = place.topLevel === null ? {} : { GIT_WORK_TREE: place.topLevel };
  return openGit({
    cwd: place.gitDir,
    binary: git.binary,
    env: { ...rest, GIT_DIR: place.gitDir, ...tree },
  });
}

/** The same git with its processes in `cwd`, for the few questions whose answer depends on it. */
const at = (git: Git, cwd: string, env: Environment): Promise<Git> =>
  openGit({ cwd, binary: git.binary, env: { ...env, ...git.env } });

async function topLevelOf(git: Git, cwd: string): Promise<string> {
  const answer = await git.bytes(['rev-parse', '--path-format=absolute', '--show-toplevel']);
  return linesOf(answer, 1, cwd)[0] ?? '';
}

async function superproject(git: Git): Promise<boolean> {
  const answer = await git.run(['rev-parse', '--show-superproject-working-tree']);
  return answer.status === 0 && answer.stdout.length > 0;
}

function notARepo(cwd: string, stderr: string): DatamonError {
  const said = stderr.trim().split('\n')[0] ?? '';
  return new DatamonError('NOT_FOUND', `no git repository at ${cwd}: ${said}`, {
    hint: 'Run this inside a clone, or make one with: git init',
  });
}

const trimNewline = (bytes: Buffer): string => bytes.toString('utf8').replace(/\n$/, '');

/** A repo whose own path has a newline in it cannot be told apart from two answers, so it is refused. */
function linesOf(bytes: Buffer, count: number, cwd: string): readonly string[] {
  const lines = trimNewline(bytes).split('\n');
  if (lines.length === count) return lines;
  throw new DatamonError('UNSUPPORTED', `the path of the git repository at ${cwd} has a newline`);
}
