/** W2: the large file again, with something put into its middle: how long, and how many bytes cross the network. */
import type { Bench, Work } from '../bench.ts';
import { withProject } from '../git-project.ts';
import type { LfsProgram } from '../lfs-program.ts';
import type { Template } from '../template.ts';
import { BASIC_PEERS, SERVER } from './names.ts';

const PUSH = 'push of the edited file';
const SENT_MAX_BYTES = 1.5 * 1024 * 1024;

export const pushInsertion: Work = {
  id: 'W2',
  title: 'push again with 1 MiB inserted',
  targets: [
    {
      case: PUSH,
      program: SERVER,
      metric: 'seconds',
      against: BASIC_PEERS,
      bound: { atMost: 0.3 },
    },
    { case: PUSH, program: SERVER, metric: 'sentBytes', bound: { atMost: SENT_MAX_BYTES } },
  ],
  async run(bench) {
    const template = await bench.templates.big();
    await bench.takeTurns(bench.lfsPrograms, async (program, round) => {
      const { seconds } = await pushEdited(bench, program, {
        template,
        front: false,
        check: round === 0,
      });
      bench.record({ case: PUSH, program: program.name, values: { seconds } });
    });
    // Bytes are counted apart: a proxy between would slow whoever sends the most of them.
    const networked = bench.lfsPrograms.filter(({ hasNetwork }) => hasNetwork);
    await bench.takeTurns(
      networked,
      async (program) => {
        const { sentBytes } = await pushEdited(bench, program, {
          template,
          front: true,
          check: false,
        });
        bench.record({ case: PUSH, program: program.name, values: { sentBytes } });
      },
      1,
    );
  },
};

async function pushEdited(
  { rig }: Bench,
  program: LfsProgram,
  how: { readonly template: Template; readonly front: boolean; readonly check: boolean },
): Promise<{ readonly seconds: number; readonly sentBytes: number }> {
  const host = await program.start(rig, how.front ? { front: { roundTripMs: 0 } } : {});
  return withProject({ rig, host, template: how.template }, async (project) => {
    await project.push();
    await project.moveTo(1);
    await rig.settle();
    const before = host.front?.counts().upBytes ?? 0;
    const seconds = await project.push();
    const sentBytes = (host.front?.counts().upBytes ?? 0) - before;
    if (how.check) await project.clone(1);
    return { seconds, sentBytes };
  });
}
