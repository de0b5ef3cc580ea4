/**
 * The room a benchmark happens in: a folder of its own, two homes (with datamon installed, and with git-lfs alone) and every process
 * it starts. Promise: when it is closed, or the run is stopped, no process of it is left and its folder is gone.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { delimiter, dirname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { DatamonError } from '../core/errors.ts';
import type { Command, Ran } from './model.ts';

const PROJECT = resolve(import.meta.dirname, '..');
/** What is kept of a program's output, from its end. */
const OUTPUT_KEPT_MAX_BYTES = 256 * 1024;
const START_TIMEOUT_MS = 60_000;
const ASK_AGAIN_AFTER_MS = 50;

export type Home = 'datamon' | 'plain';

export interface RigOptions {
  /** Where the rig's folder is made. */
  readonly parent: string;
  readonly nodePath: string;
  /** PATH of the caller. */
  readonly path: string;
  /** `built` is what users get; `sources` is for tests, which need no build. */
  readonly programs: 'built' | 'sources';
  /** Where `bench/peers/install.sh` put peers. */
  readonly toolsDir: string;
  /** Gets a V8 profile of every datamon process. */
  readonly profileDir?: string;
  readonly signal: AbortSignal;
}

export interface RunOptions {
  /** Told the process's id as soon as it has one. */
  readonly onStart?: (pid: number) => void;
  readonly input?: AsyncIterable<Uint8Array | string>;
}

/** How a server shows that it serves: by the first line it writes to stdout, or by being asked. */
export type Readiness = 'first line' | { readonly isUp: () => Promise<boolean> };

export interface RunningServer {
  readonly pid: number;
  /** Empty where it was asked instead. */
  readonly firstLine: string;
  stop(): Promise<void>;
}

export class Rig {
  readonly root: string;
  readonly toolsDir: string;
  readonly nodePath: string;
  readonly #options: RigOptions;
  readonly #children = new Set<ChildProcess>();
  #folderCount = 0;

