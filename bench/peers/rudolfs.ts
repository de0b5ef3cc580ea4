/** rudolfs (a Rust crate) on a local folder, without encryption. */
import { join } from 'node:path';
import { type LfsProgram, probeTool, startPeerServer } from '../lfs-program.ts';
import type { Rig } from '../rig.ts';

const NAME = 'rudolfs';
const programOf = (rig: Rig): string => join(rig.toolsDir, NAME, 'bin', NAME);

export const rudolfs: LfsProgram = {
  name: NAME,
  ours: false,
  hasNetwork: true,
  probe: (rig) => probeTool(rig, NAME, { program: programOf(rig), args: ['--version'] }),
  start: (rig, options) =>
    startPeerServer({
      rig,
      options,
      name: NAME,
      apiPath: (repo) => `/api/bench/${repo}`,
      command: ({ port, storeDir }) => ({
        program: programOf(rig),
        args: ['--host', `127.0.0.1:${port}`, 'local', '--path', storeDir],
        cwd: storeDir,
        env: rig.env('plain'),
      }),
    }),
};
