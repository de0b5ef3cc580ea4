/** `datamon put` and `get`, straight on a directory. Compression is the pool's and decides for itself. */
import type { Archiver } from '../archiver.ts';
import { probeDatamon } from './datamon-server.ts';

export const datamonPut: Archiver = {
  name: 'datamon-put',
  ours: true,
  probe: probeDatamon,
  async open(rig) {
    const storeDir = await rig.newFolder('store-put');
    const repo = `file://${storeDir}//bench/put`;
    return {
      storeDir,
      save: (folder, version) => [
        rig.datamon(['put', folder, repo, '--label', `v${version}`, '--no-progress', '-q']),
      ],
      restore: (version, dir) => [rig.datamon(['get', `v${version}`, dir, '--repo', repo, '-q'])],
    };
  },
};
