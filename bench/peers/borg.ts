/** borg (Debian package borgbackup), without encryption. */
import type { Archiver } from '../archiver.ts';
import { probeTool } from '../lfs-program.ts';
import type { Command } from '../model.ts';

const NAME = 'borg';

export const borg: Archiver = {
  name: NAME,
  ours: false,
  probe: (rig) => probeTool(rig, NAME, { program: NAME, args: ['--version'] }),
  async open(rig, { compression }) {
    const storeDir = await rig.newFolder('store-borg');
    const env = {
      ...rig.env('plain'),
      BORG_BASE_DIR: await rig.newFolder('base-borg'),
      BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: 'yes',
      BORG_RELOCATED_REPO_ACCESS_IS_OK: 'yes',
    };
    const command = (cwd: string, ...args: string[]): Command => ({
      program: NAME,
      args,
      cwd,
      env,
    });
    await rig.run(command(rig.root, 'init', '-e', 'none', storeDir));
    return {
      storeDir,
      save: (folder, version) => [
        command(folder, 'create', '-C', compression, `${storeDir}::v${version}`, '.'),
      ],
      restore: (version, dir) => [command(dir, 'extract', `${storeDir}::v${version}`)],
    };
  },
};
