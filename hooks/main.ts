#!/usr/bin/env node
/** `datamon hook <name> …`: what the hooks in a clone run. Only pre-push can fail; the others never get in git's way. */
import { spawn } from 'node:child_process';
import { realpathSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { EXIT, type ExitStatus, type Io } from '../core/io.ts';
import { type HookWorld, say, sayError } from './world.ts';

export async function main(argv: readonly string[], io: Io): Promise<ExitStatus> {
  const [name = '', ...args] = argv;
  const world = realWorld(io);
  try {
    switch (name) {
      case 'pre-push':
        return await (await import('./pre-push.ts')).prePush(world, args);
      case 'reference-transaction':
        await (await import('./reference-transaction.ts')).referenceTransaction(world, args);
        return EXIT.ok;
      case 'watch':
        await (await import('./watcher.ts')).watch(world, args);
        return EXIT.ok;
      case 'reconcile':
        await (await import('./reconcile.ts')).reconcileHere(world);
        return EXIT.ok;
      default:
        say(world, `no hook is called ${JSON.stringify(name.slice(0, 80))}`);
        return EXIT.usage;
    }
  } catch (error) {
    sayError(world, error);
    return EXIT.failure;
  }
}

/** sh waits for next to nothing; Node is started only if the push left something to settle. For half a day at most. */
const WAIT = `
pid=$1 file=$2 left=216000
shift 2
while [ $left -gt 0 ] && kill -0 "$pid" 2>/dev/null; do
  sleep 0.2 2>/dev/null || sleep 1
  left=$((left - 1))
done
[ -e "$file" ] || exit 0
exec "$@"
`;

function realWorld(io: Io): HookWorld {
  return {
    io,
    pid: process.pid,
    nowMs: () => Date.now(),
    isAlive,
    sleep: (ms, signal) => sleep(ms, undefined, { signal }).catch(() => {}),
    runAfter: ({ pid, unless, args, cwd, env }) => {
      const program = [process.execPath, ...process.execArgv, ...ownProgram(), ...args];
      const child = spawn('/bin/sh', ['-c', WAIT, 'datamon', String(pid), unless, ...program], {
        cwd,
        env: env as NodeJS.ProcessEnv,
        detached: true,
        stdio: 'ignore',
      });
      child.on('error', () => {});
      child.unref();
    },
  };
}

/** How this program was started: by itself, or as `datamon hook`. */
function ownProgram(): readonly string[] {
  const [, started = ''] = process.argv;
  return isOwnFile(started) ? [started] : [started, 'hook'];
}

function isOwnFile(path: string): boolean {
  return path !== '' && realpathSync(path) === fileURLToPath(import.meta.url);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

if (isOwnFile(process.argv[1] ?? '')) {
  const stop = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => (stop.signal.aborted ? process.exit(EXIT.interrupted) : stop.abort()));
  }
  const { stdin, stdout, stderr, env } = process;
  const io = { stdin, stdout, stderr, env, cwd: process.cwd(), isTerminal: stderr.isTTY === true };
  process.exit(await main(process.argv.slice(2), { ...io, signal: stop.signal }));
}
