/**
 * Runs git: argv arrays only, no shell, git by absolute path. Answers that are text come through simple-git; bytes,
 * streams, standard input and exit statuses through plain processes, since simple-git offers none of them.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import type { ByteStream } from '../core/bytes.ts';
import { DatamonError } from '../core/errors.ts';
import { type Environment, findGit, safePath } from './binary.ts';

export const GIT_TIMEOUT_MS = 60_000;
/** Answers kept in memory are no longer than this; longer ones are streamed. */
const ANSWER_SIZE_MAX_BYTES = 256 * 1024 * 1024;
const STDERR_SIZE_MAX_BYTES = 16 * 1024;

export interface GitAnswer {
  readonly status: number;
  readonly stdout: Buffer;
  readonly stderr: string;
}

export interface ConfigEntry {
  /** Section and key in lower case, as git prints it. */
  readonly key: string;
  /** Null where the key stands without a value, which git takes for true. */
  readonly value: string | null;
}

export interface GitRunOptions {
  readonly input?: Uint8Array | string;
  readonly env?: Environment;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export interface Git {
  readonly binary: string;
  readonly cwd: string;
  /** What git's configuration says, where it was read once and for all; absent: it is asked each time. */
  readonly configuration?: readonly ConfigEntry[];
  /** What every git process gets as its environment. */
  readonly env: Readonly<Record<string, string>>;
  /** Standard output as text. Throws where git's exit status is not 0 and it says why; an unset config key answers ''. */
  text(args: readonly string[]): Promise<string>;
  /** Runs to the end; a non-zero exit status is an answer, not an error. */
  run(args: readonly string[], options?: GitRunOptions): Promise<GitAnswer>;
  /** Standard output, and throws where the exit status is not 0. */
  bytes(args: readonly string[], options?: GitRunOptions): Promise<Buffer>;
  /** Standard output piece by piece; the process ends with the loop that reads it. Throws at the end where git failed. */
  stream(args: readonly string[], options?: GitStreamOptions): ByteStream;
}

export interface GitStreamOptions {
  readonly input?: AsyncIterable<Uint8Array | string>;
  readonly env?: Environment;
}

export interface GitOptions {
  readonly cwd: string;
  readonly env: Environment;
  /** Folders whose programs are never run, by default `cwd`. */
  readonly outside?: readonly string[];
  readonly binary?: string;
}

export async function openGit(options: GitOptions): Promise<Git> {
  const binary = options.binary ?? (await findGit(options.env, options.outside ?? [options.cwd]));
  const env = gitEnvironment(options.env);
  const git: Git = {
    binary,
    cwd: options.cwd,
    env,
    text: (args) => textOf(git, args),
    run: (args, run) => runToEnd(git, args, run ?? {}),
    bytes: async (args, run) => {
      const answer = await runToEnd(git, args, run ?? {});
      if (answer.status !== 0) throw gitFailed(args, answer.status, answer.stderr);
      return answer.stdout;
    },
    stream: (args, run) => streamOf(git, args, run ?? {}),
  };
  return git;
}

/** Variables that change what git prints or opens a window; tracing would fill the error messages. */
const DROPPED =
  /^(GIT_TRACE.*|GIT_CURL_VERBOSE|GIT_EDITOR|GIT_SEQUENCE_EDITOR|GIT_PAGER|GIT_INDEX_FILE|GIT_PREFIX|GIT_REFLOG_ACTION|GIT_INTERNAL_.*|GIT_EXTERNAL_DIFF|GIT_LITERAL_PATHSPECS|GIT_GLOB_PATHSPECS|GIT_NOGLOB_PATHSPECS|GIT_ICASE_PATHSPECS|EDITOR|VISUAL|PAGER)$/;

/** The caller's environment without what would disturb plumbing. GIT_DIR and its like stay: a hook has them for a reason. */
export function gitEnvironment(env: Environment): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    if (value !== undefined && !DROPPED.test(name)) kept[name] = value;
  }
  kept['PATH'] = safePath(env['PATH']);
  kept['GIT_OPTIONAL_LOCKS'] = '0';
  kept['LC_ALL'] = 'C';
  return kept;
}

export function gitFailed(args: readonly string[], status: number, stderr: string): DatamonError {
  const said = stderr.trim().split('\n').slice(0, 3).join(' · ');
  const command = args.find((arg) => /^[a-z][a-z-]*$/.test(arg)) ?? '';
  return new DatamonError('INVALID', `git ${command} failed: ${said || `exit status ${status}`}`);
}

/**
 * simple-git refuses variables such as GIT_SSH_COMMAND because its caller might pass on a stranger's. Ours are the
 * user's own environment, and the arguments are our own, so all are let through but the choice of upload-pack.
 */
