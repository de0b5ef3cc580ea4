/** End-to-end stage: real git, real git-lfs, our programs as users start them, a server on a store, and a proxy that can pull the plug. */
import { type ChildProcess, spawn } from 'node:child_process';
import { chmod, mkdir, readdir, readFile, readlink, writeFile } from 'node:fs/promises';
import { createServer, type Server, Socket } from 'node:net';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Backend } from '../../../core/backend/backend.ts';
import { type GitRepo, GitWorld, type Ran } from '../../support/git-repo.ts';
import { bytesOf } from './store-files.ts';
import { placeStore } from './store-place.ts';

const root = resolve(import.meta.dirname, '../../..');
const SERVER_START_TIMEOUT_MS = 10_000;

/** One line of `datamon log --json`. */
export interface LoggedBundle {
  readonly bundle: string;
  readonly commit: string;
  readonly branch: string;
  readonly files: number;
  readonly bytes: number;
  readonly newBytes: number;
  readonly storedBytes: number;
  readonly pushedAt: string;
  readonly pushedBy: string;
}

export interface Project {
  readonly repo: GitRepo;
  readonly remote: GitRepo;
  /** What `datamon init` was given, or the store address without a server. */
  readonly url: string;
}

export interface StageOptions {
  readonly server: 'running' | 'none';
  /** Everybody may write unless told otherwise. */
  readonly access?: 'anonymous' | 'tokens';
  /** `kept`: the server has the same secret after a restart, as with `tokens`. */
  readonly secret?: 'kept' | 'new each time';
}

export class Stage {
  readonly world: GitWorld;
  readonly storeUrl: string;
  /** The store itself, to look into and to damage. */
  readonly backend: Backend;
  private server: ChildProcess | null = null;
  private port = 0;
  private secretFile: string | null = null;
  private isOpen = true;

  private constructor(world: GitWorld, storeUrl: string, backend: Backend) {
    this.world = world;
    this.storeUrl = storeUrl;
    this.backend = backend;
  }

  /** The store's folder, where it has one. */
  get store(): string {
    return fileURLToPath(this.storeUrl);
  }

  /** A world where `datamon install` was run; with a server unless told otherwise. */
  static async set(options: StageOptions): Promise<Stage> {
    const world = await GitWorld.create();
    const { url, env, open, prepare } = await placeStore(world.root);
    world.addEnv(env);
    const stage = new Stage(world, url, await open());
    stage.isOpen = options.access !== 'tokens';
    if (options.access === 'tokens' || options.secret === 'kept') {
      stage.secretFile = join(world.root, 'secret');
      await writeFile(
        stage.secretFile,
        'a secret of more than thirty-two bytes, for tests only\n',
        { mode: 0o600 },
      );
    }
    const bin = join(world.root, 'bin');
    await mkdir(bin);
    for (const [name, main] of [
      ['datamon', 'cli/main.ts'],
      ['git-lfs-datamon', 'agent/main.ts'],
    ] as const) {
      const launcher = join(bin, name);
      await writeFile(
        launcher,
        `#!/bin/sh\nDATAMON_LAUNCHER='${bin}'\nexport DATAMON_LAUNCHER\nexec '${process.execPath}' --disable-warning=ExperimentalWarning '${join(root, main)}' "$@"\n`,
      );
      await chmod(launcher, 0o755);
    }
    // git-lfs's own setting in the world is for tests without a server.
    await world.run('git', ['config', '--global', '--unset', 'lfs.locksverify']);
    await stage.mustRun('datamon', ['install']);
    await prepare?.((args) => stage.mustRun('datamon', args));
    if (options.server === 'running') await stage.startServer();
    return stage;
  }

  async strike(): Promise<void> {
    await this.killServer('SIGKILL');
    await this.world.remove();
  }

