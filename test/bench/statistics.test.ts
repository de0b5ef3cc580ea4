/** Medians and verdicts: the figures that the performance page stands on. */
import { expect } from 'chai';
import type { Series, Target } from '../../bench/model.ts';
import { isStandIn, judge, quantile, summarise } from '../../bench/statistics.ts';

const seconds = (name: string, program: string, ...samples: number[]): Series => ({
  case: name,
  program,
  metric: 'seconds',
  samples,
});
const TARGET: Target = {
  case: 'push',
  program: 'ours',
  metric: 'seconds',
  against: ['theirs', 'another'],
  bound: { atMost: 0.5 },
};
const verdictOf = (series: readonly Series[], target: Partial<Target> = {}) =>
  judge([{ ...TARGET, ...target }], series)[0];

describe('bench: statistics', () => {
  it('summarises odd and even numbers of samples, in any order', () => {
    expect(summarise([3, 1, 2])).to.deep.equal({ median: 2, min: 1, max: 3, count: 3 });
    expect(summarise([10, 1, 2, 4])).to.deep.equal({ median: 3, min: 1, max: 10, count: 4 });
    expect(() => summarise([])).to.throw('without samples');
  });

  it('sorts numbers as numbers', () => {
    expect(summarise([100, 9, 20]).median).to.equal(20);
    expect(quantile([100, 9, 20, 3], 0.5)).to.equal(20);
    expect(quantile([100, 9, 20, 3], 0.99)).to.equal(100);
  });

  it('divides the medians and compares with the bound', () => {
    const series = [seconds('push', 'ours', 1, 2, 9), seconds('push', 'theirs', 4, 4, 5)];
    expect(verdictOf(series)).to.include({ peer: 'theirs', seen: 0.5, outcome: 'met' });
    expect(verdictOf(series, { bound: { atMost: 0.49 } })).to.include({ outcome: 'missed' });
    expect(verdictOf(series, { bound: { atLeast: 0.5 } })).to.include({ outcome: 'met' });
    expect(verdictOf(series, { bound: { atLeast: 0.51 } })).to.include({ outcome: 'missed' });
  });

  it('takes the first peer that was measured in that very case, and says that it stands in', () => {
    const series = [
      seconds('push', 'ours', 1),
      seconds('clone', 'theirs', 1),
      seconds('push', 'another', 4),
    ];
    const found = judge([TARGET], series);
    expect(found[0]).to.include({ peer: 'another', seen: 0.25 });
    expect(found.map(isStandIn)).to.deep.equal([true]);
    const meant = judge([TARGET], [...series, seconds('push', 'theirs', 2)]);
    expect(meant.map(isStandIn)).to.deep.equal([false]);
  });

  it('compares with another case of its own where the target says so', () => {
    const series = [seconds('large', 'ours', 3), seconds('small', 'ours', 2)];
    const target = { case: 'large', against: ['ours'], againstCase: 'small' };
    expect(verdictOf(series, target)?.seen).to.equal(1.5);
  });

  it('never calls a target met that was not measured', () => {
    for (const series of [[], [seconds('push', 'ours', 1)], [seconds('push', 'theirs', 1)]]) {
      expect(verdictOf(series)).to.include({ seen: null, outcome: 'not measured' });
    }
  });

  it('judges absolute bounds by the median itself', () => {
    const { against: _, ...absolute } = TARGET;
    const found = judge([absolute], [seconds('push', 'ours', 0.4, 0.6, 9)]);
    expect(found[0]).to.include({ peer: null, seen: 0.6, outcome: 'missed' });
  });
});
