/** What `install` writes into git's configuration, and how a program of ours is named so that git can start it from anywhere. */
import { access, constants } from 'node:fs/promises';
import { dirname, extname, join } from 'node:path';
import type { Io } from '../core/io.ts';
import { type LaunchedProgram, launcherFile, writeLauncher } from './install-state.ts';
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
export const CREDENTIAL_PATTERN = "datamon'? credential$|cli/main\\.(js|ts)";
export const credentialKey = (server: string): string => `credential.${server}.helper`;

export async function installPlan(choice: InstallChoice, io: Io): Promise<readonly PlannedEntry[]> {
  return [
    {
      key: AGENT_PATH_KEY,
      value: (await launcherOf('git-lfs-datamon', io)).file,
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
        value: `!${shellQuoted((await launcherOf('datamon', io)).file)} credential`,
        why: 'DATAMON_TOKEN serves git-lfs too',
        ours: CREDENTIAL_PATTERN,
      })),
    )),
  ];
}

/** The launcher of one of our programs: install.sh's, or the place of the one that `ensureLaunchers` writes. */
export async function launcherOf(
  program: LaunchedProgram,
  io: Io,
): Promise<{ readonly file: string; readonly by: 'install.sh' | 'us' }> {
  const folder = io.env['DATAMON_LAUNCHER'];
  if (folder?.startsWith('/')) {
    const file = join(folder, program);
    const isThere = await access(file, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (isThere) return { file, by: 'install.sh' };
  }
  return { file: launcherFile(io.env, program), by: 'us' };
}

/** Writes the launchers that install.sh did not: git-lfs quotes the agent's path as one word, so it must be one file. */
export async function ensureLaunchers(io: Io, runtime: Runtime): Promise<void> {
  const extension = extname(runtime.mainPath);
  const agentMain = join(dirname(dirname(runtime.mainPath)), 'agent', `main${extension}`);
  for (const [program, main] of [
    ['datamon', runtime.mainPath],
    ['git-lfs-datamon', agentMain],
  ] as const) {
    if ((await launcherOf(program, io)).by === 'install.sh') continue;
    const node = shellQuoted(runtime.nodePath);
    const command = `${node} --disable-warning=ExperimentalWarning --disable-warning=MetadataLookupWarning ${shellQuoted(main)}`;
    await writeLauncher(io.env, program, command);
  }
}

/** A file that the hooks of a clone can run. */
export async function hookLauncher(io: Io, runtime: Runtime): Promise<string> {
  await ensureLaunchers(io, runtime);
  return (await launcherOf('datamon', io)).file;
}

/** One word for sh, whatever it holds; plain paths stay readable. */
export const shellQuoted = (text: string): string =>
  /^[A-Za-z0-9_./+@%:,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
