/** `datamon config`: every setting with the place its value comes from; reads and writes the five `datamon.*` keys. */

import { DatamonError } from '../../core/errors.ts';
import { type ConfigLevel, setConfig } from '../../git/config.ts';
import { type Git, openGit } from '../../git/git.ts';
import { type Options, usageError } from '../args.ts';
import { type Command, type Outcome, rowsOf } from '../command.ts';
import { type Context, cloneOf } from '../context.ts';
import { nearest } from '../nearest.ts';
import { harmless } from '../rows.ts';
import { unknownAction } from './label.ts';

export interface ConfigRow {
  readonly key: string;
  /** Null where it is not set and has no default. */
  readonly value: string | null;
  /** `default`, `environment`, or the file git read it from. */
  readonly source: string;
  readonly meaning: string;
}

interface Setting {
  readonly key: string;
  readonly standard: string | null;
  readonly meaning: string;
  readonly accepts: RegExp;
  readonly words: string;
}

const SIZE = /^[0-9]{1,12}\s*([KMGT]i?B?)?$/i;
/** Ours, and no more than these. */
export const SETTINGS: readonly Setting[] = [
  {
    key: 'datamon.hooks',
    standard: 'off',
    meaning: 'put hooks into clones that keep data in datamon',
    accepts: /^(auto|off)$/,
    words: 'auto or off',
  },
  {
    key: 'datamon.progress',
    standard: 'auto',
    meaning: 'progress lines of pushes',
    accepts: /^(auto|always|never|true|false)$/,
    words: 'auto, always or never',
  },
  {
    key: 'datamon.cachesize',
    standard: '1 GiB',
    meaning: 'most room that parts of far stores take on this machine; 0 keeps none',
    accepts: SIZE,
    words: 'a size such as 10GiB',
  },
  {
    key: 'datamon.memory',
    standard: '256 MiB',
    meaning: 'most memory a transfer takes',
    accepts: SIZE,
    words: 'a size such as 256MiB',
  },
  {
    key: 'datamon.receipt',
    standard: 'url',
    meaning: 'last lines of a push',
    accepts: /^(url|short|off)$/,
    words: 'url, short or off',
  },
];

/** Keys of git-lfs that decide where data goes. */
const LFS_KEYS: readonly (readonly [string, string])[] = [
  ['lfs.url', 'where this clone’s data is'],
  ['lfs.customtransfer.datamon.path', 'how git-lfs starts datamon'],
  ['lfs.customtransfer.datamon.concurrent', 'one agent at a time'],
  ['lfs.datamon::.standalonetransferagent', 'stores without a server'],
];

const VARIABLES: readonly (readonly [string, string])[] = [
  ['DATAMON_URL', 'the repo, where no clone names one'],
  ['DATAMON_TOKEN', 'the token for servers'],
  ['DATAMON_STORE', 'store of datamon serve'],
  ['DATAMON_LISTEN', 'address of datamon serve'],
  ['DATAMON_PUBLIC_URL', 'how others reach datamon serve'],
  ['DATAMON_JWT_SECRET_FILE', 'secret of datamon serve and datamon token mint'],
  ['DATAMON_ANONYMOUS', 'what strangers may do on loopback'],
  ['GIT_LFS_SKIP_PUSH', 'git-lfs and the hook upload nothing'],
];
const SECRET_VARIABLES = new Set(['DATAMON_TOKEN']);
const ACTIONS = ['list', 'get', 'set'] as const;

export const config: Command<ConfigRow> = {
  usage: ['config [list]', 'config get KEY', 'config set KEY VALUE [--local]'],
  about:
    'lists every setting with its value and where that comes from. Settings are git configuration keys, so git config works too; set writes for this user, or with --local for this clone.',
  examples: [
    ['config', 'everything, with sources'],
    ['config get datamon.receipt', 'one value'],
    ['config set datamon.receipt short', 'shorter last lines of a push'],
    ['config set datamon.hooks off --local', 'no hooks in this clone'],
  ],
  options: { local: { type: 'boolean', summary: 'this clone only' } },
  operands: { names: ['ACTION', 'KEY', 'VALUE'], min: 0, max: 3 },
  run: runConfig,
  view: {
    columns: [
      { name: 'key', cell: (row) => row.key },
      { name: 'value', cell: (row) => harmless(row.value ?? '–') },
      {
        name: 'from',
        cell: (row) => harmless(row.source),
        mark: (text, _, style) => style.dim(text),
      },
    ],
    id: (row) => row.value,
  },
};

