#!/usr/bin/env node
/** The `git-lfs-datamon` process, which git-lfs starts and talks to on stdin and stdout. `datamon agent` loads the same `main`. */
import { realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { keepCompiledCode } from '../core/compile-cache.ts';
import { EXIT, type ExitStatus, type Io } from '../core/io.ts';

export async function main(_argv: readonly string[], io: Io): Promise<ExitStatus> {
  keepCompiledCode(io.env);
  // git is asked while the rest is loaded, and before it: the answer to `init` waits for both.
  const { openClone } = await import('./clone.ts');
  const clone = openClone(io.cwd, io.env);
  // Who waits for it hears of it.
  clone.catch(() => {});
  const { runAgent } = await import('./program.ts');
  return runAgent(io, {
    pid: process.pid,
    openClone: () => clone,
    onFirstContact: async (clone) => {
      const { installHooksOnce } = await import('./first-contact.ts');
      await installHooksOnce(clone, io.env);
    },
  });
}

const [, started] = process.argv;
if (started !== undefined && realpathSync(started) === fileURLToPath(import.meta.url)) {
  const stop = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => (stop.signal.aborted ? process.exit(EXIT.interrupted) : stop.abort()));
  }
  const { stdin, stdout, stderr, env } = process;
  const io = { stdin, stdout, stderr, env, cwd: process.cwd(), isTerminal: false };
  process.exit(await main([], { ...io, signal: stop.signal }));
}
