/** The queue of bytes: exact lengths out of pieces of any, and no more copies than that takes. */
import { expect } from 'chai';
import fc from 'fast-check';
import { createByteQueue } from '../../../core/cas/byte-queue.ts';
import { seededBytes } from '../../support/splitmix64.ts';

type Step = readonly ['take' | 'peek' | 'skip', number];

const stepsOf = (lengthMax: number) =>
  fc.array(
    fc.tuple(
      fc.constantFrom('take' as const, 'peek' as const, 'skip' as const),
      fc.nat({ max: lengthMax }),
    ),
    { maxLength: 40 },
  );

/** Gives slices of these lengths; those that are lent are overwritten once the next is asked for. */
async function* sliced(bytes: Buffer, lengths: readonly number[], buffers: 'lent' | 'given') {
  let at = 0;
  for (const length of lengths) {
    const piece = Buffer.from(bytes.subarray(at, at + length));
    at += length;
    yield piece;
    if (buffers === 'lent') piece.fill(0xaa);
  }
}

async function checkSteps(
  lengths: readonly number[],
  steps: readonly Step[],
  buffers: 'lent' | 'given',
): Promise<void> {
  const bytes = seededBytes(1, Math.max(1, sum(lengths))).subarray(0, sum(lengths));
  const queue = createByteQueue(sliced(bytes, lengths, buffers), buffers);
  let at = 0;
  for (const [what, count] of steps) {
    const expected = bytes.subarray(at, at + count);
    if (what === 'skip') await queue.skip(count);
    else expect((await queue[what](count)).equals(expected), `${what} ${count}`).equal(true);
    if (what !== 'peek') at += expected.length;
    expect(queue.takenBytes).equal(at);
  }
  await queue.close();
}

const sum = (lengths: readonly number[]): number => lengths.reduce((all, one) => all + one, 0);

describe('byte queue', () => {
  for (const buffers of ['lent', 'given'] as const) {
    it(`gives the bytes of pieces that are ${buffers}, in whatever lengths`, async () => {
      const lengths = fc.array(fc.nat({ max: 50 }), { maxLength: 20 });
      await fc.assert(
        fc.asyncProperty(lengths, stepsOf(80), (pieces, steps) =>
          checkSteps(pieces, steps, buffers),
        ),
      );
    });
  }

  it('copies no more of a piece than what lies across its end', async () => {
    const pieces = [1, 2].map((value) => Buffer.allocUnsafeSlow(1000).fill(value));
    const queue = createByteQueue(
      (async function* () {
        yield* pieces;
      })(),
    );
    const taken = [];
    for (const count of [900, 200, 800]) taken.push(await queue.take(count));
    const isView = taken.map(({ buffer }) => pieces.some((piece) => piece.buffer === buffer));
    expect(isView).deep.equal([true, false, true]);
  });
});
