/** The port of programs that keep git-lfs's data: each can be probed, started on an empty store, and told to clones. */
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { DatamonError } from '../core/errors.ts';
import { type DelayProxy, openDelayProxy } from './delay-proxy.ts';
import type { Command, Presence } from './model.ts';
import type { Home, Rig } from './rig.ts';

export interface LfsProgram {
  readonly name: string;
  readonly ours: boolean;
  /** True where a network lies between client and store, so that a delay means something. */
  readonly hasNetwork: boolean;
  /** True where it is left out of what takes very long: git-lfs asks for every file twice then, one round trip after the other. */
  readonly isBasic?: boolean;
  probe(rig: Rig): Promise<Presence>;
  /** Starts it on an empty store. */
  start(rig: Rig, options: HostOptions): Promise<LfsHost>;
}

export interface HostOptions {
  /** How far away it is; without it nothing is put between. */
  readonly front?: { readonly roundTripMs: number };
}

export interface LfsHost {
  readonly home: Home;
  /** Folder whose size is what is stored. */
  readonly storeDir: string;
  readonly pid: number | null;
  /** What clients talk to instead, where a front was asked for. */
  readonly front: DelayProxy | null;
  /** What git-lfs is told as `lfs.url`. */
  lfsUrl(repo: string): string;
  /** Makes a repo with its commits keep its data here. */
  connect(dir: string, repo: string): Promise<void>;
  close(): Promise<void>;
}

/** A front where one is asked for; the port that clients use is the front's, or the server's own. */
export async function openFront(
  { front }: HostOptions,
  serverPort: () => number,
): Promise<DelayProxy | null> {
  if (front === undefined) return null;
  return openDelayProxy({ targetPort: serverPort, roundTripMs: front.roundTripMs });
}

export interface PeerServer {
  readonly rig: Rig;
  readonly options: HostOptions;
  /** The server's command, once its own port, its clients' port and its store are known. */
  readonly command: (place: {
    readonly port: number;
    readonly clientPort: number;
    readonly storeDir: string;
  }) => Command;
  readonly name: string;
  /** Path of a repo's LFS API below the host. */
  readonly apiPath: (repo: string) => string;
}

/** A server of somebody else's, with git-lfs's basic transfers. */
export async function startPeerServer(peer: PeerServer): Promise<LfsHost> {
  const { rig, options, command, name, apiPath } = peer;
  const port = await freePort();
  const front = await openFront(options, () => port);
  const clientPort = front?.port ?? port;
  const storeDir = await rig.newFolder(`store-${name}`);
  const server = await rig.startServer(command({ port, clientPort, storeDir }), {
    isUp: () => answers(port),
  });
  const lfsUrl = (repo: string): string => `http://127.0.0.1:${clientPort}${apiPath(repo)}`;
  return {
    home: 'plain',
    storeDir,
    pid: server.pid,
    front,
    lfsUrl,
    connect: (dir, repo) => connectPlain(rig, dir, lfsUrl(repo)),
    async close() {
      await server.stop();
      await front?.close();
    },
  };
}

/** What `git lfs install` and a `.lfsconfig` amount to, without the question for locks that not every peer answers. */
export async function connectPlain(rig: Rig, dir: string, url: string): Promise<void> {
  await rig.run(rig.git('plain', dir, 'lfs', 'update', '--force'));
  await rig.run(rig.git('plain', dir, 'config', 'lfs.url', url));
  await rig.run(rig.git('plain', dir, 'config', 'lfs.locksverify', 'false'));
}

/** What a program installed by `bench/peers/install.sh` says of itself, or that it is not there. */
export async function probeTool(
  rig: Rig,
  name: string,
  command: Pick<Command, 'program' | 'args'>,
): Promise<Presence> {
  try {
    const ran = await rig.run({ ...command, cwd: rig.root, env: rig.env('plain') });
    const [version = ''] = (ran.stdout || ran.stderr).trim().split('\n');
    return { kind: 'here', version };
  } catch {
    return { kind: 'absent', why: await whyAbsent(rig, name) };
  }
}

/** install.sh leaves a sentence where it could not install something. */
async function whyAbsent(rig: Rig, name: string): Promise<string> {
  const said = await readFile(join(rig.toolsDir, `${name}.absent`), 'utf8').catch(() => '');
  return said.trim() || 'not installed; bench/peers/install.sh installs what is to be had';
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const address = server.address();
  await new Promise((closed) => server.close(closed));
  if (address === null || typeof address === 'string') {
    throw new DatamonError('UNAVAILABLE', 'no TCP port is free');
  }
  return address.port;
}

/** Any answer will do. A port that is open proves less: some servers listen before they can work, and may never come to it. */
const answers = (port: number): Promise<boolean> =>
  fetch(`http://127.0.0.1:${port}/`).then(
    async (response) => {
      await response.body?.cancel();
      return true;
    },
    () => false,
  );
