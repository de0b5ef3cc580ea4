/**
 * Puts datamon's hooks into a clone the first time its agent runs there: consent was given once, at `datamon install`
 * (`datamon.hooks=auto`), and nobody has to know about hooks. Somebody else's hooks are never touched.
 */
import { access, constants } from 'node:fs/promises';
import { join } from 'node:path';
import { inspectHooks, installHooks } from '../git/hook-shims.ts';
import { noteClone, stateFolder } from '../git/known-clones.ts';
import type { Clone } from './clone.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** Installs the hooks where there are none or git-lfs's own. */
export async function installHooksOnce({ repo }: Clone, env: Environment): Promise<void> {
  const { state } = await inspectHooks(repo);
  if (state !== 'stock' && state !== 'absent') return;
  const launcher = await findLauncher(env);
  if (launcher === null) return;
  await installHooks(repo, { launcher });
  await noteClone(env, repo);
}

/** The `datamon` that was installed: beside our own launcher, or where `datamon install` wrote one. */
async function findLauncher(env: Environment): Promise<string | null> {
  const folder = env['DATAMON_LAUNCHER'];
  const state = stateFolder(env);
  const candidates = [
    ...(folder === undefined || folder === '' ? [] : [join(folder, 'datamon')]),
    ...(state === null ? [] : [join(state, 'bin', 'datamon')]),
  ];
  for (const candidate of candidates) {
    const runs = await access(candidate, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (runs) return candidate;
  }
  return null;
}
