/**
 * Collection as a model, before any code that deletes: nothing that was acknowledged and has to be kept is lost under any of many
 * schedules, and each known way to get the protocol wrong is noticed, so the model can tell.
 */
import { expect } from 'chai';
import { runModel } from './model-run.ts';
import { WRONG_VARIANTS, type WrongVariant } from './model-variants.ts';

const SEED = 20_260_101;
const SCHEDULES = 10_000;
const SCHEDULES_TO_NOTICE = 60_000;
/** Where the first schedules to go wrong come soon; any other seed finds them too, later. */
const QUICK_SEEDS: Partial<Record<WrongVariant, number>> = {
  'has looks before it lists': 19,
  revive: 17,
  'copies not looked at': 353,
};

describe('the model of collection', function () {
  this.timeout(120_000);

  it(`loses nothing in ${SCHEDULES} schedules (F37 F38 F39 F41 F46)`, () => {
    expect(runModel({ seed: SEED, schedules: SCHEDULES }).broken).to.equal(null);
  });

  it('loses nothing where merging never looks: the collector asks for a sound twin all the same', () => {
    const { broken } = runModel({
      seed: SEED,
      schedules: SCHEDULES,
      variant: 'merge without a look',
    });
    expect(broken).to.equal(null);
  });

  for (const variant of WRONG_VARIANTS) {
    it(`notices: ${variant}`, () => {
      const { broken } = runModel({
        seed: QUICK_SEEDS[variant] ?? 1,
        schedules: SCHEDULES_TO_NOTICE,
        variant,
      });
      expect(broken, variant).not.to.equal(null);
    });
  }
});
