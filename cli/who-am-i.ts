/** Who does something, as logs keep it: git's `Name <mail>`, else the user of the machine. A server puts the token's subject instead. */
import { openGit } from '../git/git.ts';
import { committer } from '../git/identity.ts';
import type { Context } from './context.ts';

export interface Identity {
  readonly name: string;
  readonly mail: string;
}

export async function whoAmI(context: Context): Promise<string> {
  const { env, cwd } = context.io;
  try {
    const git = (await context.clone())?.git ?? (await openGit({ cwd, env }));
    return await committer(git, env);
  } catch {
    // No git on this machine: the user's name is all there is.
    return env['USER'] ?? env['USERNAME'] ?? 'unknown';
  }
}

export async function identity(context: Context): Promise<Identity> {
  const person = await whoAmI(context);
  const [, name = person, mail = ''] = /^(.*) <([^>]*)>$/.exec(person) ?? [];
  return { name, mail };
}
