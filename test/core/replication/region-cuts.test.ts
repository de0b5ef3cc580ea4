/** F45: a region cut at any moment, with writers at work, loses nothing that was acknowledged. The soak runs the same, longer. */
import { expect } from 'chai';
import { runRegionCuts } from '../../support/region-cuts.ts';

describe('a region cut at random moments', () => {
  it('loses nothing acknowledged with mode sync, before or after promotion and resync', async () => {
    const { acknowledged, unknown } = await runRegionCuts({ seed: 1, count: 60 });
    expect(acknowledged).to.be.greaterThan(60);
    expect(unknown).to.be.greaterThan(60);
  }).timeout(120_000);
});
