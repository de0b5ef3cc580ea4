/** `datamon replicate`: the places of a store: add one, see them, make them equal, promote one when home is lost. */
import { formatBytes, formatCount } from '../../client/format.ts';
import { membershipWorld, replicaStatus, storeUrlOf } from '../../client/replicate.ts';
import { DatamonError } from '../../core/errors.ts';
import { EXIT } from '../../core/io.ts';
import type { MembershipWorld } from '../../core/replication/changing.ts';
import {
  addMember,
  type MemberReport,
  rejoin,
  removeMember,
} from '../../core/replication/membership.ts';
import { promote } from '../../core/replication/promote.ts';
import type { MemberStatus } from '../../core/replication/status.ts';
import { type Options, usageError } from '../args.ts';
import { type Command, type Outcome, rowsOf } from '../command.ts';
import type { Context } from '../context.ts';
import type { Style } from '../output.ts';
import { withScheme } from '../repo-address.ts';
import { formatTime } from '../rows.ts';
import { whoAmI } from '../who-am-i.ts';

export interface ReplicateRow extends Partial<MemberStatus> {
  readonly name: string;
  readonly url: string;
  /** What was done: absent for `--status`. */
  readonly done?: 'resynced' | 'promoted' | 'removed';
  readonly equal?: boolean;
  readonly keys?: number;
  /** SHA-256 of the sorted keys and sizes, of home and of the member. */
  readonly homeDigest?: string;
  readonly memberDigest?: string;
  readonly copied?: number;
  readonly copiedBytes?: number;
  readonly returned?: number;
  readonly removed?: number;
  readonly diverged?: readonly string[];
  readonly damaged?: readonly string[];
  readonly oldHome?: 'drained' | 'lost';
  readonly out?: readonly string[];
}

const ACTIONS = ['add', 'status', 'resync', 'promote', 'remove'] as const;
type Action = (typeof ACTIONS)[number];

export const replicate: Command<ReplicateRow> = {
  usage: [
    'replicate STORE --add URL [--name NAME] [--mode sync|async]',
    'replicate STORE [--status]',
    'replicate STORE --resync [--to NAME]',
    'replicate --promote URL',
    'replicate STORE --remove NAME',
  ],
  about:
    'keeps a store in several places. One is home, where pushes go; the others are replicas. Mode sync: a push is acknowledged once home and a replica have it; async: once home has it, and the rest is owed. Restart the servers of a store after its first --add.',
  examples: [
    [
      'replicate file:///srv/store --add file:///mnt/eu/store --name eu',
      'a second copy of everything',
    ],
    ['replicate file:///srv/store', 'who has what, and what is owed'],
    ['replicate file:///srv/store --resync', 'copy what is missing, and prove that all are equal'],
    ['replicate --promote file:///mnt/eu/store', 'home is lost: write there from now on'],
  ],
  options: {
    add: { type: 'string', value: 'URL', summary: 'an empty place that is to hold a copy' },
    name: { type: 'string', value: 'NAME', summary: 'what to call it; default: replica' },
    mode: { type: 'string', value: 'MODE', summary: 'sync or async, for the whole store' },
    status: { type: 'boolean', summary: 'members, who is home, what is owed (the default)' },
    resync: { type: 'boolean', summary: 'copy what is missing; may be stopped and run again' },
    to: { type: 'string', value: 'NAME', summary: 'with --resync: this member alone' },
    promote: { type: 'string', value: 'URL', summary: 'make this member home' },
    remove: { type: 'string', value: 'NAME', summary: 'forget a member; its copy stays' },
  },
  operands: { names: ['STORE'], min: 0, max: 1 },
  run: runReplicate,
  view: { lines, id: (row) => row.name },
};

async function runReplicate(context: Context, options: Options): Promise<Outcome<ReplicateRow>> {
  const given = ACTIONS.filter((action) => options.flag(action));
  if (given.length > 1)
    throw usageError(`--${given[0]} and --${given[1]} are two things`, 'replicate');
  const action: Action = given[0] ?? 'status';
  const world = membershipWorld({
    by: await whoAmI(context),
    signal: context.io.signal,
    onProgress: (member, { copied, copiedBytes }) => {
      context.debug(`${member}: ${copied} objects copied, ${formatBytes(copiedBytes)}`);
    },
  });
  if (action === 'promote') {
    if (options.operands.length > 0)
      throw usageError('--promote names the place; STORE is not needed', 'replicate');
    return promoted(world, urlOf(context, options.text('promote') ?? ''));
  }
  const [operand] = options.operands;
  if (operand === undefined)
    throw usageError('replicate needs STORE, its URL or folder', 'replicate');
  const store = urlOf(context, operand);
  if (action === 'status') {
    const members = await replicaStatus(store);
    const isWell = members.every(({ isReachable, role }) => isReachable && role !== 'out');
    return { rows: members, status: () => (isWell ? EXIT.ok : EXIT.partial) };
  }
  if (action === 'remove') {
    const name = options.text('remove') ?? '';
    const config = await removeMember(world, store, name);
    return rowsOf([{ name, url: '', done: 'removed', mode: config.mode }]);
  }
  return await copying(context, world, store, options);
}

