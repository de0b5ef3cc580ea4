/** Programs that soak runs start: from their sources, or, where they are started often, built once; a start of the built ones is four times as cheap. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { symlink, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';

const root = resolve(import.meta.dirname, '../..');

export interface Programs {
  /** Arguments of `node` that start a source file of this tree, given by its path from the top. */
  args(file: string): readonly string[];
  readonly env: NodeJS.ProcessEnv;
}

export async function preparePrograms(starts: 'few' | 'often', folder: string): Promise<Programs> {
  const env = { ...process.env, NODE_COMPILE_CACHE: join(folder, 'compiled') };
  const quiet = '--disable-warning=ExperimentalWarning';
  if (starts === 'few') return { env, args: (file) => [quiet, join(root, file)] };
  const built = join(folder, 'built');
  const tsc = join(root, 'node_modules/.bin/tsc');
  await promisify(execFile)(tsc, ['-p', root, '--outDir', built, '--incremental', 'false']);
  await writeFile(join(built, 'package.json'), '{"type":"module"}');
  await symlink(join(root, 'node_modules'), join(built, 'node_modules'));
  return { env, args: (file) => [quiet, join(built, file.replace(/\.ts$/, '.js'))] };
}

/** Starts a program whose lines are read as they come; what it says on stderr is kept. */
export function startProgram(
  programs: Programs,
  file: string,
  args: readonly string[],
  onLine: (line: string) => void,
  cwd = root,
): Started {
  const child = spawn(process.execPath, [...programs.args(file), ...args], {
    cwd,
    env: programs.env,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let said = '';
  child.stderr.on('data', (bytes: Buffer) => {
    said = (said + bytes.toString()).slice(-4000);
  });
  createInterface(child.stdout).on('line', onLine);
  const ended = new Promise<Ended>((done) =>
    child.once('close', (status, signal) => done({ status, signal, said })),
  );
  return { child, ended };
}

export interface Ended {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  /** The last of stderr. */
  readonly said: string;
}

export interface Started {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
}
