/** datamon behind its server: our hooks and agent (`negotiated`), or a client that has git-lfs alone (`basic`). */

import {
  connectPlain,
  type HostOptions,
  type LfsHost,
  type LfsProgram,
  openFront,
} from '../lfs-program.ts';
import type { Presence } from '../model.ts';
import type { Rig } from '../rig.ts';

export const datamonServer: LfsProgram = {
  name: 'datamon-server',
  ours: true,
  hasNetwork: true,
  probe: probeDatamon,
  start: (rig, options) => startDatamon(rig, options, 'negotiated'),
};

export const datamonBasic: LfsProgram = {
  name: 'datamon-basic',
  ours: true,
  hasNetwork: true,
  isBasic: true,
  probe: probeDatamon,
  start: (rig, options) => startDatamon(rig, options, 'basic'),
};

export async function probeDatamon(rig: Rig): Promise<Presence> {
  const { stdout } = await rig.run(rig.datamon(['--version']));
  return { kind: 'here', version: stdout.trim() };
}

async function startDatamon(
  rig: Rig,
  options: HostOptions,
  way: 'negotiated' | 'basic',
): Promise<LfsHost> {
  const storeDir = await rig.newFolder('store-datamon');
  const args = ['serve', '--store', `file://${storeDir}`, '--listen', '127.0.0.1:0'];
  const server = await rig.startServer(
    rig.datamon([...args, '--anonymous', 'write']),
    'first line',
  );
  const serverPort = Number(new URL(server.firstLine.trim()).port);
  const front = await openFront(options, () => serverPort);
  const lfsUrl = (repo: string): string =>
    `http://127.0.0.1:${front?.port ?? serverPort}/bench/${repo}`;
  return {
    home: way === 'basic' ? 'plain' : 'datamon',
    storeDir,
    pid: server.pid,
    front,
    lfsUrl,
    async connect(dir, repo) {
      if (way === 'basic') return connectPlain(rig, dir, lfsUrl(repo));
      await rig.run(rig.datamon(['init', lfsUrl(repo)], dir));
    },
    async close() {
      await server.stop();
      await front?.close();
    },
  };
}
