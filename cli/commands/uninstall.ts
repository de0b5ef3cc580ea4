/** `datamon uninstall`: puts git back as it was, hooks in known clones included. Data, stores and clones are not touched. */
import { getAllConfig, getConfig, listConfig, setConfig, unsetConfig } from '../../git/config.ts';
import type { Git } from '../../git/git.ts';
import { inspectHooks, removeHooks } from '../../git/hook-shims.ts';
import { forgetClones, knownClones } from '../../git/known-clones.ts';
import { openGitRepo } from '../../git/repository.ts';
import type { Options } from '../args.ts';
import { copiedUrl, forgetLocks, lockKey } from '../clone-settings.ts';
import { type Command, NO_OPERANDS, type Outcome, rowsOf } from '../command.ts';
import type { Context } from '../context.ts';
import {
  AGENT_CONCURRENT_KEY,
  AGENT_PATH_KEY,
  CREDENTIAL_PATTERN,
  HOOKS_KEY,
  STANDALONE_KEY,
} from '../install-plan.ts';
import {
  type ChangedKey,
  forgetInstall,
  NO_STATE,
  readInstallState,
  removeCreatedFile,
} from '../install-state.ts';
import { type ConfigChange, gitFor, type InstallLevel } from './install.ts';

const OWN_KEYS = [AGENT_PATH_KEY, AGENT_CONCURRENT_KEY, STANDALONE_KEY, HOOKS_KEY];

export const uninstall: Command<ConfigChange> = {
  usage: ['uninstall [--local] [--dry-run]'],
  about:
    'puts git back as it was before datamon install: the keys it wrote, and the hooks in the clones it knows. Data stays where it is.',
  examples: [
    ['uninstall', 'undo datamon install'],
    ['uninstall --dry-run', 'only say what would be removed'],
  ],
  options: {
    local: { type: 'boolean', summary: 'this clone only' },
    'dry-run': { type: 'boolean', summary: 'change nothing' },
  },
  operands: NO_OPERANDS,
  run: runUninstall,
  view: {
    columns: [
      { name: 'outcome', cell: (row) => row.outcome, mark: (text, _row, style) => style.dim(text) },
      { name: 'key', cell: (row) => row.key },
      { name: 'value', cell: (row) => (row.value === null ? '' : `= ${row.value}`) },
    ],
    header: false,
    id: (row) => row.key,
  },
};

async function runUninstall(context: Context, options: Options): Promise<Outcome<ConfigChange>> {
  const level: InstallLevel = options.flag('local') ? 'local' : 'global';
  const dryRun = options.flag('dry-run');
  const git = await gitFor(context, level);
  const state = level === 'global' ? await readInstallState(context.io.env) : NO_STATE;
  const rows: ConfigChange[] = [];
  for (const key of new Set([...OWN_KEYS, ...state.changed.map((change) => change.key)])) {
    if (key.startsWith('credential.')) continue;
    const row = await undo(git, level, key, { dryRun, change: changeOf(state.changed, key) });
    if (row !== null) rows.push(row);
  }
  rows.push(...(await removeCredentials(git, level, dryRun)));
  const clones = level === 'global' ? await knownClones(context.io.env) : [git.cwd];
  for (const folder of clones) rows.push(...(await cleanClone(context, folder, { level, dryRun })));
  if (level === 'global' && !dryRun) {
    await removeCreatedFile(state);
    await forgetClones(context.io.env);
    await forgetInstall(context.io.env);
  }
  context.talk(
    dryRun
      ? 'datamon: nothing was changed'
      : rows.length === 0
        ? 'datamon: nothing of datamon was in git’s configuration'
        : 'datamon: git is as it was. Stores and clones were not touched.',
  );
  return rowsOf(rows);
}

/** Takes our hooks, and the copy of `.lfsconfig`'s URL, out of a clone. A clone that is gone needs nothing. */
async function cleanClone(
  context: Context,
  folder: string,
  { level, dryRun }: { readonly level: InstallLevel; readonly dryRun: boolean },
): Promise<ConfigChange[]> {
  const clone = await openGitRepo(folder, context.io.env).catch(() => null);
  if (clone === null) return [];
  const rows: ConfigChange[] = [];
  const ours = (await inspectHooks(clone)).hooks.filter(({ owner }) => owner === 'ours');
  const outcome = dryRun ? 'would remove' : 'removed';
  rows.push(
    ...ours.map(
      ({ path }) => ({ key: path, value: null, outcome, why: 'hook of datamon' }) as const,
    ),
  );
  const copied = await copiedUrl(clone);
  if (copied !== null) {
    rows.push({ key: `lfs.url of ${folder}`, value: null, outcome, why: 'copy of .lfsconfig' });
    if (!dryRun) await unsetConfig(clone.git, 'local', 'lfs.url');
  }
  const locks = await lockKey(clone);
  if (locks !== null) {
    rows.push({ key: `${locks} of ${folder}`, value: null, outcome, why: 'of datamon init' });
    if (!dryRun) await forgetLocks(clone);
  }
  const policy = await getConfig(clone.git, HOOKS_KEY, 'local');
  if (level === 'global' && policy !== null) {
    rows.push({ key: `${HOOKS_KEY} of ${folder}`, value: null, outcome, why: 'of datamon init' });
    if (!dryRun) await unsetConfig(clone.git, 'local', HOOKS_KEY);
  }
  if (!dryRun) await removeHooks(clone);
  return rows;
}

const changeOf = (changed: readonly ChangedKey[], key: string): ChangedKey | null =>
  changed.find((change) => change.key === key) ?? null;

async function undo(
  git: Git,
  level: InstallLevel,
  key: string,
  how: { readonly dryRun: boolean; readonly change: ChangedKey | null },
): Promise<ConfigChange | null> {
  const values = await getAllConfig(git, key, level);
  const value = values.at(-1) ?? null;
  if (value === null) return null;
  const isOwn = OWN_KEYS.includes(key);
  // A key of git-lfs that was changed since is somebody's decision.
  if (!isOwn && value !== how.change?.value) return null;
  const before = how.change?.before ?? null;
  const row = { key, value: before, why: 'as before datamon install' };
  if (how.dryRun) return { ...row, outcome: 'would remove' };
  if (before === null) {
    await unsetConfig(git, level, key);
    return { ...row, outcome: 'removed' };
  }
  await setConfig(git, level, key, before);
  return { ...row, outcome: 'restored' };
}

/** Credential helpers of ours, for whatever server; others' helpers for the same server stay. */
async function removeCredentials(
  git: Git,
  level: InstallLevel,
  dryRun: boolean,
): Promise<ConfigChange[]> {
  const pattern = new RegExp(CREDENTIAL_PATTERN);
  const keys = new Set(
    (await listConfig(git, [`--${level}`]))
      .filter(
        ({ key, value }) =>
          /^credential\..+\.helper$/.test(key) &&
          value?.endsWith(' credential') === true &&
          pattern.test(value),
      )
      .map(({ key }) => key),
  );
  const rows: ConfigChange[] = [];
  for (const key of keys) {
    if (!dryRun) {
      await git.bytes(['config', `--${level}`, '--unset-all', key, CREDENTIAL_PATTERN]);
    }
    rows.push({
      key,
      value: null,
      outcome: dryRun ? 'would remove' : 'removed',
      why: 'DATAMON_TOKEN through git’s credential helper',
    });
  }
  return rows;
}
