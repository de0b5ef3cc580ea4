/** Runs `datamon` in this process with a world of its own, or as a process; and fills repos through core. */
import { spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import { resolve } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { runCli } from '../../../cli/run.ts';
import type { Runtime } from '../../../cli/runtime.ts';
import { openRepositoryUrl } from '../../../client/open.ts';
import { type Digest, digestOf } from '../../../core/digest.ts';
import type { ExitStatus, Io } from '../../../core/io.ts';
import type { GitSha, PushId } from '../../../core/keys.ts';
import { createSyntheticCommit } from '../../../core/meta/commit-object.ts';
import type { Entry, RawPath } from '../../../core/meta/model.ts';
import { rawPathFromText } from '../../../core/meta/raw-path.ts';
import { recordBundle } from '../../../core/meta/record.ts';
import type { Repository } from '../../../core/meta/repository.ts';
import { randomHex, secureRandom } from '../../../core/random.ts';

export const MAIN = resolve(import.meta.dirname, '../../../cli/main.ts');

export interface CliRan {
  readonly status: ExitStatus;
  readonly stdout: string;
  readonly stderr: string;
  /** One object for each line of stdout. */
  readonly json: readonly Record<string, unknown>[];
}

export interface CliOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly input?: string;
  readonly signal?: AbortSignal;
  readonly runtime?: Partial<Runtime>;
}

/** A world without a home, a clone or a terminal unless a test gives one. */
export async function datamon(argv: readonly string[], options: CliOptions = {}): Promise<CliRan> {
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  const [out, err] = [readAll(stdout), readAll(stderr)];
  const io: Io = {
    stdin: Readable.from([Buffer.from(options.input ?? '')]),
    stdout,
    stderr,
    env: { PATH: process.env['PATH'], ...options.env },
    cwd: options.cwd ?? tmpdir(),
    signal: options.signal ?? new AbortController().signal,
    isTerminal: false,
  };
  const status = await runCli(argv, io, runtimeOf(options.runtime));
  stdout.end();
  stderr.end();
  return ranOf(status, await out, await err);
}

export function runtimeOf(given: Partial<Runtime> = {}): Runtime {
  const missing = () => Promise.reject(new Error('not in this test'));
  return {
    programs: { serve: missing, hook: missing, agent: missing },
    nodePath: process.execPath,
    nodeVersion: process.versions.node,
    mainPath: MAIN,
    platform: process.platform,
    ...given,
  };
}

function ranOf(status: number, stdout: string, stderr: string): CliRan {
  return {
    status: status as ExitStatus,
    stdout,
    stderr,
    get json() {
      const lines = stdout.split('\n').filter((line) => line !== '');
      return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    },
  };
}

async function readAll(stream: Readable): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of stream) parts.push(Buffer.from(part as Buffer));
  return Buffer.concat(parts).toString('utf8');
}

/** The real process: `node cli/main.ts …`. */
export async function spawnDatamon(
  argv: readonly string[],
  options: CliOptions & { readonly onStart?: (child: ReturnType<typeof spawn>) => void } = {},
): Promise<CliRan & { readonly bytes: Buffer }> {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', MAIN, ...argv], {
    cwd: options.cwd ?? tmpdir(),
    env: { PATH: process.env['PATH'], ...options.env } as NodeJS.ProcessEnv,
    timeout: 30_000,
    killSignal: 'SIGKILL',
  });
  options.onStart?.(child);
  const parts: Buffer[] = [];
  let stderr = '';
  child.stdout.on('data', (part: Buffer) => parts.push(part));
  child.stderr.on('data', (part: Buffer) => {
    stderr += part.toString('utf8');
  });
  child.stdin.on('error', () => {});
  child.stdin.end(options.input ?? '');
  const status = await new Promise<number>((done) => {
    child.once('close', (code) => done(code ?? 128));
  });
  const bytes = Buffer.concat(parts);
  return Object.assign(ranOf(status, bytes.toString('utf8'), stderr), { bytes });
}

