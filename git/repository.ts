/** Where a clone's parts are: opened once from any folder inside it (or from a hook's GIT_DIR), then independent of both. */
import { join } from 'node:path';
import { DatamonError } from '../core/errors.ts';
import type { Environment } from './binary.ts';
import { lastValue, listConfig } from './config.ts';
import { type Git, openGit } from './git.ts';

/** `--path-format` came with it. */
const GIT_VERSION_MIN = '2.31';

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
}

export interface OpenRepoOptions {
  /** `once`: git's configuration is read now and taken to stay as it is, for processes that live as long as one question. */
  readonly configuration?: 'live' | 'once';
}

/** Opens the repo around `cwd`, or the one GIT_DIR names. NOT_FOUND outside of one; UNSUPPORTED where git is too old. */
export async function openGitRepo(
  cwd: string,
  env: Environment,
  options: OpenRepoOptions = {},
): Promise<GitRepository> {
  const git = await openGit({ cwd, env });
  // Both at once: they take longer to start than to answer.
  const listed = listConfig(git);
  // Outside of a repo git lists what there is; where that fails too, the place is what is missing.
  listed.catch(() => {});
  const { gitDir, commonDir, isBare, topLevel } = await placeOf(git);
  const bound = await boundGit(git, env, { gitDir, topLevel });
  const configuration = await listed;
  const hooksPath = lastValue(configuration, 'core.hookspath');
  return {
    git: options.configuration === 'once' ? { ...bound, configuration } : bound,
    topLevel,
    gitDir,
    commonDir,
    hooksDir: hooksPath === null ? join(commonDir, 'hooks') : await hooksDirOf(bound, topLevel),
    hooksPath,
    isBare,
  };
}

interface Place {
  readonly gitDir: string;
  readonly commonDir: string;
  readonly isBare: boolean;
  readonly topLevel: string | null;
}

const FACTS = ['--git-dir', '--git-common-dir', '--is-bare-repository', '--is-inside-work-tree'];
const ABSOLUTE = '--path-format=absolute';

/** One question. Outside of a work tree git answers all but the last part, and then fails. */
async function placeOf(git: Git): Promise<Place> {
  const { cwd } = git;
  const found = await git.run(['rev-parse', ABSOLUTE, ...FACTS, '--show-toplevel']);
  const text = trimNewline(found.stdout);
  // A git that does not know the option gives it back.
  if (text.startsWith(ABSOLUTE)) throw await tooOld(git);
  const isInside = found.status === 0;
  if (!isInside && text.split('\n').length < FACTS.length) throw notARepo(cwd, found.stderr);
  const lines = linesOf(found.stdout, FACTS.length + (isInside ? 1 : 0), cwd);
  const [gitDir = '', commonDir = '', bare, , topLevel] = lines;
  return { gitDir, commonDir, isBare: bare === 'true', topLevel: topLevel ?? null };
}

async function tooOld(git: Git): Promise<DatamonError> {
  const version = (await git.run(['--version'])).stdout.toString('utf8').trim();
  const needed = `datamon needs ${GIT_VERSION_MIN} or newer`;
  return new DatamonError('UNSUPPORTED', `${version} is too old; ${needed}`);
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

/** A relative core.hooksPath is seen from where hooks run. */
async function hooksDirOf(git: Git, topLevel: string | null): Promise<string> {
  const cwd = topLevel ?? git.cwd;
  const here = await openGit({ cwd, binary: git.binary, env: git.env });
  const answer = await here.bytes(['rev-parse', ABSOLUTE, '--git-path', 'hooks']);
  return linesOf(answer, 1, cwd)[0] ?? '';
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
