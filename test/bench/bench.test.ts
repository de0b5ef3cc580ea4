/** Taking turns: a peer that fails stops nothing and is named; datamon's own failure is a failure of the run. */
import { expect } from 'chai';
import { Bench, oursAndFirst, peersFor } from '../../bench/bench.ts';
import type { LfsProgram } from '../../bench/lfs-program.ts';
import type { Rig } from '../../bench/rig.ts';
import { SIZES } from '../../bench/sizes.ts';
import type { Templates } from '../../bench/templates.ts';

function benchOf(rounds: number, rig: Partial<Rig> = {}): Bench {
  return new Bench({
    rig: { throwIfStopped: () => {}, ...rig } as Rig,
    sizes: SIZES.tiny,
    rounds,
    templates: {} as Templates,
    lfsPrograms: [],
    archivers: [],
    say: () => {},
  });
}
const ours = { name: 'ours', ours: true };
const theirs = { name: 'theirs', ours: false };
const program = (name: string, own: boolean, hasNetwork: boolean): LfsProgram =>
  ({ name, ours: own, hasNetwork }) as LfsProgram;

describe('bench: turns', () => {
  it('alternates, every other round the other way round', async () => {
    const seen: string[] = [];
    await benchOf(3).takeTurns([ours, theirs], async ({ name }, round) => {
      seen.push(`${name} ${round}`);
    });
    expect(seen).to.deep.equal(['ours 0', 'theirs 0', 'theirs 1', 'ours 1', 'ours 2', 'theirs 2']);
  });

  it('leaves out a peer that failed, says so, and goes on', async () => {
    const bench = benchOf(3);
    let turns = 0;
    const left = await bench.takeTurns([ours, theirs], async ({ name }) => {
      turns += 1;
      if (name === 'theirs') throw new Error('segmentation fault\nmore of it');
    });
    expect(turns).to.equal(4);
    expect(left).to.deep.equal([ours]);
    expect(bench.failures).to.deep.equal([]);
    expect(bench.notes).to.deep.equal(['theirs failed and is left out: segmentation fault']);
  });

  it('keeps a failure of our own as one', async () => {
    const bench = benchOf(1);
    await bench.takeTurns([ours], () => Promise.reject(new Error('wrong bytes')));
    expect(bench.failures).to.deep.equal(['ours: wrong bytes']);
  });

  it('blames nobody where the run was stopped', async () => {
    const bench = benchOf(1, {
      throwIfStopped: () => {
        throw new Error('stopped');
      },
    });
    const stopped = await bench
      .takeTurns([ours], () => Promise.reject(new Error('killed')))
      .catch((error: Error) => error.message);
    expect(stopped).to.equal('stopped');
    expect(bench.failures).to.deep.equal([]);
  });

  it('gathers samples by case, program and metric', () => {
    const bench = benchOf(1);
    bench.record({ case: 'push', program: 'a', values: { seconds: 1, storedBytes: 5 } });
    bench.record({ case: 'push', program: 'a', values: { seconds: 2 } });
    bench.record({ case: 'push', program: 'b', values: { seconds: 3 } });
    expect(bench.series).to.deep.equal([
      { case: 'push', program: 'a', metric: 'seconds', samples: [1, 2] },
      { case: 'push', program: 'a', metric: 'storedBytes', samples: [5] },
      { case: 'push', program: 'b', metric: 'seconds', samples: [3] },
    ]);
  });

  it('lets everybody take part near by; far away ours and the first peer that is here, over networks', () => {
    const programs = [
      program('datamon', true, true),
      { ...program('basic', true, true), isBasic: true },
      program('straight', true, false),
      program('second', false, true),
      program('third', false, true),
    ];
    const names = (roundTripMs: number) =>
      peersFor(programs, { roundTripMs, peers: ['first', 'second', 'third'] }).map(
        ({ name }) => name,
      );
    expect(names(0)).to.have.length(5);
    expect(names(20)).to.deep.equal(['datamon', 'second']);
    const few = oursAndFirst(programs, ['third', 'second']).map(({ name }) => name);
    expect(few).to.deep.equal(['datamon', 'straight', 'third']);
  });
});
