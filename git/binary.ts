/** Finds programs by absolute path: empty and relative entries of PATH are never searched, nor folders inside a work tree. */
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, isAbsolute, join, relative, sep } from 'node:path';
import { DatamonError } from '../core/errors.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** `PATH` without empty and relative entries, so that nothing a repo holds can be run by name. */
export function safePath(path: string | undefined): string {
  return (path ?? '')
    .split(delimiter)
    .filter((folder) => isAbsolute(folder))
    .join(delimiter);
}

/** True where `path` is `folder` or lies below it. */
export function isInside(path: string, folder: string): boolean {
  const way = relative(folder, path);
  return way === '' || (way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way));
}

/**
 * The first `name` on PATH, or null. `outside`: folders whose programs are never taken, unless the home folder lies in them:
 * then somebody stands in `/` or at home, not in a clone.
 */
export async function findProgram(
  name: string,
  env: Environment,
  outside: readonly string[] = [],
): Promise<string | null> {
  const home = env['HOME'] ?? '/';
  const barred = outside.filter((folder) => folder !== '/' && !isInside(home, folder));
  for (const folder of safePath(env['PATH']).split(delimiter)) {
    if (folder === '' || barred.some((each) => isInside(folder, each))) continue;
    const file = join(folder, name);
    if (isProgram(file)) return file;
  }
  return null;
}

/** At once: the answer is in the kernel's memory, a thread would be longer on its way than the question takes. */
function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

export async function findGit(env: Environment, outside: readonly string[] = []): Promise<string> {
  const git = await findProgram('git', env, outside);
  if (git !== null) return git;
  throw new DatamonError('NOT_FOUND', 'git is not on the PATH', {
    hint: 'Install git, then run: datamon doctor',
  });
}
