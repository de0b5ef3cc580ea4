/** W3: the first push of very many small files, near and far. Far away only datamon and the peer of the targets take part. */
import { type Bench, longRounds, peersFor, type Work } from '../bench.ts';
import { withProject } from '../git-project.ts';
import type { LfsProgram } from '../lfs-program.ts';
import type { Target } from '../model.ts';
import { atDistance, BASIC_PEERS, SERVER } from './names.ts';

const PUSH = 'push';
const BOUNDS: readonly (readonly [roundTripMs: number, atMost: number])[] = [
  [0, 0.3],
  [20, 0.12],
  [80, 0.05],
];

export const pushSmall: Work = {
  id: 'W3',
  title: 'push of many small files',
  targets: BOUNDS.map(
    ([roundTripMs, atMost]): Target => ({
      case: atDistance(PUSH, roundTripMs),
      program: SERVER,
      metric: 'seconds',
      against: BASIC_PEERS,
      bound: { atMost },
    }),
  ),
  async run(bench) {
    for (const roundTripMs of bench.sizes.delaysMs) await pushFrom(bench, roundTripMs);
  },
};

async function pushFrom(bench: Bench, roundTripMs: number): Promise<void> {
  const { rig } = bench;
  const template = await bench.templates.small();
  const programs = peersFor(bench.lfsPrograms, { roundTripMs, peers: BASIC_PEERS });
  const rounds = roundTripMs === 0 ? bench.rounds : longRounds(bench.rounds);
  const turn = async (program: LfsProgram, round: number): Promise<void> => {
    const host = await program.start(rig, roundTripMs === 0 ? {} : { front: { roundTripMs } });
    await withProject({ rig, host, template }, async (project) => {
      await rig.settle();
      const seconds = await project.push();
      const name = atDistance(PUSH, roundTripMs);
      bench.record({ case: name, program: program.name, values: { seconds } });
      if (round === 0 && roundTripMs === 0) await project.clone(0);
    });
  };
  await bench.takeTurns(programs, turn, rounds);
}