  private constructor(root: string, options: RigOptions) {
    this.root = root;
    this.toolsDir = options.toolsDir;
    this.nodePath = options.nodePath;
    this.#options = options;
    options.signal.addEventListener('abort', () => this.#killAll(), { once: true });
  }

  static async open(options: RigOptions): Promise<Rig> {
    await mkdir(options.parent, { recursive: true });
    const rig = new Rig(await mkdtemp(join(options.parent, 'datamon-bench-')), options);
    try {
      await rig.#furnish();
    } catch (error) {
      await rig.close();
      throw error;
    }
    return rig;
  }

  get bin(): string {
    return join(this.root, 'bin');
  }

  /** The environment of a user with that home; nothing of the caller's but PATH. */
  env(home: Home): Readonly<Record<string, string>> {
    const dir = join(this.root, home);
    const { nodePath, path, profileDir } = this.#options;
    const profile = `--cpu-prof --cpu-prof-dir=${profileDir}`;
    const bins = [...(home === 'datamon' ? [this.bin] : []), dirname(nodePath), path];
    return {
      PATH: bins.join(delimiter),
      HOME: dir,
      XDG_CONFIG_HOME: join(dir, '.config'),
      XDG_CACHE_HOME: join(dir, '.cache'),
      XDG_STATE_HOME: join(dir, '.state'),
      XDG_DATA_HOME: join(dir, '.local', 'share'),
      GIT_CONFIG_GLOBAL: join(dir, '.gitconfig'),
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_TERMINAL_PROMPT: '0',
      TMPDIR: join(this.root, 'tmp'),
      LC_ALL: 'C',
      ...(home === 'datamon' && profileDir !== undefined && { NODE_OPTIONS: profile }),
    };
  }

  /** A name below the rig's folder that nothing has yet. */
  newPath(name: string): string {
    this.#folderCount += 1;
    return join(this.root, `${name}-${this.#folderCount}`);
  }

  async newFolder(name: string): Promise<string> {
    const path = this.newPath(name);
    await mkdir(path, { recursive: true });
    return path;
  }

  datamon(args: readonly string[], cwd = this.root): Command {
    return { program: join(this.bin, 'datamon'), args, cwd, env: this.env('datamon') };
  }

  git(home: Home, cwd: string, ...args: string[]): Command {
    return { program: 'git', args, cwd, env: this.env(home) };
  }

  /** Runs a program to its end: UNAVAILABLE with the end of what it said unless it ends well. */
  async run(command: Command, options: RunOptions = {}): Promise<Ran> {
    const began = performance.now();
    const child = this.#spawn(command, options.input === undefined ? 'ignore' : 'pipe');
    const stdout = kept(child.stdout);
    const stderr = kept(child.stderr);
    const ended = new Promise<number | string>((done, failed) => {
      child.once('error', failed);
      child.once('close', (status, signal) => done(status ?? signal ?? 'nothing'));
    });
    if (child.pid !== undefined) options.onStart?.(child.pid);
    if (options.input !== undefined) await feed(child, options.input);
    const status = await ended.catch((cause: unknown) => {
      throw new DatamonError('UNAVAILABLE', `${command.program} could not be started`, { cause });
    });
    const seconds = (performance.now() - began) / 1000;
    this.#options.signal.throwIfAborted();
    if (status !== 0 && !command.alsoFine?.some((fine) => fine === status)) {
      throw new DatamonError(
        'UNAVAILABLE',
        `${command.program} ${command.args.join(' ')} ended with ${status}: ${(stderr() || stdout()).trim().slice(-600)}`,
      );
    }
    return { seconds, stdout: stdout(), stderr: stderr() };
  }

  /** Seconds that commands take one after the other. */
  async timed(commands: readonly Command[]): Promise<number> {
    let seconds = 0;
    for (const command of commands) seconds += (await this.run(command)).seconds;
    return seconds;
  }

  /** Starts a program that stays, and waits until it says that it is ready, or is seen to be. */
  async startServer(command: Command, readiness: Readiness): Promise<RunningServer> {
    const child = this.#spawn(command, 'ignore');
    const said: string[] = [];
    try {
      const firstLine = await Promise.race([
        ready(child, said, readiness),
        failure(child, command.program),
      ]);
      return { pid: child.pid as number, firstLine, stop: () => stopped(child) };
    } catch (cause) {
      await stopped(child);
      const end = said.join('\n').trim().slice(-600);
      throw new DatamonError('UNAVAILABLE', `${(cause as Error).message}: ${end}`, { cause });
    }
  }

  /** A child with pipes of its own, for conversations. */
  startChild(command: Command): ChildProcess {
    return this.#spawn(command, 'pipe');
  }

  /** Throws where the run was stopped by its caller. */
  throwIfStopped(): void {
    this.#options.signal.throwIfAborted();
  }

  /** Puts all that was written so far on the disk, so that no program pays for another's bytes. */
  async settle(): Promise<void> {
    await this.run({ program: 'sync', args: [], cwd: this.root, env: this.env('plain') });
  }

  async close(): Promise<void> {
    await Promise.all([...this.#children].map(stopped));
    await rm(this.root, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }

  #spawn({ program, args, cwd, env }: Command, stdin: 'ignore' | 'pipe'): ChildProcess {
    this.#options.signal.throwIfAborted();
    const child = spawn(program, [...args], { cwd, env, stdio: [stdin, 'pipe', 'pipe'] });
    this.#children.add(child);
    child.once('close', () => this.#children.delete(child));
    child.once('error', () => this.#children.delete(child));
    return child;
  }

  #killAll(): void {
    for (const child of this.#children) child.kill('SIGKILL');
  }

  async #furnish(): Promise<void> {
    await mkdir(join(this.root, 'tmp'));
    await mkdir(this.bin);
    for (const home of ['datamon', 'plain'] as const) {
      await mkdir(join(this.root, home));
      await writeFile(join(this.root, home, '.gitconfig'), GIT_CONFIG);
    }
    const built = this.#options.programs === 'built';
    for (const [name, main] of [
      ['datamon', built ? 'dist/cli/main.js' : 'cli/main.ts'],
      ['git-lfs-datamon', built ? 'dist/agent/main.js' : 'agent/main.ts'],
    ] as const) {
      const file = join(this.bin, name);
      await writeFile(file, this.#launcher(join(PROJECT, main)));
      await chmod(file, 0o755);
    }
    await this.run(this.datamon(['install']));
  }

  /** The same words as install.sh writes. */
  #launcher(main: string): string {
    const { nodePath } = this.#options;
    return `#!/bin/sh\nDATAMON_LAUNCHER='${this.bin}'\nexport DATAMON_LAUNCHER\nexec '${nodePath}' --disable-warning=ExperimentalWarning '${main}' "$@"\n`;
  }
}

const GIT_CONFIG = `[init]
	defaultBranch = main
[user]
	name = Ada
	email = ada@example.org
[protocol "file"]
	allow = always
[gc]
	auto = 0
[advice]
	detachedHead = false
[filter "lfs"]
	clean = git-lfs clean -- %f
	smudge = git-lfs smudge -- %f
	process = git-lfs filter-process
	required = true
`;

/** Resolves when the server serves; its streams are read to their end, so that it never waits for a reader. */
async function ready(child: ChildProcess, said: string[], readiness: Readiness): Promise<string> {
  const firstLine = new Promise<string>((done) => {
    for (const stream of [child.stdout, child.stderr]) {
      if (stream === null) continue;
      createInterface({ input: stream }).on('line', (line) => {
        if (said.length < 100) said.push(line);
        if (stream === child.stdout) done(line);
      });
    }
  });
  if (readiness === 'first line') return firstLine;
  while (!(await readiness.isUp())) {
    if (child.exitCode !== null) return firstLine;
    await sleep(ASK_AGAIN_AFTER_MS);
  }
  return '';
}

/** Never resolves: rejects when the server ends, cannot be started, or takes too long. */
function failure(child: ChildProcess, program: string): Promise<never> {
  return new Promise((_, failed) => {
    const refuse = (why: string): void => failed(new Error(`${program} ${why}`));
    setTimeout(() => refuse('did not get ready'), START_TIMEOUT_MS).unref();
    child.once('error', ({ message }) => refuse(message));
    child.once('exit', (status, signal) => refuse(`ended with ${status ?? signal}`));
  });
}

/** Collects a stream's end. */
function kept(stream: NodeJS.ReadableStream | null): () => string {
  let parts: Buffer[] = [];
  let sizeBytes = 0;
  stream?.on('data', (bytes: Buffer) => {
    parts.push(bytes);
    sizeBytes += bytes.length;
    if (sizeBytes > 2 * OUTPUT_KEPT_MAX_BYTES) {
      parts = [Buffer.concat(parts).subarray(-OUTPUT_KEPT_MAX_BYTES)];
      sizeBytes = OUTPUT_KEPT_MAX_BYTES;
    }
  });
  return () => Buffer.concat(parts).toString('utf8');
}

async function feed(child: ChildProcess, input: AsyncIterable<Uint8Array | string>): Promise<void> {
  const { stdin } = child;
  if (stdin === null) return;
  // A program that ends early says why by its status.
  stdin.on('error', () => undefined);
  for await (const part of input) {
    if (stdin.destroyed) return;
    if (!stdin.write(part)) await new Promise((drained) => stdin.once('drain', drained));
  }
  stdin.end();
}

/** Asks a process to end, insists after a while, and waits until it has. */
async function stopped(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((done) => child.once('exit', done));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 5_000);
  await ended;
  clearTimeout(timer);
}
