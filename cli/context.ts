/** What every verb gets: the world, how to talk, and which repo is meant (`--repo`, then DATAMON_URL, then this clone). */
import { join } from 'node:path';
import { CACHE_SIZE_KEY, cachePlace } from '../client/cache-place.ts';
import { NO_TOKENS, type TokenSource } from '../client/session.ts';
import { DatamonError, hasCode } from '../core/errors.ts';
import type { Io } from '../core/io.ts';
import type { Repository } from '../core/meta/repository.ts';
import { findGit } from '../git/binary.ts';
import { getConfig } from '../git/config.ts';
import { credentialSource } from '../git/credentials.ts';
import { openGit } from '../git/git.ts';
import { stateFolder } from '../git/known-clones.ts';
import { type GitRepository, openGitRepo } from '../git/repository.ts';
import type { Options } from './args.ts';
import { type ColorMode, isTerminalStream, type Style, styleOf, wantsColor } from './output.ts';
import { type RepoAddress, repoAddress } from './repo-address.ts';
import type { Runtime } from './runtime.ts';

export interface Context {
  readonly io: Io;
  readonly runtime: Runtime;
  readonly style: Style;
  /** The same for stderr, which may be another terminal or none. */
  readonly talkStyle: Style;
  readonly json: boolean;
  readonly quiet: boolean;
  readonly verbosity: number;
  readonly stdoutIsTerminal: boolean;
  /** Whether to say on stderr how far a transfer is. */
  readonly showsProgress: boolean;
  /** The value of `--repo`. */
  readonly repoFlag: string | undefined;
  /** A line for people, on stderr; none with `--quiet`. */
  talk(text: string): void;
  /** A line for those who asked with `-v`. */
  debug(text: string): void;
  /** The help screen, or one verb's page; null for an unknown verb. */
  helpText(verb: string | null): Promise<string | null>;
  /** The clone around the working folder, or null outside of one. */
  clone(): Promise<GitRepository | null>;
  /** Where the repo meant is. INVALID where nothing names one. */
  address(): Promise<RepoAddress>;
  /** The repo meant, opened once; `close` closes it. */
  repository(): Promise<Repository>;
  /** Another repo, also closed by `close`. */
  openOther(address: RepoAddress, how: OpenHow): Promise<Repository>;
  /** Where tokens for servers come from. */
  tokens(): Promise<TokenSource>;
  close(): Promise<void>;
}

export interface OpenHow {
  /** Makes the repo (and the store) where it is not there yet. */
  readonly create?: { readonly by: string; readonly remote: string | null };
  /** `store`: what is read proves that the store has it; no cache of this machine stands in. */
  readonly readsFrom?: 'store';
}

export interface ContextParts {
  readonly io: Io;
  readonly options: Options;
  readonly runtime: Runtime;
  readonly helpText: Context['helpText'];
}

export function createContext({ io, options, runtime, helpText }: ContextParts): Context {
  const color = (options.text('color') ?? 'auto') as ColorMode;
  const stdoutIsTerminal = isTerminalStream(io.stdout);
  const quiet = options.flag('quiet');
  const verbosity = options.count('verbose');
  const opened: Repository[] = [];
  const tokens = once(() => tokenSource(io));
  const state = stateFolder(io.env);
  const openOther: Context['openOther'] = async ({ text }, { create, readsFrom }) => {
    // Most of what datamon is: loaded by verbs that open a repo.
    const { openRepositoryUrl } = await import('../client/open.ts');
    const repository = await openRepositoryUrl(text, {
      token: await tokens(),
      signal: io.signal,
      ...(readsFrom !== 'store' && {
        cache: () => cachePlace(io.env, () => cacheSetting(context)),
      }),
      ...(state !== null && { journalDir: join(state, 'uploads') }),
      ...(create === undefined ? {} : { create }),
    });
    opened.push(repository);
    return repository;
  };
  const context: Context = {
    io,
    runtime,
    style: styleOf(wantsColor(color, io.env, stdoutIsTerminal)),
    talkStyle: styleOf(wantsColor(color, io.env, io.isTerminal)),
    json: options.flag('json'),
    quiet,
    verbosity,
    stdoutIsTerminal,
    showsProgress: io.isTerminal && !quiet && !options.flag('no-progress'),
    repoFlag: options.text('repo'),
    talk: (text) => {
      if (!quiet) io.stderr.write(`${text}\n`);
    },
    debug: (text) => {
      if (verbosity > 0) io.stderr.write(`datamon: ${text}\n`);
    },
    helpText,
    clone: once(() => cloneOrNull(io)),
    address: once(() => repoAddress(context)),
    repository: once(async () => openOther(await context.address(), {})),
    openOther,
    tokens,
    close: async () => {
      for (const repository of opened.splice(0)) await repository.close();
    },
  };
  return context;
}

async function cacheSetting(context: Context): Promise<string | null> {
  const { cwd, env } = context.io;
  const git = (await context.clone())?.git ?? (await openGit({ cwd, env }).catch(() => null));
  return git === null ? null : getConfig(git, CACHE_SIZE_KEY);
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

/** Outside of a clone, and where there is no git at all, most verbs still work with `--repo`. */
async function cloneOrNull(io: Io): Promise<GitRepository | null> {
  try {
    return await openGitRepo(io.cwd, io.env);
  } catch (error) {
    if (hasCode(error, 'NOT_FOUND') || hasCode(error, 'UNSUPPORTED')) return null;
    throw error;
  }
}

/** Without git there is still DATAMON_TOKEN. */
async function tokenSource(io: Io): Promise<TokenSource> {
  try {
    const git = await openGit({ cwd: io.cwd, env: io.env });
    return credentialSource({ git, env: io.env, isTerminal: io.isTerminal });
  } catch (error) {
    if (!(error instanceof DatamonError)) throw error;
    const token = io.env['DATAMON_TOKEN'] ?? '';
    return { ...NO_TOKENS, get: () => Promise.resolve(token === '' ? null : token) };
  }
}

/** The clone around the working folder; NOT_FOUND says what the verb needs it for, or that there is no git to look with. */
export async function cloneOf(context: Context, why: string): Promise<GitRepository> {
  const clone = await context.clone();
  if (clone !== null) return clone;
  await findGit(context.io.env);
  throw new DatamonError('NOT_FOUND', `${context.io.cwd} is not inside a git repository; ${why}`, {
    hint: 'Change into a clone, or make one: git init',
  });
}
