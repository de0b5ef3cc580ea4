/** git-lfs's own test server (a Go module), with git-lfs's basic transfers. */
import { join } from 'node:path';
import { type LfsProgram, probeTool, startPeerServer } from '../lfs-program.ts';
import type { Rig } from '../rig.ts';

const NAME = 'lfs-test-server';
const programOf = (rig: Rig): string => join(rig.toolsDir, 'go', 'bin', NAME);

export const lfsTestServer: LfsProgram = {
  name: NAME,
  ours: false,
  hasNetwork: true,
  // It has no way to tell its version; `go version -m` reads it from the binary.
  async probe(rig) {
    const asked = { program: 'go', args: ['version', '-m', programOf(rig)] };
    const presence = await probeTool(rig, NAME, asked);
    return presence.kind === 'here'
      ? { kind: 'here', version: 'as pinned by install.sh' }
      : presence;
  },
  start: (rig, options) =>
    startPeerServer({
      rig,
      options,
      name: NAME,
      apiPath: () => '',
      command: ({ port, clientPort, storeDir }) => ({
        program: programOf(rig),
        args: [],
        cwd: storeDir,
        env: {
          ...rig.env('plain'),
          LFS_LISTEN: `tcp://127.0.0.1:${port}`,
          // What its links begin with.
          LFS_HOST: `127.0.0.1:${clientPort}`,
          LFS_PUBLIC: 'TRUE',
          LFS_CONTENTPATH: join(storeDir, 'content'),
          LFS_METADB: join(storeDir, 'lfs.db'),
        },
      }),
    }),
};
