/** This clone: hooks, settings that were left behind, and what the parts of the check beside this one find. */
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { getConfig, listConfig } from '../git/config.ts';
import { inspectHooks, installHooks } from '../git/hook-shims.ts';
import { openLfsStore } from '../git/lfs-store.ts';
import type { GitRepository } from '../git/repository.ts';
import { lfsConfigFile, strayKeys } from './clone-settings.ts';
import type { Context } from './context.ts';
import { type Finding, finding } from './doctor-check.ts';
import { dataFinding, realDataFinding } from './doctor-data.ts';
import { committedFindings, endpointFindings, remotesOf } from './doctor-endpoints.ts';
import { gitHostFindings } from './doctor-git-host.ts';
import { HOOKS_KEY, hookLauncher } from './install-plan.ts';

const inClone = finding('clone');

export async function cloneFindings(
  context: Context,
  clone: GitRepository,
  { asksStore }: { readonly asksStore: boolean },
): Promise<readonly Finding[]> {
  const remotes = await remotesOf(clone);
  return [
    ...(await endpointFindings(clone, remotes)),
    ...(await gitHostFindings(clone, remotes)),
    await hooksFinding(context, clone),
    await strayFinding(clone),
    ...(await committedFindings(clone)),
    ...(await locksFindings(clone)),
    await fileSystemFinding(clone),
    await realDataFinding(clone),
    ...(asksStore ? [await dataFinding(context, clone)] : []),
  ];
}

async function hooksFinding(context: Context, clone: GitRepository): Promise<Finding> {
  const { state, snippet } = await inspectHooks(clone);
  if (state === 'ours') return inClone('hooks', true, 'the hooks are datamon’s');
  if ((await getConfig(clone.git, HOOKS_KEY)) === 'off') {
    return inClone('hooks', null, 'no hooks, as datamon.hooks says; after a push: datamon record');
  }
  if (snippet !== null) {
    return inClone(
      'hooks',
      false,
      `${snippet.manager} has the hooks of this clone; put this into ${snippet.file}:\n${snippet.text.trimEnd()}`,
      { fix: 'datamon record' },
    );
  }
  const says =
    state === 'stock'
      ? 'fast push is off: the hook is git-lfs’s own'
      : 'there are no hooks: pushes leave no bundle';
  return inClone('hooks', false, says, {
    fix: 'datamon init',
    repair: async () => {
      await installHooks(clone, { launcher: await hookLauncher(context.io, context.runtime) });
    },
  });
}

async function strayFinding(clone: GitRepository): Promise<Finding> {
  const keys = await strayKeys(clone);
  if (keys.length === 0)
    return inClone('lfsconfig-keys', true, '.lfsconfig holds nothing git-lfs warns of');
  return inClone(
    'lfsconfig-keys',
    false,
    `.lfsconfig holds ${keys.join(', ')}: git-lfs ignores it and warns on every command`,
    {
      fix: `git config --file .lfsconfig --unset-all ${keys[0]}`,
      repair: async () => {
        for (const key of keys) {
          await clone.git.bytes(['config', '--file', lfsConfigFile(clone), '--unset-all', key]);
        }
      },
    },
  );
}

/** git-lfs turns lock checks off for good when a server was down once. */
async function locksFindings(clone: GitRepository): Promise<Finding[]> {
  const off = (await listConfig(clone.git)).filter(
    ({ key, value }) => /^lfs\..+\.locksverify$/.test(key) && value === 'false',
  );
  return off.map(({ key }) =>
    inClone('locks-verify', false, `${key} is false: pushes do not look at locks`, {
      fix: `git config --unset-all ${key}`,
      repair: async () => {
        await clone.git.run(['config', '--local', '--unset-all', key]);
      },
    }),
  );
}

async function fileSystemFinding(clone: GitRepository): Promise<Finding> {
  const folder = dirname((await openLfsStore(clone)).folder);
  const [lfs, git] = await Promise.all(
    [folder, clone.commonDir].map((path) =>
      stat(path).then(
        ({ dev }) => dev,
        () => null,
      ),
    ),
  );
  if (lfs == null || git == null) return inClone('lfs-folder', null, 'no LFS objects here yet');
  const same = lfs === git;
  return inClone(
    'lfs-folder',
    same ? true : null,
    same ? 'LFS objects lie beside git’s' : `LFS objects lie on another file system, ${folder}`,
  );
}
