/**
 * Collection beside writers: the real writers and the real collector, call by call under seeded schedules; and, for each of these, many
 * schedules of the model of the protocol, which is a hundred times as fast. Mistakes are planted in the model, as its variants.
 */
import { runModel } from '../../core/collect/model-run.ts';
import type { Variant } from '../../core/collect/model-variants.ts';
import { runReal } from '../../core/collect/real-run.ts';
import type { SoakKind, SoakOptions, SoakResult } from '../kind.ts';

const BATCH_SCHEDULES = 20;
const MODEL_SCHEDULES_EACH = 500;

async function run(options: SoakOptions): Promise<SoakResult> {
  const { count, seed, folder, report, planted } = options;
  const variant = (planted ?? 'right') as Variant;
  const sum = { modelSchedules: 0, turns: 0, acknowledged: 0, deleted: 0, refused: 0 };
  let done = 0;
  for (let batch = seed; done < count && !report.enough; batch += 1) {
    const replay = `npm run soak -- --only gc --count ${BATCH_SCHEDULES} --seed ${batch}`;
    const schedules = Math.min(BATCH_SCHEDULES, count - done);
    const real = await runReal({ seed: batch, schedules, spoolDir: folder });
    if (real.lost !== null) {
      report.broken({ what: `schedule ${real.lost.schedule}: ${real.lost.what}`, replay });
    }
    const model = runModel({ seed: batch, schedules: schedules * MODEL_SCHEDULES_EACH, variant });
    if (model.broken !== null) {
      report.broken({
        what: `model, schedule ${model.broken.schedule}: ${model.broken.why}`,
        replay,
      });
    }
    sum.modelSchedules += model.schedules;
    sum.turns += real.turns;
    sum.acknowledged += real.acknowledged;
    sum.deleted += real.deleted;
    sum.refused += real.refused;
    done += schedules;
    report.progress(done);
  }
  return { done, facts: sum };
}

export const gc: SoakKind = {
  name: 'gc',
  unit: 'schedules',
  promise:
    'collection beside writers, in any order of their calls, deletes nothing that was acknowledged and has to be kept',
  defaultCount: 10_000,
  sliceCount: 40,
  plants: ['no look', 'no touch'],
  run,
};
