/** giftless (Python) on a local folder, under gunicorn: one worker for each core, as its operators run it. */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { type LfsProgram, probeTool, startPeerServer } from '../lfs-program.ts';
import type { Rig } from '../rig.ts';

const NAME = 'giftless';
const THREAD_COUNT = 4;
const pythonOf = (rig: Rig): string => join(rig.toolsDir, NAME, 'bin', 'python');

export const giftless: LfsProgram = {
  name: NAME,
  ours: false,
  hasNetwork: true,
  probe: (rig) =>
    probeTool(rig, NAME, {
      program: pythonOf(rig),
      args: ['-c', 'from importlib.metadata import version as v; print(v("giftless"))'],
    }),
  start: (rig, options) =>
    startPeerServer({
      rig,
      options,
      name: NAME,
      apiPath: (repo) => `/bench/${repo}.git/info/lfs`,
      command: ({ port, storeDir }) => ({
        program: pythonOf(rig),
        args: [
          ...['-m', 'gunicorn', '--bind', `127.0.0.1:${port}`, '--timeout', '3600'],
          ...['--workers', String(availableParallelism()), '--threads', String(THREAD_COUNT)],
          'giftless.wsgi_entrypoint:app',
        ],
        cwd: storeDir,
        env: {
          ...rig.env('plain'),
          GIFTLESS_CONFIG_STR: JSON.stringify({
            AUTH_PROVIDERS: ['giftless.auth.allow_anon:read_write'],
            TRANSFER_ADAPTERS: {
              basic: { options: { storage_options: { path: join(storeDir, 'objects') } } },
            },
          }),
        },
      }),
    }),
};
