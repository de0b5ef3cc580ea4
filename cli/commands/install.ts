/** `datamon install`: connects git on this machine with datamon. Running it again changes nothing. */

import { DatamonError } from '../../core/errors.ts';
import { getAllConfig, getConfig, setConfig } from '../../git/config.ts';
import { type Git, openGit } from '../../git/git.ts';
import type { Options } from '../args.ts';
import { usageError } from '../args.ts';
import { type Command, NO_OPERANDS, type Outcome, rowsOf } from '../command.ts';
import { type Context, cloneOf } from '../context.ts';
import {
  ensureLaunchers,
  FILTER_KEYS,
  HOOKS_KEY,
  installPlan,
  type PlannedEntry,
} from '../install-plan.ts';
import { absentGlobalFile, type ChangedKey, noteChanges } from '../install-state.ts';

export interface ConfigChange {
  readonly key: string;
  readonly value: string | null;
  readonly outcome: 'set' | 'unchanged' | 'would set' | 'removed' | 'restored' | 'would remove';
  readonly why: string;
}

export type InstallLevel = 'global' | 'local';

export const install: Command<ConfigChange> = {
  usage: ['install [--server URL]… [--no-hooks] [--local] [--dry-run]'],
  about:
    'connects git on this machine with datamon, once. It writes the keys it prints into git’s configuration and nothing else.',
  examples: [
    ['install', 'for every clone of this user'],
    ['install --dry-run', 'only say what would be written'],
    ['install --no-hooks', 'leave hooks alone; pushes are recorded by: datamon record'],
    ['install --server https://data.example.org', 'in CI: DATAMON_TOKEN serves git-lfs too'],
  ],
  options: {
    server: {
      type: 'string',
      multiple: true,
      value: 'URL',
      summary: 'answer git’s question for this server’s password with DATAMON_TOKEN',
    },
    'no-hooks': { type: 'boolean', summary: 'put no hooks into clones by itself' },
    local: { type: 'boolean', summary: 'this clone only, not the whole machine' },
    'dry-run': { type: 'boolean', summary: 'change nothing' },
  },
  operands: NO_OPERANDS,
  run,
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

async function run(context: Context, options: Options): Promise<Outcome<ConfigChange>> {
  const request: InstallRequest = {
    level: options.flag('local') ? 'local' : 'global',
    dryRun: options.flag('dry-run'),
    hooks: options.flag('no-hooks') ? 'off' : 'auto',
    servers: options.texts('server').map(serverOrigin),
  };
  const rows = await runInstall(context, request);
  talkAbout(context, request, rows);
  return rowsOf(rows);
}

export interface InstallRequest {
  readonly level: InstallLevel;
  readonly dryRun: boolean;
  /** Null leaves the answer given before; `auto` where there was none. */
  readonly hooks: 'auto' | 'off' | null;
  readonly servers: readonly string[];
}

/** Writes what is missing or different, and remembers what stood there before. */
export async function runInstall(
  context: Context,
  { level, dryRun, hooks, servers }: InstallRequest,
): Promise<readonly ConfigChange[]> {
  const git = await gitFor(context, level);
  const earlier = (await getConfig(git, HOOKS_KEY)) === 'off' ? 'off' : 'auto';
  const choice = { hooks: hooks ?? earlier, servers };
  const rows: ConfigChange[] = [];
  const changed: ChangedKey[] = [];
  const createdFile = await absentGlobalFile(context.io.env);
  if (!dryRun) await ensureLaunchers(context.io, context.runtime);
  for (const entry of await installPlan(choice, context.io)) {
    const before = await currentValue(git, entry, level);
    const outcome = before === entry.value ? 'unchanged' : dryRun ? 'would set' : 'set';
    rows.push({ key: entry.key, value: entry.value, outcome, why: entry.why });
    if (outcome !== 'set') continue;
    await write(git, entry, level);
    changed.push({ key: entry.key, value: entry.value, before });
  }
  const filters = await ensureFilters(git, level, dryRun);
  rows.push(...filters);
  changed.push(...filters.filter((row) => row.outcome === 'set').map(toChangedKey));
  if (level === 'global') await noteChanges(context.io.env, changed, createdFile);
  return rows;
}

function talkAbout(context: Context, request: InstallRequest, rows: readonly ConfigChange[]): void {
  if (request.dryRun) {
    context.talk('datamon: nothing was changed');
    return;
  }
  const count = rows.filter((row) => row.outcome === 'set').length;
  context.talk(
    count === 0
      ? 'datamon: git is connected already'
      : 'datamon: git is connected. Undo with: datamon uninstall',
  );
  if (request.hooks !== 'off') {
    context.talk(
      'datamon: clones that keep data in datamon get its hooks pre-push and reference-transaction; refuse with: datamon install --no-hooks',
    );
  }
}

const toChangedKey = (row: ConfigChange): ChangedKey => ({
  key: row.key,
  value: row.value ?? '',
  before: null,
});

/** git for the level meant; `--local` outside of a clone is refused. */
export async function gitFor(context: Context, level: InstallLevel): Promise<Git> {
  if (level === 'local') return (await cloneOf(context, '--local has no meaning here')).git;
  return openGit({ cwd: context.io.cwd, env: context.io.env });
}

async function currentValue(
  git: Git,
  entry: PlannedEntry,
  level: InstallLevel,
): Promise<string | null> {
  if (entry.ours === undefined) return getConfig(git, entry.key, level);
  const pattern = new RegExp(entry.ours);
  return (
    (await getAllConfig(git, entry.key, level)).findLast((value) => pattern.test(value)) ?? null
  );
}

async function write(git: Git, entry: PlannedEntry, level: InstallLevel): Promise<void> {
  if (entry.ours === undefined) return setConfig(git, level, entry.key, entry.value);
  await git.bytes(['config', `--${level}`, '--replace-all', entry.key, entry.value, entry.ours]);
}

/** git-lfs's filters turn files into pointers; without them nothing else helps. */
async function ensureFilters(
  git: Git,
  level: InstallLevel,
  dryRun: boolean,
): Promise<ConfigChange[]> {
  const present = await Promise.all(FILTER_KEYS.map((key) => getConfig(git, key)));
  if (present.every((value) => value !== null)) return [];
  const why = 'git lfs install: files of LFS become pointers and back';
  if (dryRun) return FILTER_KEYS.map((key) => ({ key, value: null, outcome: 'would set', why }));
  const scope = level === 'local' ? ['--local'] : [];
  const answer = await git.run(['lfs', 'install', '--skip-repo', ...scope]);
  if (answer.status !== 0) {
    throw new DatamonError('UNAVAILABLE', `git lfs install failed: ${answer.stderr.trim()}`, {
      hint: 'Install git-lfs (https://git-lfs.com), then run: datamon install',
    });
  }
  return Promise.all(
    FILTER_KEYS.map(async (key) => ({
      key,
      value: await getConfig(git, key),
      outcome: 'set' as const,
      why,
    })),
  );
}

/** Scheme, host and port: what git matches credentials with. */
export function serverOrigin(text: string): string {
  const url = URL.parse(text);
  if (
    url !== null &&
    /^https?:$/.test(url.protocol) &&
    url.username === '' &&
    url.password === ''
  ) {
    return url.origin;
  }
  throw usageError(`--server needs the URL of a server, not ${JSON.stringify(text)}`, 'install');
}
