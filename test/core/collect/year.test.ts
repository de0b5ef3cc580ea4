/** Months of pushes, deleted branches and weekly collections: nothing kept is lost, nothing unnamed stays. */
import { expect } from 'chai';
import { makeTempDir } from '../../support/temp-dir.ts';
import { oneYear } from './year-run.ts';

const SEED = 1;
/** A whole year: test/figures/collection.ts. */
const DAYS = 100;

describe('collection over months', function () {
  this.timeout(120_000);

  it(`${DAYS} days with a collection each week lose nothing and leak nothing`, async () => {
    const { lost, leaked, collections, peakBytes, endBytes } = await oneYear({
      seed: SEED,
      spoolDir: await makeTempDir(),
      days: DAYS,
    });
    expect(lost).deep.equal([]);
    expect(leaked).equal(0);
    expect(collections).equal(14);
    expect(endBytes).lessThan(peakBytes * 1.5);
  });
});