  get origin(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get serverPort(): number {
    return this.port;
  }

  get serverPid(): number {
    if (this.server?.pid === undefined) throw new Error('no server runs');
    return this.server.pid;
  }

  async startServer(
    options: { readonly store?: string; readonly args?: readonly string[] } = {},
  ): Promise<void> {
    const { store = this.storeUrl, args: more = [] } = options;
    const args = ['serve', '--store', store, '--listen', `127.0.0.1:${this.port}`, ...more];
    if (this.secretFile !== null) args.push('--jwt-secret-file', this.secretFile);
    const access = this.isOpen ? { DATAMON_ANONYMOUS: 'write' } : {};
    const child = spawn(join(this.world.root, 'bin', 'datamon'), args, {
      env: { ...this.world.env, ...access },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    // At once, so that one that is never ready is ended with the stage.
    this.server = child;
    const said: string[] = [];
    child.stderr.on('data', (bytes: Buffer) => said.push(bytes.toString('utf8')));
    const line = await new Promise<string>((ready, fail) => {
      const timer = setTimeout(
        () => fail(new Error(`the server was not ready: ${said.join('')}`)),
        SERVER_START_TIMEOUT_MS,
      );
      createInterface(child.stdout).once('line', (text) => {
        clearTimeout(timer);
        ready(text);
      });
      child.once('exit', (status) =>
        fail(new Error(`the server ended with ${status}: ${said.join('')}`)),
      );
    });
    this.port = Number(new URL(line.trim()).port);
  }

  /** A token of this server, minted as an operator does. */
  async token(subject: string, ...grants: readonly string[]): Promise<string> {
    const file = this.secretFile ?? '';
    const args = ['token', 'mint', '--subject', subject, '--secret-file', file, ...grants];
    return (await this.mustRun('datamon', args)).trim();
  }

  async killServer(signal: 'SIGKILL' | 'SIGTERM'): Promise<number | null> {
    const child = this.server;
    this.server = null;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return null;
    const ended = new Promise<number | null>((done) => child.once('exit', done));
    child.kill(signal);
    return ended;
  }

  run(
    program: 'datamon' | 'git',
    args: readonly string[],
    options: {
      readonly cwd?: string;
      readonly input?: string;
      readonly env?: Record<string, string>;
    } = {},
  ): Promise<Ran> {
    const file = program === 'datamon' ? join(this.world.root, 'bin', 'datamon') : program;
    return this.world.run(file, args, options);
  }

  async mustRun(
    program: 'datamon' | 'git',
    args: readonly string[],
    options: { readonly cwd?: string } = {},
  ): Promise<string> {
    const ran = await this.run(program, args, options);
    if (ran.status !== 0)
      throw new Error(`${program} ${args.join(' ')}: ${ran.status}\n${ran.stdout}${ran.stderr}`);
    return ran.stdout;
  }

  /** A clone of an empty bare remote where `datamon init` was run and `*.bin` is tracked; committed, not pushed. */
  async project(
    name: string,
    options: { readonly url?: string; readonly initArgs?: readonly string[] } = {},
  ): Promise<Project> {
    const { repo, remote } = await this.world.withRemote(name);
    const url = options.url ?? `${this.origin}/team/${name}`;
    await this.mustRun('datamon', ['init', url, ...(options.initArgs ?? [])], { cwd: repo.dir });
    await repo.commit('Set up');
    return { repo, remote, url };
  }

  async log(project: Project): Promise<readonly LoggedBundle[]> {
    const output = await this.mustRun('datamon', ['log', '--repo', project.url, '--json']);
    return output
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as LoggedBundle);
  }

  storeBytes(): Promise<number> {
    return bytesOf(this.backend);
  }

  /** A home with git and git-lfs alone, as on a colleague's machine. */
  async plainHome(): Promise<Record<string, string>> {
    const home = join(this.world.root, 'plain-home');
    await mkdir(home, { recursive: true });
    const global = await readFile(join(this.world.root, 'home', '.gitconfig'), 'utf8');
    const plain = global
      .split(/^(?=\[)/m)
      .filter((section) => !/datamon/i.test(section))
      .join('');
    await writeFile(join(home, '.gitconfig'), plain);
    return {
      HOME: home,
      GIT_CONFIG_GLOBAL: join(home, '.gitconfig'),
      XDG_CONFIG_HOME: join(home, '.config'),
      XDG_STATE_HOME: join(home, '.state'),
    };
  }

  /** Processes of this world (by their HOME) whose command line has `word`. */
  async processes(word: string): Promise<readonly number[]> {
    const found: number[] = [];
    for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
      try {
        const command = await readFile(`/proc/${pid}/cmdline`, 'utf8');
        const environment = await readFile(`/proc/${pid}/environ`, 'utf8');
        const isNode = (await readlink(`/proc/${pid}/exe`)).endsWith('/node');
        if (
          isNode &&
          command.includes(word) &&
          environment.includes(`HOME=${join(this.world.root, 'home')}\0`)
        )
          found.push(Number(pid));
      } catch {
        // The process ended while we looked.
      }
    }
    return found;
  }
}

/** A TCP proxy between a client and the server. */
export interface ServerProxy {
  readonly port: number;
  /** Bytes that went up through it so far. */
  upBytes(): number;
  /** Lets so many more bytes up, and then nothing until {@link cut}: who sends them cannot come to an end, however fast. */
  holdAfter(moreBytes: number): void;
  isHolding(): boolean;
  /** Breaks every connection, with what is held, and holds nothing from then on. */
  cut(): void;
  close(): void;
}

/** A proxy that calls `onBytes` once when `afterBytes` have gone up. */
export async function openProxy(options: {
  readonly to: () => number;
  readonly afterBytes: number;
  readonly onBytes: () => void;
}): Promise<ServerProxy> {
  let upBytes = 0;
  let heldFromBytes = Number.POSITIVE_INFINITY;
  let fired = false;
  const sockets = new Set<Socket>();
  const server: Server = createServer((down) => {
    const up = new Socket();
    for (const socket of [down, up]) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        down.destroy();
        up.destroy();
      });
    }
    up.connect(options.to(), '127.0.0.1');
    up.pipe(down);
    down.on('data', (bytes: Buffer) => {
      if (upBytes >= heldFromBytes) {
        down.pause();
        return;
      }
      upBytes += bytes.length;
      if (!fired && upBytes >= options.afterBytes) {
        fired = true;
        options.onBytes();
      }
      if (!up.write(bytes)) {
        down.pause();
        up.once('drain', () => down.resume());
      }
    });
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the proxy has no port');
  const cut = () => {
    heldFromBytes = Number.POSITIVE_INFINITY;
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: address.port,
    upBytes: () => upBytes,
    holdAfter(moreBytes) {
      heldFromBytes = upBytes + moreBytes;
    },
    isHolding: () => upBytes >= heldFromBytes,
    cut,
    close() {
      cut();
      server.close();
    },
  };
}
