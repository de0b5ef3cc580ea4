/** What `gc` prints: one kind of row for each thing it can say. Field names are a promise to scripts. */
import { formatBytes, formatCount, shortId } from '../client/format.ts';
import type { Candidate, Reason } from '../core/collect/choose.ts';
import { allBytes, type CollectPlan, copiedBytes, sharePercent } from '../core/collect/plan.ts';
import { formatTime, harmless } from './rows.ts';

export type GcRow =
  | ({ readonly type: 'container' } & Candidate)
  | {
      readonly type: 'plan';
      readonly plan: string;
      readonly pool: string;
      readonly containers: number;
      readonly bytes: number;
      readonly copiedBytes: number;
      readonly droppedFiles: number;
      readonly droppedBytes: number;
      readonly sharePercent: number;
      readonly poolBytes: number;
    }
  | {
      readonly type: 'condemned';
      readonly plan: string;
      readonly containers: number;
      readonly copiedFiles: number;
      readonly deletableAt: string;
    }
  | {
      readonly type: 'deleted';
      readonly pool: string;
      readonly containers: number;
      readonly bytes: number;
      readonly copiedFiles: number;
      readonly waiting: number;
      readonly nextAt: string | null;
    }
  | {
      readonly type: 'restored';
      readonly plan: string;
      readonly files: number;
      readonly gone: number;
    }
  | {
      readonly type: 'status';
      readonly pool: string;
      readonly packs: number;
      readonly segments: number;
      readonly bytes: number;
      readonly condemned: number;
      readonly condemnedBytes: number;
      readonly nextAt: string | null;
    }
  | {
      readonly type: 'policy';
      readonly repo: string;
      readonly unreferencedDays: number | null;
      readonly historyDays: number | null;
      readonly at: string | null;
    };

const REASON_WORDS: Readonly<Record<Reason, string>> = {
  replaced: 'replaced by a merge',
  unused: 'nothing uses them',
  'mostly dead': 'less than half is used; that is copied',
  unreferenced: 'the policy lets something in them go',
  damaged: 'damaged',
};

export function planRow(plan: CollectPlan): Extract<GcRow, { type: 'plan' }> {
  return {
    type: 'plan',
    plan: plan.id,
    pool: plan.pool,
    containers: plan.candidates.length,
    bytes: allBytes(plan),
    copiedBytes: copiedBytes(plan),
    droppedFiles: plan.dropped.recordCount,
    droppedBytes: plan.dropped.sizeBytes,
    sharePercent: sharePercent(plan),
    poolBytes: plan.poolBytes,
  };
}

/** People get a line for each reason; scripts get each container. */
export function reasonLines(plan: CollectPlan): string[] {
  const reasons = [...new Set(plan.candidates.map(({ why }) => why))];
  return reasons.map((reason) => {
    const group = plan.candidates.filter(({ why }) => why === reason);
    const bytes = group.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    const what = formatCount(group.length, 'container');
    return `${what}, ${formatBytes(bytes)}: ${REASON_WORDS[reason]}`;
  });
}

export function gcLines(row: GcRow): readonly string[] {
  switch (row.type) {
    case 'container':
      return [
        `${row.kind} ${shortId(row.id)}  ${formatBytes(row.sizeBytes)}  ${row.why}${row.repo === null ? '' : `  ${harmless(row.repo)}`}`,
      ];
    case 'plan':
      return planLines(row);
    case 'condemned':
      return [
        `condemned ${formatCount(row.containers, 'container')}; ${formatCount(row.copiedFiles, 'file or page', 'files and pages')} copied out first`,
        `they can be read until they are deleted: from ${formatTime(row.deletableAt)} on`,
      ];
    case 'deleted':
      return deletedLines(row);
    case 'restored':
      return [`published ${formatCount(row.files, 'file or page', 'files and pages')} again`];
    case 'status':
      return statusLines(row);
    case 'policy':
      return [
        `${harmless(row.repo)}: unreferenced files ${kept(row.unreferencedDays)}, history ${kept(row.historyDays)}`,
      ];
  }
}

const kept = (days: number | null): string =>
  days === null ? 'kept for ever' : `kept for ${formatCount(days, 'day')}`;

function planLines(row: Extract<GcRow, { type: 'plan' }>): string[] {
  if (row.containers === 0) return [`pool ${harmless(row.pool)}: nothing to collect`];
  return [
    `pool ${harmless(row.pool)}: ${formatCount(row.containers, 'container')}, ${formatBytes(row.bytes)} of ${formatBytes(row.poolBytes)}`,
    `${formatBytes(row.copiedBytes)} of it is used and copied first; ${formatCount(row.droppedFiles, 'file or page', 'files and pages')} (${formatBytes(row.droppedBytes)}) that nothing names go`,
    `share of the pool: ${row.sharePercent}%`,
  ];
}

function deletedLines(row: Extract<GcRow, { type: 'deleted' }>): string[] {
  const lines = [`deleted ${formatCount(row.containers, 'container')}, ${formatBytes(row.bytes)}`];
  if (row.waiting > 0 && row.nextAt !== null) {
    lines.push(
      `${formatCount(row.waiting, 'container')} condemned and readable; the next may go from ${formatTime(row.nextAt)} on`,
    );
  }
  return lines;
}

function statusLines(row: Extract<GcRow, { type: 'status' }>): string[] {
  const held = `${formatCount(row.packs, 'pack')}, ${formatCount(row.segments, 'segment')}, ${formatBytes(row.bytes)}`;
  const lines = [`pool ${harmless(row.pool)}: ${held}`];
  if (row.condemned > 0 && row.nextAt !== null) {
    lines.push(
      `condemned: ${formatCount(row.condemned, 'container')}, ${formatBytes(row.condemnedBytes)}; may go from ${formatTime(row.nextAt)} on`,
    );
  }
  return lines;
}
