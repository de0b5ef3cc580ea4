/**
 * A region cut off at any moment, with writers at work: the home of a store in two or three places goes away, or only some can reach it;
 * a replica is promoted, written to, and all are made equal again once the old home is back.
 */
import type { ReplicationMode } from '../../../core/backend/replicated.ts';
import { runRegionCuts } from '../../support/region-cuts.ts';
import { replayLine, type SoakKind, type SoakOptions, type SoakResult } from '../kind.ts';

async function run({ count, seed, report, planted }: SoakOptions): Promise<SoakResult> {
  const mode: ReplicationMode = planted === 'mode async' ? 'async' : 'sync';
  const facts = { acknowledged: 0, unknown: 0 };
  let done = 0;
  for (; done < count && !report.enough; done += 1) {
    try {
      const cut = await runRegionCuts({ seed: seed + done, count: 1, mode });
      facts.acknowledged += cut.acknowledged;
      facts.unknown += cut.unknown;
    } catch (error) {
      report.broken({ what: (error as Error).message, replay: replayLine('regions', seed + done) });
    }
    report.progress(done + 1);
  }
  return { done, facts };
}

export const regions: SoakKind = {
  name: 'regions',
  unit: 'cuts',
  promise:
    'a region cut off at any moment, with writers at work, loses nothing acknowledged with mode sync, and all places are equal again after the way back',
  defaultCount: 10_000,
  sliceCount: 20,
  plants: ['mode async'],
  run,
};
