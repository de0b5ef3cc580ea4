/** Object servers of others, started on a free port for as long as tests need them: brought by .ci/test-servers, never fetched here. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

const BIN = resolve(import.meta.dirname, '../../.tools/bin');
const START_TIMEOUT_MS = 30_000;
const POLL_MS = 50;

export interface BucketServer {
  /** `http://127.0.0.1:port`. */
  readonly endpoint: string;
  /** What a program must have in its environment to find it. */
  readonly env: Readonly<Record<string, string>>;
  /** Makes a bucket; its name. */
  bucket(): Promise<string>;
  /** Puts an object as another program would, under any name. */
  putForeign(bucket: string, name: string): Promise<void>;
  stop(): Promise<void>;
}

export interface ServerProgram {
  readonly name: string;
  readonly args: (port: number, folder: string) => readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export interface Started {
  readonly endpoint: string;
  stop(): Promise<void>;
}

export const hasProgram = (name: string): boolean => existsSync(join(BIN, name));

/** Starts a program of `.tools/bin` and waits until it answers. */
export async function startProgram(program: ServerProgram): Promise<Started> {
  const file = join(BIN, program.name);
  if (!hasProgram(program.name)) {
    throw new Error(`${file} is missing: run sh .ci/test-servers (install.sh --test does)`);
  }
  const folder = await mkdtemp(join(tmpdir(), 'datamon-server-'));
  await mkdir(join(folder, 'data'));
  const port = await freePort();
  const said: string[] = [];
  const child = spawn(file, program.args(port, join(folder, 'data')), {
    cwd: folder,
    env: { PATH: '/usr/bin:/bin', HOME: folder, ...program.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (bytes: Buffer) => {
      said.push(bytes.toString('utf8'));
      said.splice(0, said.length - 50);
    });
  }
  const endpoint = `http://127.0.0.1:${port}`;
  const stop = async (): Promise<void> => {
    await stopChild(child);
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await untilAnswering(endpoint, child, said);
  } catch (error) {
    await stop();
    throw error;
  }
  return { endpoint, stop };
}

async function untilAnswering(
  endpoint: string,
  child: ChildProcess,
  said: readonly string[],
): Promise<void> {
  for (let waitedMs = 0; waitedMs < START_TIMEOUT_MS; waitedMs += POLL_MS) {
    if (child.exitCode !== null) break;
    const answered = await fetch(endpoint).then(
      async (answer) => {
        await answer.body?.cancel();
        return true;
      },
      () => false,
    );
    if (answered) return;
    await wait(POLL_MS);
  }
  throw new Error(`${child.spawnfile} does not answer at ${endpoint}: ${said.join('')}`);
}

async function stopChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((done) => child.once('exit', done));
  child.kill('SIGKILL');
  await ended;
}

function freePort(): Promise<number> {
  return new Promise((found, fail) => {
    const server = createServer();
    server.once('error', fail);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
      server.close(() => found(port));
    });
  });
}

/** Puts variables into this process's environment, where the SDKs look; gives back how to undo it. */
export function setEnvironment(variables: Readonly<Record<string, string>>): () => void {
  const before = Object.keys(variables).map((name) => [name, process.env[name]] as const);
  Object.assign(process.env, variables);
  return () => {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  };
}

/** Hides whatever credentials this machine has, and asks no metadata service for some. */
export const NO_CREDENTIALS: Readonly<Record<string, string>> = {
  AWS_ACCESS_KEY_ID: '',
  AWS_SECRET_ACCESS_KEY: '',
  AWS_EC2_METADATA_DISABLED: 'true',
  AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
  AWS_CONFIG_FILE: '/dev/null',
  AWS_REGION: 'us-east-1',
  GOOGLE_APPLICATION_CREDENTIALS: '/nowhere/credentials.json',
};