async function runConfig(context: Context, options: Options): Promise<Outcome<ConfigRow>> {
  const [word = 'list', key, value] = options.operands;
  const action = ACTIONS.find((known) => known === word);
  if (action === undefined) throw unknownAction(word, ACTIONS, 'config');
  const expected = { list: 1, get: 2, set: 3 }[action];
  if (options.operands.length !== Math.max(expected, 1) && options.operands.length !== 0) {
    throw usageError(
      `config ${action} takes ${['nothing', 'KEY', 'KEY and VALUE'][expected - 1]}`,
      'config',
    );
  }
  if (action === 'list' || key === undefined) return rowsOf(await list(context));
  const setting = settingOf(key);
  if (action === 'set') await set(context, options, setting, value ?? '');
  return rowsOf([await read(context, setting)]);
}

function settingOf(key: string): Setting {
  const lower = key.toLowerCase();
  const full = lower.startsWith('datamon.') ? lower : `datamon.${lower}`;
  const setting = SETTINGS.find((known) => known.key === full);
  if (setting !== undefined) return setting;
  const meant = nearest(
    full,
    SETTINGS.map((known) => known.key),
  );
  throw usageError(
    `there is no setting ${JSON.stringify(key.slice(0, 80))}.${meant === null ? '' : ` Did you mean ${meant}?`}`,
    'config',
  );
}

async function set(
  context: Context,
  options: Options,
  setting: Setting,
  value: string,
): Promise<void> {
  if (!setting.accepts.test(value)) {
    throw usageError(`${setting.key} is ${setting.words}, not ${JSON.stringify(value)}`, 'config');
  }
  const level: ConfigLevel = options.flag('local') ? 'local' : 'global';
  const git =
    level === 'local'
      ? (await cloneOf(context, '--local has no meaning here')).git
      : await anyGit(context);
  await setConfig(git, level, setting.key, value);
}

const anyGit = async (context: Context): Promise<Git> =>
  (await context.clone())?.git ?? (await openGit({ cwd: context.io.cwd, env: context.io.env }));

async function read(context: Context, setting: Setting): Promise<ConfigRow> {
  const sources = await configSources(await anyGit(context));
  return toRow(setting.key, setting.meaning, sources, setting.standard);
}

async function list(context: Context): Promise<ConfigRow[]> {
  const sources = await configSources(await anyGit(context));
  const { env } = context.io;
  return [
    ...SETTINGS.map(({ key, meaning, standard }) => toRow(key, meaning, sources, standard)),
    ...LFS_KEYS.map(([key, meaning]) => toRow(key, meaning, sources, null)),
    ...VARIABLES.map(([key, meaning]) => ({
      key,
      value: shownVariable(key, env[key]),
      source: env[key] === undefined ? 'not set' : 'environment',
      meaning,
    })),
  ];
}

/** Secrets are told to be there, never told. */
const shownVariable = (key: string, value: string | undefined): string | null =>
  value === undefined ? null : SECRET_VARIABLES.has(key) ? '(set)' : value;

function toRow(
  key: string,
  meaning: string,
  sources: ReadonlyMap<string, { readonly value: string; readonly origin: string }>,
  standard: string | null,
): ConfigRow {
  const found = sources.get(key);
  return {
    key,
    value: found?.value ?? standard,
    source: found?.origin ?? (standard === null ? 'not set' : 'default'),
    meaning,
  };
}

/** The value of every key that wins, with the file it stands in. */
async function configSources(
  git: Git,
): Promise<ReadonlyMap<string, { readonly value: string; readonly origin: string }>> {
  const answer = await git.run(['config', '-z', '--list', '--show-scope', '--show-origin']);
  if (answer.status !== 0) {
    throw new DatamonError('INVALID', `git cannot read its configuration: ${answer.stderr.trim()}`);
  }
  const parts = answer.stdout.toString('utf8').split('\0');
  const found = new Map<string, { value: string; origin: string }>();
  for (let index = 0; index + 2 < parts.length; index += 3) {
    const [scope = '', origin = '', entry = ''] = parts.slice(index, index + 3);
    const newline = entry.indexOf('\n');
    const key = newline < 0 ? entry : entry.slice(0, newline);
    const value = newline < 0 ? 'true' : entry.slice(newline + 1);
    found.set(key, { value, origin: `${scope} ${origin.replace(/^file:/, '')}`.trim() });
  }
  return found;
}
