/**
 * Collection as a model, before any code that deletes: nothing that was acknowledged and has to be kept is lost under any of many
 * schedules, and each known way to get the protocol wrong is noticed, so the model can tell.
 */
import { expect } from 'chai';
import { runModel } from './model-run.ts';
import { WRONG_VARIANTS, type WrongVariant } from './model-variants.ts';

const SEED = 20_260_101;
const SCHEDULES = 10_000;
/** A schedule that goes wrong with each mistake, by seed and number: the first of its seed. Any other seed finds one too, later. */
const KNOWN: Readonly<Record<WrongVariant, readonly [number, number]>> = {
  'no look': [1, 17],
  'look before publish': [1, 51],
  'skipped look by the process clock': [3, 205],
  'has looks before it lists': [19, 693],
  revive: [17, 332],
  "collector's clock": [1, 214],
  'packs before segments': [1, 0],
  'no listing after the grace': [1, 95],
  'no touch': [1, 276],
  'label without a look': [6, 890],
  'trust what replaces': [1, 14],
  'copies not looked at': [353, 198],
  'replica deletes first': [1, 238],
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
      const [seed, first] = KNOWN[variant];
      expect(runModel({ seed, first, schedules: 1 }).broken, 'the right way').to.equal(null);
      expect(runModel({ seed, first, schedules: 1, variant }).broken).not.to.equal(null);
    });
  }
});
