/** Keeps compiled code between starts: git starts our programs many times, and compiling is most of a start. Never fails one. */
import { enableCompileCache } from 'node:module';
import { isAbsolute, join } from 'node:path';

/** Called by a main.ts before it loads the rest. A machine without a home, or with Node's own switch, does without. */
export function keepCompiledCode(env: Readonly<Record<string, string | undefined>>): void {
  const folder = compileCacheFolder(env);
  if (folder === null) return;
  try {
    enableCompileCache(folder);
  } catch {
    // Slower, and nothing else.
  }
}

/** `$XDG_CACHE_HOME/datamon/node`, below the home folder by default; never one that others can write to, like `/tmp`. */
export function compileCacheFolder(
  env: Readonly<Record<string, string | undefined>>,
): string | null {
  const { XDG_CACHE_HOME: cache, HOME: home } = env;
  if (cache !== undefined && isAbsolute(cache)) return join(cache, 'datamon', 'node');
  if (home === undefined || !isAbsolute(home)) return null;
  return join(home, '.cache', 'datamon', 'node');
}
