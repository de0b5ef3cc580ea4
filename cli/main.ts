#!/usr/bin/env node
/** The `datamon` process: arguments, streams and signals in; one exit status out. Loads the other programs when asked for. */
import { fileURLToPath } from 'node:url';
import { keepCompiledCode } from '../core/compile-cache.ts';
import { EXIT } from '../core/io.ts';

// Before all that is worth keeping is loaded.
keepCompiledCode(process.env);
const { runCli } = await import('./run.ts');

const stop = new AbortController();
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(name, () => {
    // The second time is an order.
    if (stop.signal.aborted) process.exit(EXIT.interrupted);
    stop.abort();
  });
}

const io = {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  cwd: process.cwd(),
  signal: stop.signal,
  isTerminal: process.stderr.isTTY === true,
};

const status = await runCli(process.argv.slice(2), io, {
  programs: {
    serve: () => import('../lfs-server/main.ts'),
    hook: () => import('../hooks/main.ts'),
    agent: () => import('../agent/main.ts'),
  },
  nodePath: process.execPath,
  nodeVersion: process.versions.node,
  mainPath: fileURLToPath(import.meta.url),
  platform: process.platform,
});
process.exit(status);
