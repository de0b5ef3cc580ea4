/** A scratch copy of the tree in which mistakes are made one at a time, and tests run. The tree itself is never touched. */
import { execFile, execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import type { Mutant } from './mutant.ts';

const root = resolve(import.meta.dirname, '../..');
const TESTS_MAX_MS = 300_000;
/** Ample: a busy machine must not make a test red. */
const TEST_TIMEOUT_MS = 60_000;

export type Verdict = 'caught' | 'SURVIVED' | 'MISPLACED';

/** The file with the mistake in it; null where `find` does not stand there exactly once. */
export function withMistake(text: string, { find, replace }: Mutant): string | null {
  return text.split(find).length === 2 ? text.replace(find, () => replace) : null;
}

export interface Scratch {
  /** Whether a test goes red. `MISPLACED`: the code has moved on, and the table must follow. */
  judge(mutant: Mutant): Promise<Verdict>;
  /** Whether these tests are green without any mistake; what they said if not. */
  isGreen(tests: readonly string[]): Promise<string | null>;
  remove(): Promise<void>;
}

export async function makeScratch(): Promise<Scratch> {
  const folder = await mkdtemp(join(tmpdir(), 'datamon-mutants-'));
  const listed = ['ls-files', '-z', '--cached', '--others', '--exclude-standard'];
  const files = execFileSync('git', listed, { cwd: root, encoding: 'utf8' }).split('\0');
  for (const file of files.filter(Boolean)) {
    mkdirSync(join(folder, dirname(file)), { recursive: true });
    await cp(join(root, file), join(folder, file));
  }
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'));
  return {
    async judge(mutant) {
      const path = join(folder, mutant.file);
      const text = await readFile(path, 'utf8');
      const mistaken = withMistake(text, mutant);
      if (mistaken === null) return 'MISPLACED';
      await writeFile(path, mistaken);
      try {
        return (await runTwice(folder, mutant.tests)) === null ? 'SURVIVED' : 'caught';
      } finally {
        await writeFile(path, text);
      }
    },
    isGreen: (tests) => runTwice(folder, tests),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

/** What is red once may be a busy machine's fault; what is red twice is not. */
const runTwice = async (folder: string, tests: readonly string[]): Promise<string | null> =>
  (await runTests(folder, tests)) === null ? null : runTests(folder, tests);

/** Null where all are green; otherwise the last of what was said. Tests that never end are red. */
function runTests(folder: string, tests: readonly string[]): Promise<string | null> {
  const mocha = join(folder, 'node_modules/.bin/mocha');
  return new Promise((resolve) => {
    execFile(
      mocha,
      ['--bail', '--timeout', `${TEST_TIMEOUT_MS}`, ...tests],
      { cwd: folder, timeout: TESTS_MAX_MS, killSignal: 'SIGKILL', maxBuffer: 2 ** 26 },
      (error, stdout, stderr) => resolve(error === null ? null : (stdout + stderr).slice(-2000)),
    );
  });
}
