/** Who does something, as logs keep it: git's `Name <mail>`, else the user of the machine. */
import type { Environment } from './binary.ts';
import type { Git } from './git.ts';

export async function committer(git: Git, env: Environment): Promise<string> {
  const answer = await git.run(['var', 'GIT_COMMITTER_IDENT']);
  const [, person] = /^(.*<[^>]*>) \d+ [+-]\d+/.exec(answer.stdout.toString('utf8')) ?? [];
  if (answer.status === 0 && person !== undefined) return person;
  return env['USER'] ?? env['USERNAME'] ?? 'unknown';
}
