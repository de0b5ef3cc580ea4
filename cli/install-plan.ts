/** What `install` writes into git's configuration, and how a program of ours is named so that git can start it from anywhere. */
import { access, constants } from 'node:fs/promises';
import { dirname, extname, join } from 'node:path';
import type { Io } from '../core/io.ts';
import { writeLauncher } from './install-state.ts';
import type { Runtime } from './runtime.ts';

export interface PlannedEntry {
  readonly key: string;
  readonly value: string;
  /** Words for people. */
  readonly why: string;
  /** Set where the key may hold several values: only values that match are ours. */
  readonly ours?: string;
}

export interface InstallChoice {
  readonly hooks: 'auto' | 'off';
  /** Servers that get DATAMON_TOKEN through git's credential helper. */
  readonly servers: readonly string[];
}

export const AGENT_PATH_KEY = 'lfs.customtransfer.datamon.path';
export const AGENT_CONCURRENT_KEY = 'lfs.customtransfer.datamon.concurrent';
export const STANDALONE_KEY = 'lfs.datamon::.standalonetransferagent';
export const HOOKS_KEY = 'datamon.hooks';
/** git-lfs's own four keys, written by `git lfs install` where they are missing. */
export const FILTER_KEYS = [
  'filter.lfs.clean',
  'filter.lfs.smudge',
  'filter.lfs.process',
  'filter.lfs.required',
] as const;
/** Matches the values of credential helpers that are ours. */
export const CREDENTIAL_PATTERN = 'datamon|cli/main\\.(js|ts)';
export const credentialKey = (server: string): string => `credential.${server}.helper`;

export async function installPlan(
  choice: InstallChoice,
  io: Io,
  runtime: Runtime,
): Promise<readonly PlannedEntry[]> {
  return [
    {
      key: AGENT_PATH_KEY,
      value: await programCommand('agent', io, runtime),
      why: 'git-lfs may hand its transfers to datamon',
    },
    {
      key: AGENT_CONCURRENT_KEY,
      value: 'false',
      why: 'one agent; it works in parallel by itself',
    },
    { key: STANDALONE_KEY, value: 'datamon', why: 'stores without a server' },
    {
      key: HOOKS_KEY,
      value: choice.hooks,
      why:
        choice.hooks === 'auto'
          ? 'clones that keep data in datamon get its two hooks'
          : 'no hooks are put into clones by themselves',
    },
    ...(await Promise.all(
      choice.servers.map(async (server) => ({
        key: credentialKey(server),
        value: `!${await programCommand('cli', io, runtime)} credential`,
        why: 'DATAMON_TOKEN serves git-lfs too',
        ours: CREDENTIAL_PATTERN,
      })),
    )),
  ];
}

/** A shell command that starts one of our programs whatever PATH and the working folder are. */
export async function programCommand(
  program: 'cli' | 'agent',
  io: Io,
  runtime: Runtime,
): Promise<string> {
  const launcher = await installedLauncher(program, io);
  if (launcher !== null) return shellQuoted(launcher);
  const file = `main${extname(runtime.mainPath)}`;
  const main =
    program === 'cli' ? runtime.mainPath : join(dirname(dirname(runtime.mainPath)), 'agent', file);
  return [
    shellQuoted(runtime.nodePath),
    '--disable-warning=ExperimentalWarning',
    shellQuoted(main),
  ].join(' ');
}

/** What install.sh put into place, where it was used: a file that is one process with its Node. */
async function installedLauncher(program: 'cli' | 'agent', io: Io): Promise<string | null> {
  const folder = io.env['DATAMON_LAUNCHER'];
  if (folder === undefined || !folder.startsWith('/')) return null;
  const launcher = join(folder, program === 'cli' ? 'datamon' : 'git-lfs-datamon');
  return access(launcher, constants.X_OK).then(
    () => launcher,
    () => null,
  );
}

/** A file that the hooks of a clone can run. */
export async function hookLauncher(io: Io, runtime: Runtime): Promise<string> {
  return (
    (await installedLauncher('cli', io)) ??
    (await writeLauncher(io.env, await programCommand('cli', io, runtime)))
  );
}

/** One word for sh, whatever it holds; plain paths stay readable. */
export const shellQuoted = (text: string): string =>
  /^[A-Za-z0-9_./+@%:,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
