/** A report as tables, in Markdown that also reads well on a terminal. */
import { type Metric, type Report, UNITS, type Verdict, type WorkReport } from './model.ts';
import { isStandIn, summarise } from './statistics.ts';

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;

/** Targets first, then what was measured, then on what and with what. */
export function formatReport(report: Report): string {
  return [
    ...formatTargets(report.works),
    ...report.works.flatMap(formatWork),
    ...formatMachine(report),
    ...formatPrograms(report),
  ].join('\n');
}

function formatTargets(works: readonly WorkReport[]): readonly string[] {
  const rows = works.flatMap(({ id, verdicts }) =>
    verdicts.map((verdict) => [
      id,
      verdict.target.case,
      verdict.target.program,
      againstText(verdict),
      boundText(verdict),
      seenText(verdict),
      outcomeText(verdict),
    ]),
  );
  if (rows.length === 0) return [];
  const head = ['work', 'case', 'program', 'against', 'target', 'seen', 'outcome'];
  const all = rows.flat().join(' ');
  return [
    '### Targets',
    '',
    ...table(head, rows),
    '',
    ...(all.includes('*')
      ? [
          '\\* another peer stands in for the one that the target names and that is not to be had.',
          '',
        ]
      : []),
  ];
}

function formatWork(work: WorkReport): readonly string[] {
  const rows = work.series.map((series) => {
    const { median, min, max, count } = summarise(series.samples);
    const unit = (value: number): string => formatValue(value, series.metric);
    return [
      series.case,
      series.program,
      metricText(series.metric),
      unit(median),
      `${unit(min)} – ${unit(max)}`,
      String(count),
      ratioText(work, series, median),
    ];
  });
  const head = ['case', 'program', 'measured', 'median', 'spread', 'samples', 'to ours'];
  const [before, after] = work.load;
  return [
    `### ${work.id}: ${work.title}`,
    '',
    ...(rows.length === 0 ? ['Nothing was measured.'] : table(head, rows)),
    '',
    `${work.at}, ${work.seconds} s, ${work.rounds} rounds, load ${before} before and ${after} after, ${work.datamon}.`,
    '',
    ...work.notes.map((note) => `- ${note}`),
    ...work.failures.map((failure) => `- **failed:** ${failure.split('\n')[0]}`),
    ...(work.notes.length + work.failures.length > 0 ? [''] : []),
  ];
}

/** A peer's median as a multiple of datamon's first in the same case; `1` marks that one. */
/** Small ones to a third digit: a target of 0.05 is not met by 0.054. */
const formatRatio = (ratio: number): string => ratio.toFixed(ratio < 0.2 ? 3 : 2);

function ratioText(work: WorkReport, series: WorkReport['series'][number], median: number): string {
  const ours = work.series.find(
    (one) =>
      one.case === series.case && one.metric === series.metric && one.program.startsWith('datamon'),
  );
  if (ours === undefined) return '';
  const own = summarise(ours.samples).median;
  return own === 0 ? '' : formatRatio(median / own);
}

function formatMachine({ machine, at, size }: Report): readonly string[] {
  const { cpu, cores, memoryBytes, system, fileSystem } = machine;
  return [
    '### Machine',
    '',
    `${cpu}, ${cores} cores, ${(memoryBytes / GIB).toFixed(1)} GiB of memory, ${system}, ${fileSystem}. Sizes: ${size}. Begun ${at}.`,
    '',
  ];
}

function formatPrograms({ programs }: Report): readonly string[] {
  const rows = programs.map(({ name, presence }) => [
    name,
    presence.kind === 'here' ? presence.version : `not available here: ${presence.why}`,
  ]);
  return ['### Programs', '', ...table(['program', 'version'], rows), ''];
}

function againstText(verdict: Verdict): string {
  const { target, peer } = verdict;
  if (target.against === undefined) return '–';
  if (peer === null) return `${target.against[0]} (not available)`;
  if (target.againstCase !== undefined) return target.againstCase;
  return isStandIn(verdict) ? `${peer}, for ${target.against[0]}` : peer;
}

function boundText({ target }: Verdict): string {
  const { bound } = target;
  const value = 'atMost' in bound ? bound.atMost : bound.atLeast;
  const shown = target.against === undefined ? formatValue(value, target.metric) : String(value);
  return `${'atMost' in bound ? '≤' : '≥'} ${shown}`;
}

function seenText({ target, seen }: Verdict): string {
  if (seen === null) return '–';
  return target.against === undefined ? formatValue(seen, target.metric) : formatRatio(seen);
}

const outcomeText = (verdict: Verdict): string =>
  verdict.outcome + (isStandIn(verdict) ? '\\*' : '');

const METRIC_WORDS: Readonly<Record<Metric, string>> = {
  seconds: 'time',
  storedBytes: 'stored',
  sentBytes: 'sent',
  fetchedBytesPerByteRead: 'fetched for each byte read',
  requests: 'requests',
  requestsPerSecond: 'rate',
  latencyMs: 'latency, half',
  latencyP99Ms: 'latency, 99 %',
  peakMib: 'peak memory',
};

const metricText = (metric: Metric): string => METRIC_WORDS[metric];

export function formatValue(value: number, metric: Metric): string {
  if (UNITS[metric] === 'B') return `${(value / MIB).toFixed(value < 10 * MIB ? 2 : 1)} MiB`;
  const digits = Number.isInteger(value) || value >= 1000 ? 0 : value >= 10 ? 1 : 3;
  return `${value.toFixed(digits)} ${UNITS[metric]}`.trim();
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): readonly string[] {
  const cells = [head, ...rows].map((row) => row.map((cell) => cell.replaceAll('|', '\\|')));
  const widths = head.map((_, column) =>
    Math.max(...cells.map((row) => (row[column] ?? '').length)),
  );
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  const [first = [], ...rest] = cells;
  return [
    line(first),
    `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`,
    ...rest.map(line),
  ];
}
