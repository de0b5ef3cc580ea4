/** What `install` changed on this machine and what stood there before, so that `uninstall` can put exactly that back. */
import { chmod, mkdir, readFile, rename, rm, rmdir, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { hasCode } from '../core/errors.ts';
import type { Io } from '../core/io.ts';
import { parseJsonObject } from '../core/json.ts';
import { listOf, nullable, type Parse, record, text } from '../core/shape.ts';
import { stateFolder } from '../git/known-clones.ts';

export interface ChangedKey {
  readonly key: string;
  readonly value: string;
  /** Null where the key was not set. */
  readonly before: string | null;
}

export interface InstallState {
  readonly changed: readonly ChangedKey[];
  /** The global configuration file, where there was none before. */
  readonly createdFile: string | null;
}

export const NO_STATE: InstallState = { changed: [], createdFile: null };

const parseState: Parse<InstallState> = record<InstallState>({
  changed: listOf(record<ChangedKey>({ key: text, value: text, before: nullable(text) })),
  createdFile: nullable(text),
});

/** A machine without a home has no state, and nothing to remember it in. */
const folderOf = (env: Io['env']): string => stateFolder(env) ?? '/nonexistent/datamon';
const stateFile = (env: Io['env']): string => join(folderOf(env), 'install.json');
/** The programs that git starts, by the names of their launchers. */
export type LaunchedProgram = 'datamon' | 'git-lfs-datamon';

/** Where a launcher stands that `install` made, because install.sh made none. */
export const launcherFile = (env: Io['env'], program: LaunchedProgram): string =>
  join(folderOf(env), 'bin', program);

export async function readInstallState(env: Io['env']): Promise<InstallState> {
  try {
    const file = stateFile(env);
    return parseState(parseJsonObject(await readFile(file), file), file);
  } catch (error) {
    // Absent or unreadable, it only costs what stood there before.
    if (hasCode(error, 'CORRUPT') || hasCode(error, 'INVALID')) return NO_STATE;
    if (error instanceof Error && 'code' in error) return NO_STATE;
    throw error;
  }
}

/** Adds changes; what stood there before the first of them is kept. */
export async function noteChanges(
  env: Io['env'],
  changes: readonly ChangedKey[],
  createdFile: string | null,
): Promise<void> {
  if (changes.length === 0) return;
  const earlier = await readInstallState(env);
  const changed = new Map(earlier.changed.map((change) => [change.key, change]));
  for (const change of changes) {
    const before = changed.get(change.key)?.before ?? change.before;
    changed.set(change.key, { ...change, before });
  }
  if (stateFolder(env) === null) return;
  await mkdir(folderOf(env), { recursive: true });
  const temp = `${stateFile(env)}.new`;
  const state: InstallState = {
    changed: [...changed.values()],
    createdFile: earlier.createdFile ?? createdFile,
  };
  await writeFile(temp, `${JSON.stringify(state, null, 2)}\n`);
  await rename(temp, stateFile(env));
}

/** Where `git config --global` will make a file, if it has none to write into. */
export async function absentGlobalFile(env: Io['env']): Promise<string | null> {
  const home = env['HOME'];
  if (home === undefined) return null;
  const xdg = join(env['XDG_CONFIG_HOME'] ?? join(home, '.config'), 'git', 'config');
  const named = env['GIT_CONFIG_GLOBAL'];
  const candidates = named === undefined ? [join(home, '.gitconfig'), xdg] : [named];
  for (const file of candidates) if ((await sizeOf(file)) !== null) return null;
  return candidates[0] ?? null;
}

/** Takes away a global configuration file that was made for us and has nothing in it any more. */
export async function removeCreatedFile({ createdFile }: InstallState): Promise<void> {
  if (createdFile !== null && (await sizeOf(createdFile)) === 0) await rm(createdFile);
}

const sizeOf = (file: string): Promise<number | null> =>
  stat(file).then(
    ({ size }) => size,
    () => null,
  );

/** One file that git, git-lfs and hooks can run where install.sh left no launcher: it starts this very program. */
export async function writeLauncher(
  env: Io['env'],
  program: LaunchedProgram,
  command: string,
): Promise<string> {
  const file = launcherFile(env, program);
  await mkdir(dirname(file), { recursive: true });
  const temp = `${file}.new`;
  await writeFile(
    temp,
    `#!/bin/sh\n# Written by datamon; datamon uninstall removes it.\nexec ${command} "$@"\n`,
  );
  await chmod(temp, 0o755);
  await rename(temp, file);
  return file;
}

/** Forgets everything; the folder goes where nothing else of ours is in it. */
export async function forgetInstall(env: Io['env']): Promise<void> {
  if (stateFolder(env) === null) return;
  await rm(stateFile(env), { force: true });
  // The agent's log goes too: nothing is left to explain.
  for (const folder of ['bin', 'log']) {
    await rm(join(folderOf(env), folder), { recursive: true, force: true });
  }
  await rmdir(folderOf(env)).catch(() => {});
}
