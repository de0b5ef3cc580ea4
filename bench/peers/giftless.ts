/** giftless (Python) on a local folder, under gunicorn with as many workers as its manual advises. */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { type LfsProgram, probeTool, startPeerServer } from '../lfs-program.ts';
import type { Rig } from '../rig.ts';

const NAME = 'giftless';
/** Its default is a minute, which a long queue outlasts. */
const ACTION_TTL_SECONDS = 3600;
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
          // Processes, not threads: with those it now and then refused its own tokens.
          ...['--workers', String(2 * availableParallelism() + 1)],
          'giftless.wsgi_entrypoint:app',
        ],
        cwd: storeDir,
        env: {
          ...rig.env('plain'),
          GIFTLESS_CONFIG_STR: JSON.stringify({
            AUTH_PROVIDERS: ['giftless.auth.allow_anon:read_write'],
            PRE_AUTHORIZED_ACTION_PROVIDER: { options: { default_lifetime: ACTION_TTL_SECONDS } },
            TRANSFER_ADAPTERS: {
              basic: { options: { storage_options: { path: join(storeDir, 'objects') } } },
            },
          }),
        },
      }),
    }),
};
