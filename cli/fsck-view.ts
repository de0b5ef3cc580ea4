/** How `fsck` reads: a finding, what repair did, and the sum. */
import { formatBytes, formatCount } from '../client/format.ts';
import type { Finding } from '../core/scrub/finding.ts';
import type { ScrubReceipt } from '../core/scrub/receipt.ts';
import type { RepairAction } from '../core/scrub/remake.ts';
import type { Style } from './output.ts';
import { harmless } from './rows.ts';

export type FsckRow =
  | ({ readonly type: 'finding'; readonly when: 'found' | 'left' } & Finding)
  | ({ readonly type: 'action' } & RepairAction)
  | ({ readonly type: 'summary'; readonly store: string } & ScrubReceipt);

/** Files and refs named in text; `--json` has more. */
const SHOWN_COUNT = 5;
const SHORT_COMMIT_LENGTH = 12;
const ALL = 1_000_000;

export function fsckLines(row: FsckRow, style: Style): string[] {
  if (row.type === 'finding') return findingLines(row, style);
  if (row.type === 'action') return actionLines(row, style);
  return [summaryLine(row)];
}

function findingLines(row: Finding & { readonly when: string }, style: Style): string[] {
  const mark = row.severity === 'note' ? style.dim('–') : style.red('✗');
  const left = row.when === 'left' ? 'still ' : '';
  return [
    `${mark} ${left}${row.state}: ${style.bold(row.key)}`,
    `    ${harmless(withoutKey(row))}`,
    `    ${harmless(row.meaning)}`,
    ...fileLines(row),
    ...bundleLines(row),
    ...(row.hint === null ? [] : [`    → ${style.bold(harmless(row.hint))}`]),
  ];
}

/** The line above names it. */
const withoutKey = ({ message, key }: Finding): string =>
  message.startsWith(key)
    ? message
        .slice(key.length)
        .replace(/^:? /, 'it ')
        .replace(/^it the/, 'the')
    : message;

function fileLines({ files, fileCount }: Finding): string[] {
  const lines = files
    .slice(0, SHOWN_COUNT)
    .map(
      ({ path, sizeBytes, served }) =>
        `      ${served ? 'elsewhere' : 'lost     '} ${harmless(path)} (${formatBytes(sizeBytes)})`,
    );
  const more = fileCount - lines.length;
  return more > 0 ? [...lines, `      and ${formatCount(more, 'more file', 'more files')}`] : lines;
}

function bundleLines({ bundles, bundleCount }: Finding): string[] {
  const shown = bundles.slice(0, SHOWN_COUNT).map(({ bundle, commit, names }) => {
    const of = commit === null ? '' : ` of commit ${commit.slice(0, SHORT_COMMIT_LENGTH)}`;
    const named = names.length === 0 ? '' : ` (${names.slice(0, SHOWN_COUNT).join(', ')})`;
    return `      in bundle ${bundle.slice(0, SHORT_COMMIT_LENGTH)}${of}${harmless(named)}`;
  });
  const more = bundleCount - shown.length;
  return more > 0 ? [...shown, `      and ${formatCount(more, 'more bundle')}`] : shown;
}

function actionLines({ did, message }: RepairAction, style: Style): string[] {
  const mark = did === 'left' ? style.dim('–') : style.green('✓');
  return [`${mark} ${did}: ${harmless(message)}`];
}

function summaryLine(row: ScrubReceipt & { readonly store: string }): string {
  const part =
    row.sharePerMillion === ALL ? 'all of it' : `${row.sharePerMillion / 10_000} % of the packs`;
  const read = `${formatCount(row.objectCount, 'read')}, ${formatBytes(row.readBytes)} (${part})`;
  const damage =
    row.damageCount === 0
      ? 'nothing is damaged'
      : `${formatCount(row.damageCount, 'finding')} of damage`;
  const notes = row.noteCount === 0 ? '' : `, ${formatCount(row.noteCount, 'note')}`;
  return `checked ${row.store}: ${read}; ${damage}${notes}`;
}
