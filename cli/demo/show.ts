/** The demo: two real pushes of real files to a real server, and what is left to see afterwards. Every number is measured in this run. */
import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { formatBytes } from '../../client/format.ts';
import { DatamonError } from '../../core/errors.ts';
import type { Io } from '../../core/io.ts';
import { CHECKPOINT, COLUMNS, CSV, writeFirstVersion, writeSecondVersion } from './dataset.ts';
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

/** The demo's screen, line by line as things happen. Without `exit` it ends when `io.signal` says so. */
export async function* demoLines(io: Io, options: DemoOptions): AsyncGenerator<string> {
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

async function* play(stage: Stage, options: DemoOptions): AsyncGenerator<string> {
  const clone = join(stage.folder, 'weather');
  const git: Git = (...args) => stage.run(['git', ...args], { cwd: clone, env: stage.withDatamon });

  yield `datamon demo: everything happens in ${stage.folder}; your git settings stay untouched.`;
  const server = await stage.startServer();
  const url = `${server}/${REPO}`;
  yield '';
  yield `  store  a directory        server  ${server}`;
  await prepare(stage, clone);
  await stage.datamon(['install']);
  await stage.datamon(['init', url], { cwd: clone });
  yield shown(`datamon init ${url}`);
  await git('lfs', 'track', ...TRACKED);
  yield shown(`git lfs track ${TRACKED.map((pattern) => `'${pattern}'`).join(' ')}`);
  await writeFirstVersion(clone);
  const first = await commit(git, 'March readings, sky photographs, first model');
  const before = await lfsFiles(git, clone);
  yield shown(
    'git add . && git commit -m "March readings"',
    `${before.size} files, ${formatBytes(sum(before))}`,
  );
  yield* push(git);

  await writeSecondVersion(clone);
  const second = await commit(git, 'April rows, station column fixed, model retrained');
  const after = await lfsFiles(git, clone);
  const changed = new Map([...after].filter(([path, file]) => before.get(path)?.oid !== file.oid));
  yield shown(
    `… edit ${CSV} ${COLUMNS} ${CHECKPOINT}; git commit -am "April"`,
    `${changed.size} files changed`,
  );
  const storeBytes = await stage.storeBytes();
  yield* push(git);
  const grownBytes = (await stage.storeBytes()) - storeBytes;
  yield `      the store grew by ${formatBytes(grownBytes)}; plain Git LFS would have sent ${formatBytes(sum(changed))} and kept them all`;
  yield shown('datamon log');
  yield* indented((await stage.datamon(['log'], { cwd: clone })).stdout);
  yield shown(`datamon diff ${first} ${second}`);
  yield* indented((await stage.datamon(['diff', first, second], { cwd: clone })).stdout);
  yield* cloneBack(stage, clone, after);

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

interface LfsFile {
  readonly oid: string;
  readonly sizeBytes: number;
}

/** LFS files of the work tree by path. */
async function lfsFiles(git: Git, clone: string): Promise<Map<string, LfsFile>> {
  const names = (await git('lfs', 'ls-files', '--name-only')).stdout
    .split('\n')
    .filter((name) => name !== '');
  const files = new Map<string, LfsFile>();
  for (const name of names) {
    const file = join(clone, name);
    files.set(name, { oid: await digestOfFile(file), sizeBytes: (await stat(file)).size });
  }
  return files;
}

const sum = (files: ReadonlyMap<string, LfsFile>): number =>
  [...files.values()].reduce((total, file) => total + file.sizeBytes, 0);

const digestOfFile = async (file: string): Promise<string> =>
  createHash('sha256')
    .update(await readFile(file))
    .digest('hex');

function* indented(text: string): Generator<string> {
  for (const line of text.trimEnd().split('\n')) yield `      ${line}`;
}

/** Clones with and without datamon and compares every byte. */
async function* cloneBack(
  stage: Stage,
  original: string,
  files: ReadonlyMap<string, LfsFile>,
): AsyncGenerator<string> {
  for (const [name, env, where] of [
    ['clone-with', stage.withDatamon, 'with datamon'],
    ['clone-without', stage.withoutDatamon, 'on a machine without datamon'],
  ] as const) {
    const clone = join(stage.folder, name);
    const remote = join(stage.folder, 'remote', 'weather.git');
    await stage.run(['git', 'clone', '--quiet', remote, clone], { cwd: stage.folder, env });
    const paths = await committedPaths(stage, clone);
    for (const path of paths) {
      const wanted = files.get(path)?.oid ?? (await digestOfFile(join(original, path)));
      if ((await digestOfFile(join(clone, path))) === wanted) continue;
      throw new DatamonError('CORRUPT', `${join(clone, path)} is not what was pushed`);
    }
    yield shown(`git clone …/weather.git   # ${where}`, `${paths.length} files, same bytes ✓`);
  }
}

async function committedPaths(stage: Stage, clone: string): Promise<readonly string[]> {
  const listed = await stage.run(['git', 'ls-files'], { cwd: clone, env: stage.withDatamon });
  return listed.stdout.split('\n').filter((path) => path !== '');
}

const stopped = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
    // An open handle, or Node would end before the signal comes.
    const handle = setInterval(() => {}, 2 ** 30);
    signal.addEventListener('abort', () => clearInterval(handle), { once: true });
  });
