/** Command lines of the processes above this one. Best effort: empty where the system does not tell. */
import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';

const ANCESTOR_COUNT_MAX = 16;

/** Command lines from the parent upward, as `/proc` has them. */
export async function readAncestors(proc = '/proc'): Promise<readonly (readonly string[])[]> {
  const commands: string[][] = [];
  let pid = await parentOf(proc, 'self');
  while (pid !== null && pid > 1 && commands.length < ANCESTOR_COUNT_MAX) {
    const text = await readFile(join(proc, String(pid), 'cmdline'), 'utf8').catch(() => null);
    if (text === null) break;
    commands.push(text.replace(/\0$/, '').split('\0'));
    pid = await parentOf(proc, String(pid));
  }
  return commands;
}

async function parentOf(proc: string, pid: string): Promise<number | null> {
  const stat = await readFile(join(proc, pid, 'stat'), 'utf8').catch(() => '');
  // The name in parentheses may hold anything, so fields are counted from the last one.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const parent = Number(fields[1]);
  return Number.isSafeInteger(parent) ? parent : null;
}

/** True where git-lfs runs above us as `git lfs prune`, whose check of the remote asks this process nothing and then deletes. */
export function isPruneCheck(commands: readonly (readonly string[])[]): boolean {
  return commands.some(([program = '', ...words]) => {
    const name = basename(program).replace(/\.exe$/, '');
    return (name === 'git' || name === 'git-lfs') && words.includes('prune');
  });
}

/** True where the command above us fetches first and prunes afterwards. */
export function isFetchAndPrune(commands: readonly (readonly string[])[]): boolean {
  return commands.some(([program = '', ...words]) => {
    const name = basename(program).replace(/\.exe$/, '');
    const prunes = words.includes('--prune') || words.includes('-p');
    return (name === 'git' || name === 'git-lfs') && words.includes('fetch') && prunes;
  });
}
