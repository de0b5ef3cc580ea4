/** W1: the first push of one large file of random bytes; and the same file through programs that need no git. */
import { rm } from 'node:fs/promises';
import { checkRestored } from '../archiver.ts';
import type { Bench, Work } from '../bench.ts';
import { storedBytes } from '../files-size.ts';
import { withProject } from '../git-project.ts';
import { linkFiles, type Template } from '../template.ts';
import { BASIC_PEERS, PUT, SERVER, STANDALONE } from './names.ts';

const PUSH = 'push';
const SAVE = 'save without git';

export const pushLarge: Work = {
  id: 'W1',
  title: 'push of one large file',
  targets: [
    {
      case: PUSH,
      program: SERVER,
      metric: 'seconds',
      against: BASIC_PEERS,
      bound: { atMost: 0.5 },
    },
    {
      case: PUSH,
      program: STANDALONE,
      metric: 'seconds',
      against: BASIC_PEERS,
      bound: { atMost: 0.4 },
    },
    { case: SAVE, program: PUT, metric: 'seconds', against: ['restic'], bound: { atMost: 0.35 } },
    { case: SAVE, program: PUT, metric: 'seconds', against: ['borg'], bound: { atMost: 0.7 } },
    { case: SAVE, program: PUT, metric: 'seconds', against: ['cp+sync'], bound: { atMost: 3 } },
  ],
  async run(bench) {
    const template = await bench.templates.big();
    await push(bench, template);
    await save(bench, template);
  },
};

async function push(bench: Bench, template: Template): Promise<void> {
  const { rig } = bench;
  await bench.takeTurns(bench.lfsPrograms, async (program, round) => {
    const host = await program.start(rig, {});
    await withProject({ rig, host, template }, async (project) => {
      await rig.settle();
      const seconds = await project.push();
      const values = { seconds, storedBytes: await storedBytes(rig, host.storeDir) };
      bench.record({ case: PUSH, program: program.name, values });
      if (round === 0) await project.clone(0);
    });
  });
}

async function save(bench: Bench, template: Template): Promise<void> {
  const { rig } = bench;
  const folder = await rig.newFolder('large');
  await linkFiles(template, 0, folder);
  await bench.takeTurns(bench.archivers, async (archiver, round) => {
    const archive = await archiver.open(rig, { compression: 'none' });
    await rig.settle();
    const seconds = await rig.timed(archive.save(folder, 1));
    const values = { seconds, storedBytes: await storedBytes(rig, archive.storeDir) };
    bench.record({ case: SAVE, program: archiver.name, values });
    if (round === 0)
      await checkRestored({ rig, archive, version: 1, files: template.versions[0] ?? [] });
    await rm(archive.storeDir, { recursive: true, force: true });
  });
}
