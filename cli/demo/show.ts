/** The demo: two real pushes of real files to a real server, and what is left to see afterwards. Every number is measured in this run. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { formatBytes } from '../../client/format.ts';
import { DatamonError } from '../../core/errors.ts';
import type { Io } from '../../core/io.ts';
import { findProgram } from '../../git/binary.ts';
import { writeFirstVersion, writeSecondVersion } from './dataset.ts';
import { type Output, type Stage, setStage } from './stage.ts';

export interface DemoOptions {
  /** Ends by itself instead of leaving the server up until Ctrl-C. */
  readonly exit: boolean;
  /** Node and the CLI's main file, to start ourselves with. */
  readonly program: readonly string[];
}

const REPO = 'demo/weather';
const TRACKED = ['*.csv', '*.parquet', '*.ckpt', '*.png'];
const COMMAND_WIDTH = 62;
const PROBE_TIMEOUT_MS = 20_000;

/** The demo's screen, line by line as things happen. Without `exit` it ends when `io.signal` says so. */
export async function* demoLines(io: Io, options: DemoOptions): AsyncGenerator<string> {
  await needPrograms(io);
  const stage = await setStage(io, options.program);
  let failed = true;
  try {
    yield* play(stage, options);
    if (!options.exit) await stopped(io.signal);
    failed = false;
  } finally {
    // What went wrong is in the folder's log; a stopped or finished demo leaves nothing behind.
    await stage.strike(failed && !io.signal.aborted ? 'server only' : 'everything');
  }
}

/** Said before anything begins: what the demo cannot do without. */
async function needPrograms({ env }: Io): Promise<void> {
  const git = await findProgram('git', env);
  const missing = git === null ? 'git' : (await hasGitLfs(git, env)) ? null : 'git-lfs';
  if (missing === null) return;
  throw new DatamonError('NOT_FOUND', `the demo needs ${missing}, which is not on this machine`, {
    hint: `Install it: sudo apt-get install ${missing} (Debian, Ubuntu), or: brew install ${missing} (macOS)`,
  });
}

/** As git finds it: on PATH, or among its own programs. */
const hasGitLfs = (git: string, env: Io['env']): Promise<boolean> =>
  new Promise((resolve) => {
    execFile(git, ['lfs', 'version'], { env, timeout: PROBE_TIMEOUT_MS }, (error) =>
      resolve(error === null),
    );
  });

async function* play(stage: Stage, options: DemoOptions): AsyncGenerator<string> {
  const clone = join(stage.folder, 'weather');
  const git: Git = (...args) => stage.run(['git', ...args], { cwd: clone, env: stage.withDatamon });

  yield `datamon demo: everything happens in ${stage.folder}; your git settings stay untouched.`;
  const server = await stage.startServer();
  const url = `${server}/${REPO}`;
  yield shown('datamon serve --store file://…/store', server);
  await prepare(stage, clone);
  await stage.datamon(['install']);
  await stage.datamon(['init', url], { cwd: clone });
  yield shown(`datamon init ${url}`);
  await git('lfs', 'track', ...TRACKED);
  yield shown(`git lfs track ${TRACKED.map((pattern) => `'${pattern}'`).join(' ')}`);
  await writeFirstVersion(clone);
  const first = await commit(git, 'March readings, sky photographs, first model');
  const before = await filesOf(git, clone);
  yield shown(
    'git add . && git commit -m "March readings"',
    `${before.size} files, ${formatBytes(sum(before))}`,
  );
  yield* push(git);

  await writeSecondVersion(clone);
  const second = await commit(git, 'April rows, a column edited, model retrained');
  const after = await filesOf(git, clone);
  const changed = new Map([...after].filter(([path, file]) => before.get(path)?.oid !== file.oid));
  yield shown(
    'git commit -am "April rows, a column edited, model retrained"',
    `${changed.size} files, ${formatBytes(sum(changed))}`,
  );
  const storeBytes = await stage.storeBytes();
  yield* push(git);
  const grownBytes = (await stage.storeBytes()) - storeBytes;
  yield `      the store grew by ${formatBytes(grownBytes)}; plain Git LFS would have sent and kept all ${formatBytes(sum(changed))}`;
  yield shown('datamon log');
  yield* indented((await stage.datamon(['log', '-v'], { cwd: clone })).stdout);
  yield shown(`datamon diff ${first} ${second}`);
  yield* indented((await stage.datamon(['diff', first, second], { cwd: clone })).stdout);
  yield* cloneBack(stage, after);

  yield '';
  yield `See it:      ${url}`;
  if (options.exit) return;
  yield `Play on:     cd ${clone} && export HOME=${join(stage.folder, 'home')}`;
  yield 'Yours next:  ./install.sh && cd your-repo && datamon init <server URL or directory>';
  yield 'Ctrl-C stops the demo and deletes it.';
}

