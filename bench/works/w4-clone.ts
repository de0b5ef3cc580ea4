/** W4: clones of what W1 and W3 pushed, compared byte by byte; the small files near and far. */
import { type Bench, longRounds, peersFor, type Work } from '../bench.ts';
import type { Target } from '../model.ts';
import { type Pushed, withPushed } from '../pushed-hosts.ts';
import type { Template } from '../template.ts';
import { atDistance, BASIC_PEERS, SERVER } from './names.ts';

const LARGE = 'clone of the large file';
const SMALL = 'clone of the small files';

const target = (name: string, atMost: number): Target => ({
  case: name,
  program: SERVER,
  metric: 'seconds',
  against: BASIC_PEERS,
  bound: { atMost },
});

export const cloneAll: Work = {
  id: 'W4',
  title: 'clone',
  targets: [
    target(LARGE, 0.7),
    target(SMALL, 0.9),
    target(atDistance(SMALL, 20), 0.4),
    target(atDistance(SMALL, 80), 0.15),
  ],
  async run(bench) {
    await cloneFrom(bench, { name: LARGE, template: await bench.templates.big(), roundTripMs: 0 });
    const template = await bench.templates.small();
    for (const roundTripMs of bench.sizes.delaysMs) {
      await cloneFrom(bench, { name: SMALL, template, roundTripMs });
    }
  },
};

async function cloneFrom(
  bench: Bench,
  what: { readonly name: string; readonly template: Template; readonly roundTripMs: number },
): Promise<void> {
  const { name, template, roundTripMs } = what;
  const programs = peersFor(bench.lfsPrograms, { roundTripMs, peers: BASIC_PEERS });
  const rounds = roundTripMs === 0 ? bench.rounds : longRounds(bench.rounds);
  const turn = async ({ project, name: program }: Pushed): Promise<void> => {
    const seconds = await project.clone(0);
    bench.record({ case: atDistance(name, roundTripMs), program, values: { seconds } });
  };
  await withPushed(bench, { programs, template, roundTripMs }, (pushed) =>
    bench.takeTurns(pushed, turn, rounds),
  );
}
