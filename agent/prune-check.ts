/** Whether a command line above us is one that deletes local objects because an agent started: seen by its words alone. */
import { basename } from 'node:path';

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