const TRUSTED = {
  allowUnsafeCustomBinary: true,
  allowUnsafeAskPass: true,
  allowUnsafeConfigEnvCount: true,
  allowUnsafeConfigPaths: true,
  allowUnsafeCredentialHelper: true,
  allowUnsafeDiffExternal: true,
  allowUnsafeEditor: true,
  allowUnsafeExec: true,
  allowUnsafeGitProxy: true,
  allowUnsafePager: true,
  allowUnsafeSshCommand: true,
  allowUnsafeTemplateDir: true,
};

async function textOf(git: Git, args: readonly string[]): Promise<string> {
  const { simpleGit } = await import('simple-git');
  const client = simpleGit({
    baseDir: git.cwd,
    binary: git.binary,
    timeout: { block: GIT_TIMEOUT_MS },
    allowEnvironment: Object.keys(git.env),
    unsafe: TRUSTED,
  }).env(git.env);
  try {
    return await client.raw([...args]);
  } catch (cause) {
    throw gitFailed(args, 1, cause instanceof Error ? cause.message : String(cause));
  }
}

function start(
  git: Git,
  args: readonly string[],
  env: Environment | undefined,
  stdin: 'pipe' | 'ignore' = 'pipe',
): ChildProcess {
  return spawn(git.binary, [...args], {
    cwd: git.cwd,
    env: env === undefined ? git.env : { ...git.env, ...env },
    stdio: [stdin, 'pipe', 'pipe'],
    windowsHide: true,
  });
}

/** Resolves with the exit status, 128 where a signal ended it; rejects where it could not be started. */
function ended(child: ChildProcess): Promise<number> {
  const done = new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve(code ?? 128));
  });
  // A reader that leaves early never awaits this.
  done.catch(() => {});
  return done;
}

function collectTail(child: ChildProcess): () => string {
  let said = '';
  child.stderr?.setEncoding('utf8').on('data', (part: string) => {
    said = (said + part).slice(-STDERR_SIZE_MAX_BYTES);
  });
  return () => said;
}

async function runToEnd(
  git: Git,
  args: readonly string[],
  options: GitRunOptions,
): Promise<GitAnswer> {
  // Without input git reads of nothing, which costs less than a pipe that is closed at once.
  const child = start(git, args, options.env, options.input === undefined ? 'ignore' : 'pipe');
  const status = ended(child);
  const stderr = collectTail(child);
  const parts: Buffer[] = [];
  let sizeBytes = 0;
  child.stdout?.on('data', (part: Buffer) => {
    sizeBytes += part.length;
    if (sizeBytes > ANSWER_SIZE_MAX_BYTES) child.kill('SIGKILL');
    else parts.push(part);
  });
  child.stdin?.on('error', () => {});
  child.stdin?.end(options.input);
  const limit = AbortSignal.timeout(options.timeoutMs ?? GIT_TIMEOUT_MS);
  const stop = options.signal === undefined ? limit : AbortSignal.any([limit, options.signal]);
  const kill = () => child.kill('SIGKILL');
  stop.addEventListener('abort', kill, { once: true });
  try {
    const code = await status;
    if (options.signal?.aborted) throw new DatamonError('CANCELLED', 'stopped while git ran');
    if (limit.aborted) {
      throw new DatamonError('UNAVAILABLE', `git ${args[0] ?? ''} gave no answer in time`);
    }
    return { status: code, stdout: Buffer.concat(parts), stderr: stderr() };
  } finally {
    stop.removeEventListener('abort', kill);
  }
}

async function* streamOf(
  git: Git,
  args: readonly string[],
  options: GitStreamOptions,
): AsyncGenerator<Uint8Array> {
  const child = start(git, args, options.env);
  const status = ended(child);
  const stderr = collectTail(child);
  const fed = feed(child, options.input);
  try {
    if (child.stdout === null) return;
    for await (const part of child.stdout) yield part as Buffer;
    await fed;
    const code = await status;
    if (code !== 0) throw gitFailed(args, code, stderr());
  } finally {
    if (child.exitCode === null) child.kill('SIGKILL');
  }
}

/** Writes standard input as fast as git reads it. A git that left early is told by its exit status, not here. */
function feed(
  child: ChildProcess,
  input: AsyncIterable<Uint8Array | string> | undefined,
): Promise<void> {
  const stdin = child.stdin;
  if (stdin === null) return Promise.resolve();
  let broken = false;
  stdin.on('error', () => {
    broken = true;
  });
  const write = async () => {
    for await (const part of input ?? []) {
      if (broken) break;
      if (!stdin.write(part)) {
        await new Promise<void>((resolve) => {
          stdin.once('drain', resolve);
          stdin.once('close', resolve);
        });
      }
    }
    stdin.end();
  };
  const fed = write();
  fed.catch(() => child.kill('SIGKILL'));
  return fed;
}
