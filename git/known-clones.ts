/** Clones that datamon put something into, so that `uninstall` finds them: one path a line in `$XDG_STATE_HOME/datamon/repos`. */
import { appendFile, mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Environment } from './binary.ts';
import type { GitRepository } from './repository.ts';

/** `$XDG_STATE_HOME/datamon`, or null where there is no home. */
export function stateFolder(env: Environment): string | null {
  const state = env['XDG_STATE_HOME'];
  if (state?.startsWith('/')) return join(state, 'datamon');
  const home = env['HOME'];
  return home?.startsWith('/') ? join(home, '.local', 'state', 'datamon') : null;
}

/** Notes a clone once. A machine without a home, or a full disk, costs only that uninstall does not find it. */
export async function noteClone(env: Environment, repo: GitRepository): Promise<void> {
  const folder = stateFolder(env);
  if (folder === null || repo.commonDir.includes('\n')) return;
  if ((await knownClones(env)).includes(repo.commonDir)) return;
  try {
    await mkdir(folder, { recursive: true });
    await appendFile(join(folder, 'repos'), `${repo.commonDir}\n`);
  } catch {
    // See above: worth less than the command that came here.
  }
}

/** Git folders of the clones noted, each once. */
export async function knownClones(env: Environment): Promise<readonly string[]> {
  const folder = stateFolder(env);
  if (folder === null) return [];
  const text = await readFile(join(folder, 'repos'), 'utf8').catch(() => '');
  return [...new Set(text.split('\n').filter((line) => line.startsWith('/')))];
}

export async function forgetClones(env: Environment): Promise<void> {
  const folder = stateFolder(env);
  if (folder !== null) await rm(join(folder, 'repos'), { force: true });
}
