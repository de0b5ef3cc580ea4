/** git-lfs's own `lfs-standalone-file`: objects copied into the bare repo that `file://` names. */
import { join } from 'node:path';
import { connectPlain, type LfsHost, type LfsProgram, probeTool } from '../lfs-program.ts';
import type { Rig } from '../rig.ts';

const NAME = 'lfs-standalone-file';

export const standaloneFile: LfsProgram = {
  name: NAME,
  ours: false,
  hasNetwork: false,
  probe: (rig) => probeTool(rig, NAME, { program: 'git-lfs', args: ['version'] }),
  start: startStandaloneFile,
};

async function startStandaloneFile(rig: Rig): Promise<LfsHost> {
  const dir = await rig.newFolder('store-standalone-file');
  await rig.run(rig.git('plain', dir, 'init', '-q', '--bare'));
  const url = `file://${dir}`;
  return {
    home: 'plain',
    storeDir: join(dir, 'lfs', 'objects'),
    pid: null,
    front: null,
    lfsUrl: () => url,
    connect: (clone) => connectPlain(rig, clone, url),
    close: () => Promise.resolve(),
  };
}
