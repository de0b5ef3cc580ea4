/** `datamon log`: pushes, newest first, over all branches or one. */
import { formatBytes, shortId } from '../../client/format.ts';
import { DatamonError } from '../../core/errors.ts';
import { diffTrees } from '../../core/meta/diff.ts';
import type { BranchEvent, Numbered, RawPath } from '../../core/meta/model.ts';
import { rawPathFromText } from '../../core/meta/raw-path.ts';
import type { History, Repository } from '../../core/meta/repository.ts';
import { asOfNow } from '../../core/meta/still-missing.ts';
import { type Options, positiveNumber } from '../args.ts';
import { type Command, type Outcome, rowsOf } from '../command.ts';
import type { Context } from '../context.ts';
import { type BundleRow, bundleRow, formatPerson, formatTime } from '../rows.ts';

export interface LogRow extends BundleRow {
  /** Against the event before on the same branch; with `--stat`. */
  readonly added?: number;
  readonly removed?: number;
  readonly changed?: number;
}

export const log: Command<LogRow> = {
  usage: ['log [REF] [-n COUNT] [--stat] [--path PATH]'],
  about:
    'lists pushes, newest first: the bundle, its commit, who pushed, how much there is and how much was new. Without REF each bundle of every branch once, at its newest push; with a branch every push of it.',
  examples: [
    ['log', 'this clone’s repo'],
    ['log main -n 5', 'the last five pushes of a branch'],
    ['log --path data/readings.csv', 'pushes that changed a file, or a folder'],
    ['log -R https://data.example.org/acme/weather --json', 'for scripts'],
  ],
  options: {
    count: { type: 'string', short: 'n', value: 'COUNT', summary: 'at most so many' },
    stat: { type: 'boolean', summary: 'how many files each push added, removed and changed' },
    path: {
      type: 'string',
      value: 'PATH',
      summary: 'only pushes that changed this file or folder',
    },
  },
  operands: { names: ['REF'], min: 0, max: 1 },
  settlesPushes: true,
  run: runLog,
  view: {
    columns: [
      {
        name: 'bundle',
        cell: (row) => shortId(row.bundle),
        mark: (text, _, style) => style.yellow(text),
      },
      { name: 'commit', cell: (row) => (row.commit === null ? '–' : shortId(row.commit)) },
      { name: 'branch', cell: (row) => row.branch, mark: (text, _, style) => style.green(text) },
      { name: 'pushed', cell: (row) => formatTime(row.pushedAt) },
      { name: 'by', cell: (row) => formatPerson(row.pushedBy) },
      { name: 'files', cell: (row) => String(row.files), align: 'right' },
      { name: 'size', cell: (row) => formatBytes(row.bytes), align: 'right' },
      { name: 'new', cell: (row) => formatBytes(row.newBytes), align: 'right' },
      { name: 'reused', cell: (row) => `${row.reusedPercent} %`, align: 'right' },
      { name: 'changes', cell: (row) => [statWords(row), remarks(row)].filter(Boolean).join('  ') },
    ],
    id: (row) => row.bundle,
  },
};

const statWords = (row: LogRow): string =>
  row.added === undefined ? '' : `+${row.added} -${row.removed ?? 0} ~${row.changed ?? 0}`;

function remarks(row: LogRow): string {
  const words = [
    row.forced ? 'forced' : '',
    row.missing > 0 ? `incomplete: ${row.missing} missing` : '',
    row.lockViolations.length > 0 ? `against the lock of ${row.lockViolations.join(', ')}` : '',
  ];
  return words.filter((word) => word !== '').join(' · ');
}

async function runLog(context: Context, options: Options): Promise<Outcome<LogRow>> {
  const limit = positiveNumber(options, 'count', 'log') ?? Number.POSITIVE_INFINITY;
  const pathText = options.text('path');
  const path = pathText === undefined ? null : rawPathFromText(pathText.replace(/\/+$/, ''));
  const repository = await context.repository();
  // So that an unknown repo is an error, not an empty list.
  await repository.history.info();
  const [ref] = options.operands;
  const events = await eventsOf(repository.history, ref);
  return rowsOf(rows(repository, events, { limit, path, stat: options.flag('stat') }));
}

