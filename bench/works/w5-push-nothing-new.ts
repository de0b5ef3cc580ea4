/**
 * W5: pushes with nothing new in a tree of very many files: the whole of it to a new remote, where every file must be asked for, and
 * one more commit to the old one.
 */
import { type Bench, oursAndFirst, type Work } from '../bench.ts';
import { type Pushed, withPushed } from '../pushed-hosts.ts';
import { BASIC_PEERS, SERVER } from './names.ts';

const WHOLE = 'all files to a new remote';
const COMMIT = 'one commit without changes';

export const pushNothingNew: Work = {
  id: 'W5',
  title: 'push with nothing new',
  targets: [
    {
      case: WHOLE,
      program: SERVER,
      metric: 'seconds',
      against: BASIC_PEERS,
      bound: { atMost: 0.7 },
    },
  ],
  async run(bench) {
    const template = await bench.templates.tree();
    const programs = oursAndFirst(bench.lfsPrograms, BASIC_PEERS);
    await withPushed(bench, { programs, template }, (pushed) =>
      bench.takeTurns(pushed, (one) => pushAgain(bench, one)),
    );
  },
};

async function pushAgain(bench: Bench, { name, project }: Pushed): Promise<void> {
  await project.renewRemote();
  await project.moveTo(0);
  await bench.rig.settle();
  const whole = await project.push();
  bench.record({ case: WHOLE, program: name, values: { seconds: whole } });
  await project.moveTo(1);
  const commit = await project.push();
  bench.record({ case: COMMIT, program: name, values: { seconds: commit } });
}
