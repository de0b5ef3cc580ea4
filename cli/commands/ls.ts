/** `datamon ls`: the files of a bundle, a folder at a time or all of them. */
import { formatBytes, formatCount, shortId } from '../../client/format.ts';
import type { RawPath } from '../../core/meta/model.ts';
import { parseRefPath } from '../../core/meta/ref-text.ts';
import { entries } from '../../core/meta/tree-reader.ts';
import { formatPath } from '../../core/meta/wire.ts';
import type { Options } from '../args.ts';
import { type Command, type Outcome, rowsOf } from '../command.ts';
import type { Context } from '../context.ts';
import type { Column } from '../output.ts';
import { barePath, type EntryRow, entryRow, shownPath } from '../rows.ts';
import { noSuchPath, type Snapshot, Snapshots } from '../snapshot.ts';

/** Only `-l` shows mode and oid, so they are told apart from the row that `--json` prints. */
const LONG = Symbol('long');
type LsRow = EntryRow & { readonly [LONG]?: true };

const COLUMNS: readonly Column<LsRow>[] = [
  { name: 'mode', cell: (row) => (row[LONG] === true ? modeOf(row) : '') },
  { name: 'size', cell: (row) => formatBytes(row.bytes), align: 'right' },
  { name: 'oid', cell: (row) => (row[LONG] === true ? shortId(row.oid ?? '–') : '') },
  {
    name: 'path',
    cell: (row) => pathWords(row),
    mark: (text, row, style) => (row.kind === 'folder' ? style.bold(text) : text),
  },
];

export const ls: Command<LsRow> = {
  usage: ['ls [REF[:PATH]] [-r] [-l]'],
  about:
    'lists the files of a bundle with their sizes: a folder, or with -r everything below. Without REF: HEAD in a clone, else the newest push.',
  examples: [
    ['ls', 'the root of HEAD'],
    ['ls v1.0:data/raw -l', 'a folder at a label, with mode and oid'],
    ['ls -r main --json', 'every file, for scripts'],
  ],
  options: {
    recursive: { type: 'boolean', short: 'r', summary: 'everything below, not one folder' },
    long: { type: 'boolean', short: 'l', summary: 'mode and oid too' },
  },
  operands: { names: ['REF[:PATH]'], min: 0, max: 1 },
  run: runLs,
  view: { columns: COLUMNS, header: false, id: (row) => barePath(row.path) },
};

async function runLs(context: Context, options: Options): Promise<Outcome<LsRow>> {
  const { ref, path } = parseRefPath(options.operands[0] ?? '');
  const snapshots = await Snapshots.open(context);
  const snapshot = ref === null ? await snapshots.byDefault() : await snapshots.at(ref);
  const found = options.flag('recursive')
    ? everything(snapshots, snapshot, path)
    : await oneFolder(snapshots, snapshot, path);
  return rowsOf(marked(found, options.flag('long')));
}

async function* marked(
  rows: AsyncIterable<EntryRow> | Iterable<EntryRow>,
  long: boolean,
): AsyncGenerator<LsRow> {
  for await (const row of rows) yield long ? { ...row, [LONG]: true } : row;
}

async function* everything(
  snapshots: Snapshots,
  snapshot: Snapshot,
  path: RawPath | '',
): AsyncGenerator<EntryRow> {
  const self = path === '' ? null : await snapshots.find(snapshot, path);
  if (self !== null) {
    yield entryRow(self);
    return;
  }
  const prefix = (path === '' ? '' : `${path}/`) as RawPath | '';
  let count = 0;
  for await (const entry of entries(snapshots.pages, snapshot.root, { prefix })) {
    count += 1;
    yield entryRow(entry);
  }
  if (count === 0 && path !== '') throw noSuchPath(snapshot, path);
}

async function oneFolder(
  snapshots: Snapshots,
  snapshot: Snapshot,
  path: RawPath | '',
): Promise<EntryRow[]> {
  const listing = await snapshots.folder(snapshot, path);
  if (listing !== null) {
    return [
      ...listing.folders.map((folder) => ({
        path: formatPath(folder.path),
        kind: 'folder' as const,
        bytes: folder.sizeBytes,
        oid: null,
        executable: false,
        reference: null,
        files: folder.fileCount,
      })),
      ...listing.files.map(entryRow),
    ];
  }
  const self = path === '' ? null : await snapshots.find(snapshot, path);
  if (self === null) throw noSuchPath(snapshot, path);
  return [entryRow(self)];
}

function modeOf(row: EntryRow): string {
  if (row.kind === 'symlink') return 'link';
  if (row.kind === 'folder' || row.kind === 'directory') return 'dir';
  if (row.kind === 'submodule') return 'sub';
  return row.executable ? 'exec' : 'file';
}

function pathWords(row: EntryRow): string {
  const path = shownPath(row.path);
  if (row.kind === 'folder') return `${path}/  (${formatCount(row.files, 'file')})`;
  return row.reference === null ? path : `${path} -> ${JSON.stringify(row.reference)}`;
}