export interface SeedFile {
  /** Text, or raw bytes as one char each. */
  readonly path: string | { readonly raw: string };
  readonly text?: string;
  readonly kind?: Entry['kind'];
  readonly executable?: boolean;
  readonly reference?: string;
  /** True: the bundle names it, the store does not have it. */
  readonly absent?: boolean;
}

export interface Seed {
  readonly branch?: string;
  readonly message?: string;
  readonly files: readonly SeedFile[];
}

/** `memory:` stores live as long as the process, so each test takes one of its own. */
export const memoryRepo = (name = 'acme/weather'): string =>
  `memory:cli-${randomHex(secureRandom, 8)}//${name}`;

export async function withRepo<T>(url: string, use: (repository: Repository) => Promise<T>) {
  const repository = await openRepositoryUrl(url, {
    create: { by: 'Ada <ada@example.org>', remote: 'example.org/acme/weather' },
  });
  try {
    return await use(repository);
  } finally {
    await repository.close();
  }
}

/** Pushes bundles one after another onto their branches, as a push through git would. */
export async function seed(
  url: string,
  ...pushes: readonly Seed[]
): Promise<readonly { readonly bundle: Digest; readonly commit: GitSha }[]> {
  return withRepo(url, async (repository) => {
    const made: { bundle: Digest; commit: GitSha }[] = [];
    const heads = new Map<string, GitSha>();
    for (const push of pushes) {
      const branch = push.branch ?? 'main';
      const one = await pushOne(repository, push, heads.get(branch) ?? null);
      heads.set(branch, one.commit);
      made.push(one);
    }
    return made;
  });
}

async function pushOne(repository: Repository, push: Seed, gitOld: GitSha | null) {
  const entries: Entry[] = [];
  let newBytes = 0;
  for (const file of push.files) {
    const entry = entryOf(file);
    entries.push(entry);
    if (file.absent === true || entry.oid === null || entry.kind === 'symlink') continue;
    const bytes = Buffer.from(file.text ?? '', 'utf8');
    if (bytes.length === 0) continue;
    const receipt = await repository.blobs.put({
      oid: entry.oid,
      sizeBytes: bytes.length,
      open: async function* () {
        yield bytes;
      },
    });
    newBytes += receipt.newBytes;
  }
  const { commit, commitObject } = createSyntheticCommit({
    message: push.message ?? 'A push',
    author: { name: 'Ada', mail: 'ada@example.org' },
    at: new Date('2026-01-02T03:04:05Z'),
    parents: gitOld === null ? [] : [gitOld],
    treeLabel: digestOf(JSON.stringify(entries)),
  });
  const recorded = await recordBundle(repository, {
    commit,
    commitObject,
    entries,
    rules: { recorder: 1, config: null },
    pointerExtensions: [],
  });
  await repository.history.recordMove({
    pushId: randomHex(secureRandom, 16) as PushId,
    remote: 'example.org/acme/weather',
    ref: `refs/heads/${push.branch ?? 'main'}`,
    gitOld,
    gitNew: commit,
    bundle: recorded.bundle,
    totals: recorded.totals,
    extraOids: null,
    missing: [],
    forced: false,
    pushedBy: 'Ada <ada@example.org>',
    receipt: {
      newBytes,
      resumedBytes: 0,
      storedBytes: newBytes,
      packCount: 0,
      requestCount: 1,
      durationMs: 1,
      reusedFrom: null,
      measured: true,
    },
  });
  return { bundle: recorded.bundle, commit };
}

function entryOf(file: SeedFile): Entry {
  const path =
    typeof file.path === 'string' ? rawPathFromText(file.path) : (file.path.raw as RawPath);
  const kind = file.kind ?? 'lfs';
  const bytes = Buffer.from(
    kind === 'symlink' ? (file.reference ?? '') : (file.text ?? ''),
    'utf8',
  );
  const hasOid = kind !== 'directory' && kind !== 'submodule';
  return {
    path,
    kind,
    executable: file.executable ?? false,
    oid: hasOid ? digestOf(bytes) : null,
    sizeBytes: hasOid ? bytes.length : 0,
    ...(file.reference === undefined ? {} : { reference: file.reference }),
  };
}
