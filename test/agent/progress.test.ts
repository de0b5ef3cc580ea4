/** The progress law, for any order of reports. */
import { expect } from 'chai';
import fc from 'fast-check';
import type { ProgressMessage } from '../../agent/messages.ts';
import { createProgress } from '../../agent/progress.ts';

interface Step {
  readonly doneBytes: number;
  readonly waitMs: number;
  readonly isTaken: boolean;
}

function play(sizeBytes: number, steps: readonly Step[]): (ProgressMessage & { atMs: number })[] {
  const sent: (ProgressMessage & { atMs: number })[] = [];
  let nowMs = 0;
  let isTaken = true;
  const progress = createProgress({
    oid: 'x',
    sizeBytes,
    nowMs: () => nowMs,
    emit: (message) => {
      if (isTaken) sent.push({ ...message, atMs: nowMs });
      return isTaken;
    },
  });
  progress.start();
  for (const step of steps) {
    nowMs += step.waitMs;
    isTaken = step.isTaken;
    progress.report(step.doneBytes);
  }
  const last = progress.finish();
  if (last !== null) sent.push({ ...last, atMs: nowMs });
  return sent;
}

describe('agent/progress', () => {
  it('opens the gate at once with one byte and no increment', () => {
    expect(play(10, [])[0]).to.include({ bytesSoFar: 1, bytesSinceLast: 0, atMs: 0 });
  });

  it('says nothing about an empty object', () => {
    expect(play(0, [{ doneBytes: 0, waitMs: 500, isTaken: true }])).to.deep.equal([]);
  });

  it('holds its law for any reports: never falls, ends at the size, increments add up, at most 10 a second', () => {
    const step = fc.record({
      doneBytes: fc.nat({ max: 2000 }),
      waitMs: fc.nat({ max: 300 }),
      isTaken: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1500 }), fc.array(step), (sizeBytes, steps) => {
        const sent = play(sizeBytes, steps);
        const values = sent.map(({ bytesSoFar }) => bytesSoFar);
        expect(values).to.deep.equal([...values].sort((a, b) => a - b));
        expect(values.at(-1)).to.equal(sizeBytes);
        const sum = sent.reduce((total, { bytesSinceLast }) => total + bytesSinceLast, 0);
        expect(sum).to.equal(sizeBytes);
        expect(sent.every(({ bytesSinceLast }) => bytesSinceLast >= 0)).to.equal(true);
        // The first and the last are not held back, so a window may hold them besides its ten.
        for (const { atMs } of sent) {
          const window = sent.filter((other) => other.atMs >= atMs && other.atMs < atMs + 1000);
          expect(window.length).to.be.at.most(12);
        }
      }),
    );
  });

  it('counts bytes that were sent again only once', () => {
    const step = (doneBytes: number): Step => ({ doneBytes, waitMs: 200, isTaken: true });
    const sent = play(100, [step(40), step(80), step(10), step(50), step(90)]);
    expect(sent.map(({ bytesSoFar }) => bytesSoFar)).to.deep.equal([1, 40, 80, 90, 100]);
  });

  it('keeps the increment of a message that the reader did not take', () => {
    const sent = play(100, [
      { doneBytes: 30, waitMs: 200, isTaken: false },
      { doneBytes: 60, waitMs: 200, isTaken: true },
    ]);
    expect(sent[1]).to.include({ bytesSoFar: 60, bytesSinceLast: 60 });
  });
});