const shown = (command: string, note = ''): string =>
  `  $ ${command.padEnd(COMMAND_WIDTH)} ${note}`.trimEnd();

/** Two homes with an identity and git-lfs, a bare remote, a clone of it. */
async function prepare(stage: Stage, clone: string): Promise<void> {
  const remote = join(stage.folder, 'remote', 'weather.git');
  for (const env of [stage.withDatamon, stage.withoutDatamon]) {
    const git = (...args: string[]): Promise<Output> =>
      stage.run(['git', ...args], { cwd: stage.folder, env });
    await git('config', '--global', 'user.name', 'Ada Lovelace');
    await git('config', '--global', 'user.email', 'ada@example.org');
    await git('config', '--global', 'init.defaultBranch', 'main');
    await git('lfs', 'install', '--skip-repo');
  }
  await stage.run(['git', 'init', '--quiet', '--bare', remote], {
    cwd: stage.folder,
    env: stage.withDatamon,
  });
  await stage.run(['git', 'clone', '--quiet', remote, clone], {
    cwd: stage.folder,
    env: stage.withDatamon,
  });
}

type Git = (...args: string[]) => Promise<Output>;

async function commit(git: Git, message: string): Promise<string> {
  await git('add', '--all');
  await git('commit', '--quiet', '-m', message);
  return (await git('rev-parse', '--short', 'HEAD')).stdout.trim();
}

/** Pushes and shows what datamon said of it. A push that recorded no bundle is a failure. */
async function* push(git: Git): AsyncGenerator<string> {
  const { stderr, durationMs } = await git('push', '--quiet', '-u', 'origin', 'main');
  yield shown('git push', `${(durationMs / 1000).toFixed(1)} s`);
  const said = stderr.split('\n').filter((line) => line.startsWith('datamon'));
  if (!said.some((line) => /bundle [0-9a-f]{7}/.test(line))) {
    throw new DatamonError(
      'INCOMPLETE',
      `the push recorded no bundle; it said: ${JSON.stringify(stderr)}`,
    );
  }
  for (const line of said) yield `      ${line}`;
}

interface File {
  readonly oid: string;
  readonly sizeBytes: number;
}

/** Committed files by path: those that the bundle lists too, so that every count on the screen is the same. */
async function filesOf(git: Git, clone: string): Promise<Map<string, File>> {
  const files = new Map<string, File>();
  for (const name of (await git('ls-files', '-z')).stdout.split('\0')) {
    if (name === '' || name.startsWith('.')) continue;
    const file = join(clone, name);
    files.set(name, { oid: await digestOfFile(file), sizeBytes: (await stat(file)).size });
  }
  return files;
}

const sum = (files: ReadonlyMap<string, File>): number =>
  [...files.values()].reduce((total, file) => total + file.sizeBytes, 0);

const digestOfFile = async (file: string): Promise<string> =>
  createHash('sha256')
    .update(await readFile(file))
    .digest('hex');

function* indented(text: string): Generator<string> {
  for (const line of text.trimEnd().split('\n')) yield `      ${line}`;
}

/** Clones with and without datamon and compares every byte. */
async function* cloneBack(stage: Stage, wanted: ReadonlyMap<string, File>): AsyncGenerator<string> {
  for (const [name, env, where] of [
    ['clone-with', stage.withDatamon, 'with datamon'],
    ['clone-without', stage.withoutDatamon, 'on a machine without datamon'],
  ] as const) {
    const clone = join(stage.folder, name);
    const remote = join(stage.folder, 'remote', 'weather.git');
    await stage.run(['git', 'clone', '--quiet', remote, clone], { cwd: stage.folder, env });
    const found = await filesOf(
      (...args) => stage.run(['git', ...args], { cwd: clone, env }),
      clone,
    );
    for (const [path, { oid }] of wanted) {
      if (found.get(path)?.oid === oid) continue;
      throw new DatamonError('CORRUPT', `${join(clone, path)} is not what was pushed`);
    }
    yield shown(`git clone …/weather.git   # ${where}`, `${found.size} files, same bytes ✓`);
  }
}

const stopped = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
    // An open handle, or Node would end before the signal comes.
    const handle = setInterval(() => {}, 2 ** 30);
    signal.addEventListener('abort', () => clearInterval(handle), { once: true });
  });
