/** The demo: two real pushes of real files to a real server, and what is left to see afterwards. Every number is measured in this run. */
import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { formatBytes } from '../../client/format.ts';
import { DatamonError } from '../../core/errors.ts';
import { EXIT, type ExitStatus, type Io } from '../../core/io.ts';
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

export async function runDemo(io: Io, options: DemoOptions): Promise<ExitStatus> {
  const stage = await setStage(io, options.program);
  let kept = false;
  try {
    await play(io, stage, options);
    if (!options.exit) await stopped(io.signal);
    return EXIT.ok;
  } catch (error) {
    kept = !io.signal.aborted;
    if (kept) throw error;
    return options.exit ? EXIT.interrupted : EXIT.ok;
  } finally {
    await stage.strike(kept ? 'server only' : 'everything');
  }
}

async function play(io: Io, stage: Stage, options: DemoOptions): Promise<void> {
  const say = (line = ''): void => void io.stdout.write(`${line}\n`);
  const shown = (command: string, note = ''): void =>
    say(`  $ ${command.padEnd(COMMAND_WIDTH)}${note}`.trimEnd());
  const clone = join(stage.folder, 'weather');
  const git = (...args: string[]): Promise<Output> =>
    stage.run(['git', ...args], { cwd: clone, env: stage.withDatamon });

  say(`datamon demo: everything happens in ${stage.folder}; your git settings stay untouched.`);
  say();
  const server = await stage.startServer();
  const url = `${server}/${REPO}`;
  say(`  store  a directory                server  ${server}`);
  await prepare(stage, clone);
  await stage.datamon(['install']);
  await stage.datamon(['init', url], { cwd: clone });
  shown(`datamon init ${url}`);
  await git('lfs', 'track', ...TRACKED);
  shown(`git lfs track ${TRACKED.map((pattern) => `'${pattern}'`).join(' ')}`);
  await writeFirstVersion(clone);
  const first = await commit(git, 'March readings, sky photographs, first model');
  const before = await lfsFiles(git, clone);
  shown(
    'git add . && git commit -m "March readings"',
    `${before.size} files, ${formatBytes(sum(before))}`,
  );
  await push(say, shown, git);

  await writeSecondVersion(clone);
  const second = await commit(git, 'April rows, station column fixed, model retrained');
  const after = await lfsFiles(git, clone);
  const changed = [...after].filter(([path, file]) => before.get(path)?.oid !== file.oid);
  shown(
    `… edit ${CSV} ${COLUMNS} ${CHECKPOINT}; git commit -am "April"`,
    `${changed.length} files changed`,
  );
  const storeBefore = await stage.storeBytes();
  await push(say, shown, git);
  const grown = (await stage.storeBytes()) - storeBefore;
  say(
    `      the store grew by ${formatBytes(grown)}; plain Git LFS would have sent and kept ${formatBytes(sum(new Map(changed)))} again`,
  );

  shown('datamon log');
  indent(say, (await stage.datamon(['log'], { cwd: clone })).stdout);
  shown(`datamon diff ${first} ${second}`);
  indent(say, (await stage.datamon(['diff', first, second], { cwd: clone })).stdout);
  await cloneBack(stage, shown, clone, after);

  say();
  say(`See it:      ${url}`);
  if (options.exit) return;
  say(`Play on:     cd ${clone}   (with HOME=${join(stage.folder, 'home')})`);
  say('Yours next:  ./install.sh && cd your-repo && datamon init <directory or server URL>');
  say('Ctrl-C stops the demo and deletes it.');
}

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
async function push(
  say: (line: string) => void,
  shown: (command: string, note?: string) => void,
  git: Git,
): Promise<void> {
  const { stderr, durationMs } = await git('push', '--quiet', '-u', 'origin', 'main');
  shown('git push', `${(durationMs / 1000).toFixed(1)} s`);
  const said = stderr.split('\n').filter((line) => line.startsWith('datamon'));
  if (!said.some((line) => /bundle [0-9a-f]{7}/.test(line))) {
    throw new DatamonError(
      'INCOMPLETE',
      `the push recorded no bundle; it said: ${JSON.stringify(stderr)}`,
    );
  }
  for (const line of said) say(`      ${line}`);
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

const indent = (say: (line: string) => void, text: string): void => {
  for (const line of text.trimEnd().split('\n')) say(`      ${line}`);
};

/** Clones with and without datamon and compares every byte. */
async function cloneBack(
  stage: Stage,
  shown: (command: string, note?: string) => void,
  original: string,
  files: ReadonlyMap<string, LfsFile>,
): Promise<void> {
  const remote = join(stage.folder, 'remote', 'weather.git');
  for (const [name, env, where] of [
    ['clone-with', stage.withDatamon, 'with datamon'],
    ['clone-without', stage.withoutDatamon, 'on a machine without datamon'],
  ] as const) {
    const clone = join(stage.folder, name);
    await stage.run(['git', 'clone', '--quiet', remote, clone], { cwd: stage.folder, env });
    const names = (await readdir(clone, { recursive: true, withFileTypes: true })).filter(
      (entry) =>
        entry.isFile() && !join(entry.parentPath, entry.name).startsWith(join(clone, '.git/')),
    );
    for (const entry of names) {
      const file = join(entry.parentPath, entry.name);
      const path = file.slice(clone.length + 1);
      const wanted = files.get(path)?.oid ?? (await digestOfFile(join(original, path)));
      if ((await digestOfFile(file)) !== wanted)
        throw new DatamonError('CORRUPT', `${file} is not what was pushed`);
    }
    if (names.length < files.size)
      throw new DatamonError('INCOMPLETE', `${clone} has ${names.length} files only`);
    shown(`git clone …/weather.git   # ${where}`, `${names.length} files, same bytes ✓`);
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
