/** restic (Debian package), repository version 2. It encrypts always. */
import { join } from 'node:path';
import type { Archiver } from '../archiver.ts';
import { probeTool } from '../lfs-program.ts';
import type { Command } from '../model.ts';

const NAME = 'restic';

export const restic: Archiver = {
  name: NAME,
  ours: false,
  probe: (rig) => probeTool(rig, NAME, { program: NAME, args: ['version'] }),
  async open(rig, { compression }) {
    const storeDir = await rig.newFolder('store-restic');
    const env = {
      ...rig.env('plain'),
      RESTIC_REPOSITORY: storeDir,
      RESTIC_PASSWORD: 'for this benchmark only',
      RESTIC_CACHE_DIR: await rig.newFolder('cache-restic'),
      RESTIC_COMPRESSION: compression === 'zstd' ? 'auto' : 'off',
    };
    const command = (cwd: string, ...args: string[]): Command => ({
      program: NAME,
      args: ['--quiet', ...args],
      cwd,
      env,
    });
    await rig.run(command(rig.root, 'init', '--repository-version', '2'));
    return {
      storeDir,
      // --compression: the variable of that name is read by later versions alone.
      save: (folder, version) => [
        command(
          folder,
          ...['--compression', env.RESTIC_COMPRESSION],
          ...['backup', '--tag', `v${version}`, '.'],
        ),
      ],
      restore: (version, dir) => [
        command(dir, 'restore', 'latest', '--tag', `v${version}`, '--target', join(dir)),
      ],
    };
  },
};
