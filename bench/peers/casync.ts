/** casync (Debian package): an index of each version beside a store of chunks. It always compresses, and never flushes to the disk. */
import { join } from 'node:path';
import type { Archiver } from '../archiver.ts';
import { probeTool } from '../lfs-program.ts';
import type { Command } from '../model.ts';

const NAME = 'casync';

export const casync: Archiver = {
  name: NAME,
  ours: false,
  probe: (rig) => probeTool(rig, NAME, { program: NAME, args: ['--version'] }),
  async open(rig) {
    const storeDir = await rig.newFolder('store-casync');
    const common = [`--store=${join(storeDir, 'default.castr')}`, '--without=all'];
    const index = (version: number): string => join(storeDir, `v${version}.caidx`);
    const command = (...args: string[]): Command => ({
      program: NAME,
      args: [...common, ...args],
      cwd: rig.root,
      env: rig.env('plain'),
    });
    return {
      storeDir,
      save: (folder, version) => [command('make', index(version), folder)],
      restore: (version, dir) => [command('extract', index(version), dir)],
    };
  },
};
