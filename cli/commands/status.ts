/** `datamon status`: this clone: where its data is, who has its hooks, what is not confirmed, what the last push cost. */
import { formatBytes, formatReused, shortId } from '../../client/format.ts';
import { formatRepoUrl } from '../../client/repo-url.ts';
import { DatamonError } from '../../core/errors.ts';
import type { BranchEvent } from '../../core/meta/model.ts';
import type { Repository } from '../../core/meta/repository.ts';
import { asOfNow } from '../../core/meta/still-missing.ts';
import { peelToCommit } from '../../git/commit.ts';
import { inspectHooks } from '../../git/hook-shims.ts';
import { type Command, NO_OPERANDS, type Outcome, rowsOf } from '../command.ts';
import { type Context, cloneOf } from '../context.ts';
import type { Style } from '../output.ts';
import { cloneRepoUrl } from '../repo-address.ts';
import { type BundleRow, bundleRow, formatPerson, formatTime } from '../rows.ts';

export interface StatusRow {
  readonly clone: string;
  /** Null where the clone does not keep its data in datamon. */
  readonly repo: string | null;
  readonly url: string | null;
  /** `server`: by negotiation; `store`: straight on it. */
  readonly mode: 'server' | 'store' | null;
  readonly hooks: 'ours' | 'refused' | 'absent' | 'stock';
  readonly head: { readonly commit: string; readonly bundle: string | null } | null;
  /** Pushes announced and not seen to arrive yet. */
  readonly pending: readonly {
    readonly pushId: string;
    readonly pushedBy: string;
    readonly refs: readonly string[];
  }[];
  readonly lastPush: BundleRow | null;
  /** Why the store or server could not be asked; null where it could. */
  readonly problem: string | null;
}

type Stored = Pick<StatusRow, 'head' | 'pending' | 'lastPush' | 'problem'>;

const HOOK_WORDS = {
  ours: 'datamon’s, in place',
  stock: 'git-lfs’s own; pushes are recorded by: datamon record (or run: datamon init)',
  absent: 'none; run: datamon init',
  refused: 'another tool’s; see: datamon doctor',
} as const;

export const status: Command<StatusRow> = {
  usage: ['status'],
  about:
    'shows this clone: where its data is, whether its hooks are in place, pushes that were announced and not confirmed, and what the last push cost.',
  examples: [
    ['status', 'this clone'],
    ['', 'the same: datamon alone, inside a clone'],
    ['status --json', 'for scripts'],
  ],
  options: {},
  operands: NO_OPERANDS,
  settlesPushes: true,
  run: runStatus,
  view: { lines: statusLines, id: (row) => row.url },
};

async function runStatus(context: Context): Promise<Outcome<StatusRow>> {
  const clone = await cloneOf(context, 'datamon status is about a clone');
  const url = await cloneRepoUrl(clone);
  const { state } = await inspectHooks(clone);
  const commit = await peelToCommit(clone.git, 'HEAD');
  const head = commit === null ? null : { commit, bundle: null };
  const nothing: Stored = { head, pending: [], lastPush: null, problem: null };
  return rowsOf([
    {
      clone: clone.topLevel ?? clone.gitDir,
      repo: url?.repo ?? null,
      url: url === null ? null : formatRepoUrl(url),
      mode: url?.kind ?? null,
      hooks: state,
      ...(url === null ? nothing : await stored(context, nothing)),
    },
  ]);
}

/** What the store knows; a store that cannot be asked is a line of the status, not the end of it. */
async function stored(context: Context, nothing: Stored): Promise<Stored> {
  try {
    const repository = await context.repository();
    const { head } = nothing;
    return {
      head:
        head === null
          ? null
          : { ...head, bundle: await repository.history.bundleOfCommit(head.commit as never) },
      pending: await pendingOf(repository),
      lastPush: await lastPushOf(repository),
      problem: null,
    };
  } catch (error) {
    if (!(error instanceof DatamonError) || error.code === 'CANCELLED') throw error;
    return { ...nothing, problem: error.message };
  }
}

async function pendingOf({ history }: Repository): Promise<StatusRow['pending']> {
  const pending: StatusRow['pending'][number][] = [];
  for await (const { pushId, pushedBy, refs } of history.pending()) {
    pending.push({ pushId, pushedBy, refs: refs.map(({ ref }) => ref) });
  }
  return pending;
}

async function lastPushOf({ history, blobs }: Repository): Promise<BundleRow | null> {
  let newest: BranchEvent | null = null;
  for await (const { event } of history.branches()) {
    if (event.bundle === null) continue;
    if (newest === null || Date.parse(event.pushedAt) > Date.parse(newest.pushedAt)) newest = event;
  }
  return newest === null ? null : bundleRow(await asOfNow(blobs, newest));
}

function statusLines(row: StatusRow, style: Style): string[] {
  const field = (name: string, value: string): string => `${name.padEnd(10)}${value}`;
  if (row.url === null) {
    return [
      field('clone', row.clone),
      field('data', 'not in datamon; run: datamon init URL'),
      field('hooks', HOOK_WORDS[row.hooks]),
    ];
  }
  return [
    field('repo', `${style.bold(row.repo ?? '')}  ${row.url}`),
    field('hooks', HOOK_WORDS[row.hooks]),
    ...(row.problem === null ? storedLines(row, field) : [field('store', style.red(row.problem))]),
  ];
}

function storedLines(row: StatusRow, field: (name: string, value: string) => string): string[] {
  const { head, lastPush } = row;
  const bundle = head?.bundle == null ? 'no bundle yet' : `bundle ${shortId(head.bundle)}`;
  return [
    ...(head === null ? [] : [field('HEAD', `commit ${shortId(head.commit)}, ${bundle}`)]),
    ...row.pending.map(({ refs, pushedBy }) =>
      field(
        'announced',
        `${refs.join(', ')} by ${formatPerson(pushedBy)}, not seen to arrive; datamon record confirms it`,
      ),
    ),
    lastPush === null
      ? field('last push', 'none yet')
      : field(
          'last push',
          `bundle ${shortId(lastPush.bundle)} · ${lastPush.branch} · ${formatTime(lastPush.pushedAt)} by ${formatPerson(lastPush.pushedBy)} · ${formatBytes(lastPush.bytes)}, ${formatBytes(lastPush.newBytes)} new · ${formatReused(lastPush.bytes, lastPush.newBytes)}`,
        ),
  ];
}