async function eventsOf(
  history: History,
  ref: string | undefined,
): Promise<AsyncIterable<Numbered<BranchEvent>>> {
  if (ref === undefined) return newestOfEach(allBranches(history));
  for await (const found of history.branchLog(ref)) {
    void found;
    return history.branchLog(ref);
  }
  throw new DatamonError('NOT_FOUND', `no branch ${JSON.stringify(ref)} was ever pushed`, {
    hint: 'See all pushes: datamon log; one bundle: datamon show REF',
  });
}

/** Events of all branches, newest first: each branch's log is newest first already, so the heads are merged. */
export async function* allBranches(history: History): AsyncGenerator<Numbered<BranchEvent>> {
  interface Lane {
    head: Numbered<BranchEvent>;
    rest: AsyncIterator<Numbered<BranchEvent>> | null;
  }
  const lanes: Lane[] = [];
  for await (const head of history.branches()) lanes.push({ head, rest: null });
  while (lanes.length > 0) {
    const lane = lanes.reduce((newest, other) =>
      isNewer(other.head, newest.head) ? other : newest,
    );
    yield lane.head;
    const { branch } = lane.head.event;
    lane.rest ??= history.branchLog(branch, lane.head.n)[Symbol.asyncIterator]();
    const next = await lane.rest.next();
    if (next.done === true) lanes.splice(lanes.indexOf(lane), 1);
    else lane.head = next.value;
  }
}

const isNewer = (a: Numbered<BranchEvent>, b: Numbered<BranchEvent>): boolean =>
  Date.parse(a.event.pushedAt) > Date.parse(b.event.pushedAt);

/** One event for each bundle: where several branches have it, the newest. */
async function* newestOfEach(
  events: AsyncIterable<Numbered<BranchEvent>>,
): AsyncGenerator<Numbered<BranchEvent>> {
  const seen = new Set<string>();
  for await (const each of events) {
    const { bundle } = each.event;
    if (bundle === null || seen.has(bundle)) continue;
    seen.add(bundle);
    yield each;
  }
}

interface RowOptions {
  readonly limit: number;
  readonly path: RawPath | null;
  readonly stat: boolean;
}

async function* rows(
  repository: Repository,
  events: AsyncIterable<Numbered<BranchEvent>>,
  { limit, path, stat }: RowOptions,
): AsyncGenerator<LogRow> {
  let left = limit;
  for await (const numbered of events) {
    if (left <= 0) return;
    const row = bundleRow(await asOfNow(repository.blobs, numbered.event));
    if (row === null) continue;
    if (path !== null && !(await touches(repository, numbered, path))) continue;
    left -= 1;
    yield stat ? { ...row, ...(await statOf(repository, numbered)) } : row;
  }
}

/** Trees before and after an event of a branch. */
async function treesAround(
  { history }: Repository,
  { n, event }: Numbered<BranchEvent>,
): Promise<readonly [before: TreeRoot, after: TreeRoot]> {
  const after = event.bundle === null ? null : (await history.getBundle(event.bundle)).tree;
  for await (const previous of history.branchLog(event.branch, n)) {
    const { bundle } = previous.event;
    return [bundle === null ? null : (await history.getBundle(bundle)).tree, after];
  }
  return [null, after];
}

type TreeRoot = Parameters<typeof diffTrees>[1];

async function touches(
  repository: Repository,
  event: Numbered<BranchEvent>,
  path: RawPath,
): Promise<boolean> {
  const [before, after] = await treesAround(repository, event);
  for await (const change of diffTrees(repository.pages, before, after)) {
    if (change.path === path || change.path.startsWith(`${path}/`)) return true;
  }
  return false;
}

async function statOf(
  repository: Repository,
  event: Numbered<BranchEvent>,
): Promise<{ added: number; removed: number; changed: number }> {
  const [before, after] = await treesAround(repository, event);
  const counts = { added: 0, removed: 0, changed: 0 };
  for await (const { change } of diffTrees(repository.pages, before, after)) counts[change] += 1;
  return counts;
}
