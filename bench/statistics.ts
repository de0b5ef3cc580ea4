/** Medians, spread, and whether targets are met. Pure. */
import type { Bound, Series, Target, Verdict } from './model.ts';

export interface Summary {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly count: number;
}

/** Throws for no samples: a series without any is not made. */
export function summarise(samples: readonly number[]): Summary {
  const sorted = samples.toSorted((a, b) => a - b);
  const [min] = sorted;
  const max = sorted.at(-1);
  if (min === undefined || max === undefined) throw new Error('a series without samples');
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? max;
  const median = sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? min) + upper) / 2;
  return { median, min, max, count: sorted.length };
}

/** The value below which a share `q` of the samples lies; the greatest for few of them. */
export function quantile(samples: readonly number[], q: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  const at = Math.min(sorted.length - 1, Math.floor(q * sorted.length));
  const found = sorted[at];
  if (found === undefined) throw new Error('a quantile of no samples');
  return found;
}

/** One verdict for each target, from the series of the same run alone. */
export function judge(targets: readonly Target[], series: readonly Series[]): readonly Verdict[] {
  return targets.map((target) => {
    const own = medianOf(series, target.case, target);
    if (target.against === undefined) return verdict(target, { peer: null, seen: own });
    const peer = target.against.find(
      (program) => medianOf(series, peerCase(target), { ...target, program }) !== null,
    );
    if (peer === undefined || own === null) return verdict(target, { peer: null, seen: null });
    const theirs = medianOf(series, peerCase(target), { ...target, program: peer });
    return verdict(target, { peer, seen: theirs === null ? null : own / theirs });
  });
}

/** True where another peer than the one the target names was measured. */
export function isStandIn({ target, peer }: Verdict): boolean {
  return peer !== null && peer !== target.against?.[0];
}

const peerCase = (target: Target): string => target.againstCase ?? target.case;

function medianOf(
  series: readonly Series[],
  name: string,
  { program, metric }: Pick<Target, 'program' | 'metric'>,
): number | null {
  const found = series.find(
    (one) => one.case === name && one.program === program && one.metric === metric,
  );
  return found === undefined ? null : summarise(found.samples).median;
}

function verdict(target: Target, { peer, seen }: Pick<Verdict, 'peer' | 'seen'>): Verdict {
  if (seen === null) return { target, peer, seen, outcome: 'not measured' };
  return { target, peer, seen, outcome: keeps(target.bound, seen) ? 'met' : 'missed' };
}

const keeps = (bound: Bound, seen: number): boolean =>
  'atMost' in bound ? seen <= bound.atMost : seen >= bound.atLeast;
