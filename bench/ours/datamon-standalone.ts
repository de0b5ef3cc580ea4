/** datamon without a server: hooks and agent straight on a directory. */
import type { LfsHost, LfsProgram } from '../lfs-program.ts';
import type { Rig } from '../rig.ts';
import { probeDatamon } from './datamon-server.ts';

export const datamonStandalone: LfsProgram = {
  name: 'datamon-standalone',
  ours: true,
  hasNetwork: false,
  probe: probeDatamon,
  start: startStandalone,
};

async function startStandalone(rig: Rig): Promise<LfsHost> {
  const storeDir = await rig.newFolder('store-standalone');
  return {
    home: 'datamon',
    storeDir,
    pid: null,
    front: null,
    lfsUrl: (repo) => `datamon::file://${storeDir}//bench/${repo}`,
    async connect(dir, repo) {
      await rig.run(rig.datamon(['init', `file://${storeDir}//bench/${repo}`], dir));
    },
    close: () => Promise.resolve(),
  };
}
