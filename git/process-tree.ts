/** The processes above this one, by `/proc` or `ps`. Best effort: empty where the system does not tell. */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';

export interface Ancestor {
  readonly pid: number;
  readonly argv: readonly string[];
}

const ANCESTOR_COUNT_MAX = 32;
const PS_TIMEOUT_MS = 5_000;

/** From `pid` itself upwards. */
export async function ancestorsOf(pid: number, proc = '/proc'): Promise<readonly Ancestor[]> {
  const viaProc = await climb(pid, (each) => procLine(proc, each));
  if (viaProc.length > 0) return viaProc;
  const table = await psTable();
  return climb(pid, async (each) => table.get(each) ?? null);
}

interface ProcessLine {
  readonly parent: number;
  readonly argv: readonly string[];
}

async function climb(
  pid: number,
  read: (pid: number) => Promise<ProcessLine | null>,
): Promise<readonly Ancestor[]> {
  const found: Ancestor[] = [];
  let next = pid;
  while (next > 1 && found.length < ANCESTOR_COUNT_MAX) {
    const line = await read(next);
    if (line === null) break;
    found.push({ pid: next, argv: line.argv });
    next = line.parent;
  }
  return found;
}

async function procLine(proc: string, pid: number): Promise<ProcessLine | null> {
  try {
    const stat = await readFile(join(proc, String(pid), 'stat'), 'latin1');
    const command = await readFile(join(proc, String(pid), 'cmdline'), 'utf8');
    // The name in parentheses may hold anything, so fields are counted from the last one.
    const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
    return { parent, argv: command.replace(/\0$/, '').split('\0') };
  } catch {
    return null;
  }
}

function psTable(): Promise<ReadonlyMap<number, ProcessLine>> {
  return new Promise((resolve) => {
    const options = { timeout: PS_TIMEOUT_MS, maxBuffer: 16 * 1024 * 1024 };
    execFile('/bin/ps', ['-A', '-o', 'pid=,ppid=,command='], options, (_error, stdout) => {
      const table = new Map<number, ProcessLine>();
      for (const line of stdout.split('\n')) {
        const [, pid, parent, command = ''] = /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line) ?? [];
        if (pid !== undefined) {
          table.set(Number(pid), { parent: Number(parent), argv: command.split(' ') });
        }
      }
      resolve(table);
    });
  });
}

/** The nearest `git push` above; aliases hide the word, so any git that is not git-lfs will do where none says push. */
export function gitPushAmong(ancestors: readonly Ancestor[]): Ancestor | null {
  const gits = ancestors.filter(({ argv }) => /^git(\.exe)?$/.test(basename(argv[0] ?? '')));
  return gits.find(({ argv }) => argv.includes('push')) ?? gits[0] ?? null;
}

/** True where a `git push` command line asks for a dry run. Words behind `--`, and values of options, are no options. */
export function isDryRun(argv: readonly string[]): boolean {
  const options = argv.slice(argv.indexOf('push') + 1);
  for (const [index, word] of options.entries()) {
    if (word === '--') return false;
    if (/^(-o|--push-option|--repo|--receive-pack|--exec)$/.test(options[index - 1] ?? ''))
      continue;
    if (word === '--dry-run' || /^-[vqfud46]*n/.test(word)) return argv.includes('push');
  }
  return false;
}