async function copying(
  context: Context,
  world: MembershipWorld,
  store: string,
  options: Options,
): Promise<Outcome<ReplicateRow>> {
  const mode = options.text('mode');
  if (mode !== undefined && mode !== 'sync' && mode !== 'async') {
    throw usageError(`--mode is sync or async, not ${JSON.stringify(mode)}`, 'replicate');
  }
  const added = options.text('add');
  const reports: MemberReport[] = [];
  if (added !== undefined) {
    const url = urlOf(context, added);
    const name = options.text('name') ?? 'replica';
    reports.push(await addMember(world, store, { url, name, ...(mode && { mode }) }));
  } else {
    for (const name of await namesOf(store, options.text('to'))) {
      reports.push(await rejoin(world, store, name));
    }
  }
  const isDone = reports.every(({ report }) => report.isEqual && report.damaged.length === 0);
  return { rows: reports.map(resynced), status: () => (isDone ? EXIT.ok : EXIT.partial) };
}

async function namesOf(store: string, only: string | undefined): Promise<readonly string[]> {
  if (only !== undefined) return [only];
  const members = await replicaStatus(store);
  return members.filter(({ role }) => role !== 'home').map(({ name }) => name);
}

async function promoted(world: MembershipWorld, url: string): Promise<Outcome<ReplicateRow>> {
  const { config, oldHome, out } = await promote(world, url);
  const home = config.members.find(({ name }) => name === config.home);
  if (home === undefined) throw new DatamonError('CORRUPT', `${url} has no home`);
  const { name, url: homeUrl } = home;
  const { epoch, mode } = config;
  return rowsOf([{ name, url: homeUrl, done: 'promoted', epoch, mode, oldHome, out }]);
}

const urlOf = (context: Context, text: string): string =>
  storeUrlOf(withScheme(text, context.io.cwd));

function resynced({ member, report }: MemberReport): ReplicateRow {
  const { copied, copiedBytes, returned, removed, diverged, damaged, last, isEqual } = report;
  return {
    name: member.name,
    url: member.url,
    done: 'resynced',
    equal: isEqual,
    keys: last.keyCount,
    homeDigest: last.homeDigest,
    memberDigest: last.memberDigest,
    copied,
    copiedBytes,
    returned,
    removed,
    diverged,
    damaged,
  };
}

function lines(row: ReplicateRow, style: Style): string[] {
  if (row.done === 'removed')
    return [`${style.bold(row.name)} is no member any more; its copy was left as it is`];
  if (row.done === 'promoted') return promotedLines(row, style);
  return row.done === 'resynced' ? resyncedLines(row, style) : statusLines(row, style);
}

function statusLines(row: ReplicateRow, style: Style): string[] {
  const owed =
    row.owed === null
      ? 'what it is owed is not known'
      : (row.owed ?? 0) === 0
        ? 'nothing owed'
        : `${formatCount(row.owed ?? 0, 'object')} owed since ${formatTime(row.owedSince ?? '')} UTC`;
  const state = [
    row.role === 'home' ? `home, epoch ${row.epoch}, ${row.mode}` : row.role,
    row.isReachable === true ? 'answers' : style.red('does not answer'),
    ...(row.role === 'replica' ? [owed] : []),
    ...(row.lastResync == null ? [] : [`equal on ${formatTime(row.lastResync)} UTC`]),
  ];
  const hint =
    row.role === 'out'
      ? ['  it takes no part; bring it back: datamon replicate STORE --resync']
      : [];
  return [`${style.bold(row.name)}  ${row.url}`, `  ${state.join(' · ')}`, ...hint];
}

function resyncedLines(row: ReplicateRow, style: Style): string[] {
  const done = [
    `${formatCount(row.copied ?? 0, 'object')} copied (${formatBytes(row.copiedBytes ?? 0)})`,
    ...(row.returned ? [`${formatCount(row.returned, 'object')} brought home`] : []),
    ...(row.removed ? [`${row.removed} collected ones removed`] : []),
  ];
  const verdict = row.equal
    ? `${style.green('equal')}: ${formatCount(row.keys ?? 0, 'key')}, digest ${row.homeDigest} in both`
    : `${style.red('not equal yet')}: digest ${row.homeDigest} at home, ${row.memberDigest} here; run it again`;
  return [
    `${style.bold(row.name)}  ${row.url}`,
    `  ${done.join(' · ')}`,
    `  ${verdict}`,
    ...(row.diverged ?? []).map((key) => `  had another ${key}; kept in diverged/`),
    ...(row.damaged ?? []).map((key) => `  ${style.red('damaged')}, and no good copy: ${key}`),
  ];
}

function promotedLines(row: ReplicateRow, style: Style): string[] {
  const lost =
    row.mode === 'async'
      ? 'the old home did not answer: what it acknowledged and still owed is missing here until it is back and resynced'
      : 'the old home did not answer; nothing it acknowledged is missing here';
  return [
    `${style.bold(row.name)} is home now, epoch ${row.epoch}: ${row.url}`,
    `  ${row.oldHome === 'drained' ? 'the old home answered and gave all it had' : lost}`,
    ...(row.out ?? []).map(
      (name) =>
        `  ${name} is out; when it is back: datamon replicate ${row.url} --resync --to ${name}`,
    ),
    `  serve it: datamon serve --store ${row.url}`,
  ];
}
