/** The real server over a memory backend, in this process, on a free port; a relay in front of it that tests can cut. */

import type { AddressInfo } from 'node:net';
import net from 'node:net';
import { parseSecret } from '../../client/tokens.ts';
import type { Backend } from '../../core/backend/backend.ts';
import { createMemoryBackend } from '../../core/backend/memory.ts';
import { secureRandom } from '../../core/random.ts';
import { createApp } from '../../lfs-server/app.ts';
import { type BatchMemory, createBatchMemory } from '../../lfs-server/batch-memory.ts';
import { listen } from '../../lfs-server/listen.ts';
import { createRepos } from '../../lfs-server/repos.ts';
import { DEFAULT_LIMITS, type Settings } from '../../lfs-server/settings.ts';
import { createSpaceWatch } from '../../lfs-server/space-watch.ts';
import { openStoreSource } from '../../lfs-server/store-source.ts';
import { makeTempDir } from './temp-dir.ts';

export interface RealServer {
  readonly origin: string;
  readonly port: number;
  readonly backend: Backend;
  /** To mint tokens that it accepts. */
  readonly signing: Settings['signing'];
  /** What it was asked, as `GET /path`, in order. */
  readonly requests: readonly string[];
  /** The sum of all objects in the store. */
  storedBytes(): Promise<number>;
  /** Same store, new process as it were. */
  restart(): Promise<void>;
}

const running = new Set<() => Promise<void>>();
const stops = new Map<number, () => Promise<void>>();

afterEach('stop servers', async () => {
  for (const stop of running) await stop();
  running.clear();
});

export interface RealServerOptions {
  readonly backend?: Backend;
  readonly anonymous?: Settings['anonymous'];
  readonly secret?: string;
  /** Instead of the server that listens there. */
  readonly port?: number;
  readonly batches?: BatchMemory;
}

export async function startRealServer(options: RealServerOptions = {}): Promise<RealServer> {
  const backend = options.backend ?? createMemoryBackend();
  const secret = parseSecret(Buffer.from(options.secret ?? '9f86d081884c7d659a2feaa0c55ad015a3bf'));
  const settings: Settings = {
    publicUrl: null,
    anonymous: options.anonymous ?? 'write',
    hosts: null,
    signing: { secrets: [secret], issuer: 'datamon' },
    accepting: { secrets: [secret], issuers: ['datamon'], audience: 'datamon' },
    limits: DEFAULT_LIMITS,
  };
  const requests: string[] = [];
  const start = async (port: number): Promise<{ port: number; stop: () => Promise<void> }> => {
    const repos = createRepos(await openStoreSource({ backend, spoolDir: await makeTempDir() }));
    const app = createApp({
      settings,
      repos,
      batches: options.batches ?? createBatchMemory(),
      space: createSpaceWatch(() => performance.now()),
      random: secureRandom,
      log: ({ method, path }) => void requests.push(`${method} ${path}`),
    });
    const listening = await listen(app, { host: '127.0.0.1', port });
    const stop = async (): Promise<void> => {
      running.delete(stop);
      await listening.stop(0);
      await repos.close();
    };
    running.add(stop);
    stops.set(listening.port, stop);
    return { port: listening.port, stop };
  };
  if (options.port !== undefined) await stops.get(options.port)?.();
  let current = await start(options.port ?? 0);
  return {
    port: current.port,
    origin: `http://127.0.0.1:${current.port}`,
    backend,
    signing: settings.signing,
    requests,
    storedBytes: async () => {
      let sum = 0;
      for await (const { sizeBytes } of backend.list('')) sum += sizeBytes;
      return sum;
    },
    restart: async () => {
      running.delete(current.stop);
      await current.stop();
      current = await start(current.port);
    },
  };
}

export interface Relay {
  readonly origin: string;
  /** Connections cut so far. */
  readonly cutCount: number;
}

/** Passes connections on and cuts each after so many bytes, up or down, as `limit` says; null lets it live. */
export async function startRelay(
  origin: string,
  limit: (connection: number) => { readonly up?: number; readonly down?: number } | null,
): Promise<Relay> {
  const target = Number(new URL(origin).port);
  const sockets = new Set<net.Socket>();
  let connections = 0;
  let cuts = 0;
  const server = net.createServer((client) => {
    const upstream = net.connect(target, '127.0.0.1');
    const bounds = limit(connections);
    connections += 1;
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
    }
    pass(client, upstream, bounds?.up);
    pass(upstream, client, bounds?.down);
  });
  function pass(from: net.Socket, to: net.Socket, max = Number.POSITIVE_INFINITY): void {
    let seenBytes = 0;
    from.on('data', (bytes) => {
      seenBytes += bytes.length;
      if (seenBytes <= max) {
        if (!to.write(bytes)) {
          from.pause();
          to.once('drain', () => from.resume());
        }
        return;
      }
      cuts += 1;
      to.write(bytes.subarray(0, Math.max(0, bytes.length - (seenBytes - max))), () => {
        from.destroy();
        to.destroy();
      });
    });
    from.on('close', () => to.destroy());
  }
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  running.add(
    () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  );
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get cutCount() {
      return cuts;
    },
  };
}
