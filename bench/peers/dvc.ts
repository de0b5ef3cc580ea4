/** DVC (Python) with a local remote: add and push, as its users do. It keeps whole files. */
import { join } from 'node:path';
import type { Archiver } from '../archiver.ts';
import { probeTool } from '../lfs-program.ts';
import type { Command } from '../model.ts';

const NAME = 'dvc';

export const dvc: Archiver = {
  name: NAME,
  ours: false,
  probe: (rig) =>
    probeTool(rig, NAME, { program: join(rig.toolsDir, NAME, 'bin', NAME), args: ['--version'] }),
  async open(rig) {
    const storeDir = await rig.newFolder('store-dvc');
    const work = await rig.newFolder('work-dvc');
    const command = (cwd: string, program: string, ...args: string[]): Command => ({
      program,
      args,
      cwd,
      env: { ...rig.env('plain'), DVC_NO_ANALYTICS: '1' },
    });
    const run = (...args: string[]): Command =>
      command(work, join(rig.toolsDir, NAME, 'bin', NAME), ...args);
    await rig.run(run('init', '--no-scm', '-q'));
    await rig.run(run('config', 'core.check_update', 'false'));
    await rig.run(run('remote', 'add', '-d', 'store', storeDir));
    return {
      storeDir,
      // DVC wants its data inside its project: the link costs nothing, and `add` reads through it.
      save: (folder, version) => [
        command(work, 'cp', '-al', folder, join(work, `v${version}`)),
        run('add', '-q', `v${version}`),
        run('push', '-q'),
      ],
      restore: (version, dir) => [
        command(work, 'rm', '-rf', join(work, `v${version}`), join(work, '.dvc', 'cache')),
        run('pull', '-q', `v${version}.dvc`),
        command(work, 'cp', '-a', `${join(work, `v${version}`)}/.`, dir),
      ],
    };
  },
};
