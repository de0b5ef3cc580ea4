/** The demo's stage: one throw-away folder with a home of its own, a server on it, and commands run there. The user's own settings are never read or written. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { DatamonError } from '../../core/errors.ts';
import type { Io } from '../../core/io.ts';

const COMMAND_TIMEOUT_MS = 300_000;
const SERVER_START_TIMEOUT_MS = 20_000;
const SERVER_STOP_TIMEOUT_MS = 5_000;

export interface Stage {
  readonly folder: string;
  readonly log: string;
  /** A home where `datamon install` was run. */
  readonly withDatamon: NodeJS.ProcessEnv;
  /** A home with git-lfs alone. */
  readonly withoutDatamon: NodeJS.ProcessEnv;
  run(command: readonly string[], options: RunOptions): Promise<Output>;
  datamon(args: readonly string[], options?: { readonly cwd?: string }): Promise<Output>;
  startServer(): Promise<string>;
  storeBytes(): Promise<number>;
  /** Stops the server and deletes the folder, or keeps it for a look at its log. */
  strike(what: 'everything' | 'server only'): Promise<void>;
}

export interface RunOptions {
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
}

export interface Output {
  readonly stdout: string;
  readonly stderr: string;
  readonly durationMs: number;
}

interface World {
  readonly folder: string;
  readonly log: string;
  readonly io: Io;
  /** Node and the CLI's own main file. */
  readonly program: readonly string[];
}

export async function setStage(io: Io, program: readonly string[]): Promise<Stage> {
  const folder = await mkdtemp(join(tmpdir(), 'datamon-demo-'));
  const world: World = { folder, log: join(folder, 'demo.log'), io, program };
  for (const home of ['home', 'home-without']) await mkdir(join(folder, home));
  const withDatamon = homeEnv(io, join(folder, 'home'));
  let server: ChildProcess | null = null;
  return {
    folder,
    log: world.log,
    withDatamon,
    withoutDatamon: homeEnv(io, join(folder, 'home-without')),
    run: (command, options) => run(world, command, options),
    datamon: (args, options = {}) =>
      run(world, [...program, ...args], { cwd: options.cwd ?? folder, env: withDatamon }),
    async startServer() {
      const started = await startServer(world, withDatamon);
      server = started.child;
      return started.url;
    },
    storeBytes: () => folderBytes(join(folder, 'store')),
    async strike(what) {
      if (server !== null) await stop(server);
      if (what === 'everything') await rm(folder, { recursive: true, force: true });
    },
  };
}

/** An environment that leads git and datamon to `home` and nowhere else. */
function homeEnv(io: Io, home: string): NodeJS.ProcessEnv {
  const kept = Object.entries(io.env).filter(
    ([name]) => !/^(GIT_|DATAMON_|XDG_|SSH_ASKPASS)/.test(name),
  );
  return {
    ...Object.fromEntries(kept),
    HOME: home,
    XDG_CONFIG_HOME: join(home, '.config'),
    XDG_STATE_HOME: join(home, '.state'),
    XDG_CACHE_HOME: join(home, '.cache'),
    XDG_DATA_HOME: join(home, '.share'),
    GIT_CONFIG_GLOBAL: join(home, '.gitconfig'),
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
    NO_PROXY: '127.0.0.1',
    LC_ALL: 'C.UTF-8',
  };
}

function run(world: World, command: readonly string[], options: RunOptions): Promise<Output> {
  const [file = '', ...args] = command;
  const started = performance.now();
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, {
      cwd: options.cwd,
      env: options.env,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: COMMAND_TIMEOUT_MS,
      signal: world.io.signal,
    });
    const parts = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
    child.stdout.on('data', (bytes: Buffer) => parts.stdout.push(bytes));
    child.stderr.on('data', (bytes: Buffer) => parts.stderr.push(bytes));
    child.on('error', (cause) => reject(failure(world, command, cause.message)));
    child.on('close', (status) => {
      const stdout = Buffer.concat(parts.stdout).toString('utf8');
      const stderr = Buffer.concat(parts.stderr).toString('utf8');
      const log = createWriteStream(world.log, { flags: 'a' });
      log.end(`$ ${command.join(' ')}\n${stdout}${stderr}= ${status}\n`, () => {
        if (status === 0) resolve({ stdout, stderr, durationMs: performance.now() - started });
        else
          reject(
            failure(
              world,
              command,
              stderr.trim().split('\n').slice(-3).join('\n  ') || `status ${status}`,
            ),
          );
      });
    });
  });
}

function failure(world: World, command: readonly string[], why: string): DatamonError {
  if (world.io.signal.aborted) return new DatamonError('CANCELLED', 'the demo was stopped');
  return new DatamonError('UNAVAILABLE', `the demo's step failed: ${command.join(' ')}\n  ${why}`, {
    hint: `The whole log is ${world.log}`,
  });
}

async function startServer(
  world: World,
  env: NodeJS.ProcessEnv,
): Promise<{ child: ChildProcess; url: string }> {
  const [file = '', ...args] = world.program;
  const store = `file://${join(world.folder, 'store')}`;
  const child = spawn(file, [...args, 'serve', '--store', store, '--listen', '127.0.0.1:0'], {
    cwd: world.folder,
    env: { ...env, DATAMON_ANONYMOUS: 'write' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  child.stderr.pipe(createWriteStream(join(world.folder, 'server.log')));
  const url = await new Promise<string>((resolve, reject) => {
    const timer = setTimeout(
      () =>
        reject(
          failure(world, ['datamon serve'], `not ready within ${SERVER_START_TIMEOUT_MS / 1000} s`),
        ),
      SERVER_START_TIMEOUT_MS,
    );
    createInterface(child.stdout).once('line', (line) => {
      clearTimeout(timer);
      resolve(line.trim());
    });
    child.once('exit', (status) => {
      clearTimeout(timer);
      reject(
        failure(
          world,
          ['datamon serve'],
          `ended with status ${status}; see ${join(world.folder, 'server.log')}`,
        ),
      );
    });
  });
  return { child, url };
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  await new Promise<void>((resolve) => {
    const timer = setTimeout(() => child.kill('SIGKILL'), SERVER_STOP_TIMEOUT_MS);
    child.once('exit', () => {
      clearTimeout(timer);
      resolve();
    });
    child.kill('SIGTERM');
  });
}

async function folderBytes(folder: string): Promise<number> {
  let sizeBytes = 0;
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) sizeBytes += (await stat(join(entry.parentPath, entry.name))).size;
  }
  return sizeBytes;
}
