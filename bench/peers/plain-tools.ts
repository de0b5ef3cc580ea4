/** What the machine itself can do: `cp` with everything flushed to the disk, and `sha256sum`, which reads and keeps nothing. */
import { join } from 'node:path';
import type { Archiver } from '../archiver.ts';
import { probeTool } from '../lfs-program.ts';

export const copyAndSync: Archiver = {
  name: 'cp+sync',
  ours: false,
  probe: (rig) => probeTool(rig, 'cp', { program: 'cp', args: ['--version'] }),
  async open(rig) {
    const storeDir = await rig.newFolder('store-cp');
    const env = rig.env('plain');
    const target = (version: number): string => join(storeDir, `v${version}`);
    return {
      storeDir,
      save: (folder, version) => [
        { program: 'cp', args: ['-r', folder, target(version)], cwd: storeDir, env },
        { program: 'sync', args: ['-f', storeDir], cwd: storeDir, env },
      ],
      restore: (version, dir) => [
        { program: 'cp', args: ['-r', `${target(version)}/.`, dir], cwd: dir, env },
      ],
    };
  },
};

export const sha256sum: Archiver = {
  name: 'sha256sum',
  ours: false,
  probe: (rig) => probeTool(rig, 'sha256sum', { program: 'sha256sum', args: ['--version'] }),
  async open(rig) {
    const storeDir = await rig.newFolder('store-none');
    const script = 'find . -type f -print0 | xargs -0 sha256sum';
    return {
      storeDir,
      save: (folder) => [
        { program: 'sh', args: ['-c', script], cwd: folder, env: rig.env('plain') },
      ],
      restore: () => null,
    };
  },
};
