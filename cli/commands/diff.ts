/** `datamon diff`: files added, removed and changed between two refs, with bytes. */
import { formatBytes, formatCount } from '../../client/format.ts';
import { EXIT } from '../../core/io.ts';
import { diffTrees, type TreeChange } from '../../core/meta/diff.ts';
import type { RawPath } from '../../core/meta/model.ts';
import { rawPathFromText } from '../../core/meta/raw-path.ts';
import { LATEST } from '../../core/meta/ref-text.ts';
import { formatPath, type WirePath } from '../../core/meta/wire.ts';
import { type Options, usageError } from '../args.ts';
import type { Command, Outcome } from '../command.ts';
import type { Context } from '../context.ts';
import type { Style } from '../output.ts';
import { barePath, shownPath } from '../rows.ts';
import { type Snapshot, Snapshots } from '../snapshot.ts';

export interface DiffRow {
  readonly path: WirePath;
  readonly change: 'added' | 'removed' | 'changed';
  readonly bytesBefore: number | null;
  readonly bytesAfter: number | null;
  readonly oidBefore: string | null;
  readonly oidAfter: string | null;
}

const LETTERS = { added: 'A', removed: 'D', changed: 'M' } as const;

export const diff: Command<DiffRow> = {
  usage: ['diff A [B] [--exit-code] [-- PATH…]', 'diff A..B'],
  about:
    'names the files that were added (A), removed (D) or changed (M) from A to B, with their sizes. Without B: HEAD in a clone, else the newest push.',
  examples: [
    ['diff main~1 main', 'two commits'],
    ['diff v1.0 v1.1 -- data/raw', 'two labels, one folder'],
    ['diff 2b6e9aa 5c81f0d --exit-code', 'two bundles; status 1 where they differ'],
  ],
  options: { 'exit-code': { type: 'boolean', summary: 'status 1 where there are differences' } },
  operands: { names: ['A', 'B'], min: 1, max: 2, separate: true },
  run: runDiff,
  view: {
    columns: [
      { name: '', cell: (row) => LETTERS[row.change], mark: marked },
      { name: 'path', cell: (row) => shownPath(row.path) },
      { name: 'size', cell: sizes, mark: (text, _row, style) => style.dim(text) },
    ],
    header: false,
    id: (row) => barePath(row.path),
  },
};

async function runDiff(context: Context, options: Options): Promise<Outcome<DiffRow>> {
  const [a, b] = sides(options.operands);
  const paths = options.rest.map((path) => rawPathFromText(path.replace(/\/+$/, '')));
  const snapshots = await Snapshots.open(context);
  const before = await snapshots.at(a);
  const after = b === null ? await snapshots.byDefault() : await snapshots.at(b);
  const counts = { added: 0, removed: 0, changed: 0 };
  const rows = async function* (): AsyncGenerator<DiffRow> {
    for await (const change of diffTrees(snapshots.pages, before.root, after.root)) {
      if (!isWanted(change.path, paths)) continue;
      counts[change.change] += 1;
      yield diffRow(change);
    }
    context.talk(summary(before, after, counts));
  };
  return {
    rows: rows(),
    status: () => {
      const differ = counts.added + counts.removed + counts.changed > 0;
      return differ && options.flag('exit-code') ? EXIT.failure : EXIT.ok;
    },
  };
}

/** `A B`, `A..B` or `A` alone. */
function sides(operands: readonly string[]): readonly [string, string | null] {
  const [first = '', second] = operands;
  const dots = first.indexOf('..');
  if (dots < 0 || second !== undefined) return [first, second ?? null];
  const before = first.slice(0, dots);
  const after = first.slice(dots).replace(/^\.+/, '');
  if (before === '') throw usageError(`${first} does not say from where`, 'diff');
  return [before, after === '' ? LATEST : after];
}

const isWanted = (path: RawPath, wanted: readonly RawPath[]): boolean =>
  wanted.length === 0 || wanted.some((one) => path === one || path.startsWith(`${one}/`));

const diffRow = ({ path, change, before, after }: TreeChange): DiffRow => ({
  path: formatPath(path),
  change,
  bytesBefore: before?.sizeBytes ?? null,
  bytesAfter: after?.sizeBytes ?? null,
  oidBefore: before?.oid ?? null,
  oidAfter: after?.oid ?? null,
});

function marked(text: string, { change }: DiffRow, style: Style): string {
  return { added: style.green, removed: style.red, changed: style.yellow }[change](text);
}

/** Before and after; where both read the same, what is between them. */
function sizes({ bytesBefore, bytesAfter }: DiffRow): string {
  const [before, after] = [bytesBefore ?? bytesAfter ?? 0, bytesAfter ?? bytesBefore ?? 0];
  if (before === after) return formatBytes(after);
  if (formatBytes(before) !== formatBytes(after)) {
    return `${formatBytes(before)} → ${formatBytes(after)}`;
  }
  return `${formatBytes(after)} (${after > before ? '+' : '-'}${formatBytes(Math.abs(after - before))})`;
}

function summary(
  before: Snapshot,
  after: Snapshot,
  counts: { readonly added: number; readonly removed: number; readonly changed: number },
): string {
  const { added, removed, changed } = counts;
  if (added + removed + changed === 0)
    return `datamon: ${before.ref} and ${after.ref}: no file differs`;
  const count = added + removed + changed;
  return `datamon: ${formatCount(count, 'file')} ${count === 1 ? 'differs' : 'differ'}: ${added} added, ${removed} removed, ${changed} changed`;
}
