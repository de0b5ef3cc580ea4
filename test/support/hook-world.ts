/** A `HookWorld` without a process: what it said is kept, its clock stands still. */
import { PassThrough } from 'node:stream';
import type { HookWorld, Later } from '../../hooks/world.ts';

export interface RecordedHookWorld extends HookWorld {
  /** What was written to standard error. */
  said(): string;
  readonly later: readonly Later[];
}

export function hookWorld(options: {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly nowMs?: number;
  readonly alive?: readonly number[];
  readonly input?: string;
  readonly isTerminal?: boolean;
}): RecordedHookWorld {
  const stdin = new PassThrough();
  stdin.end(options.input ?? '');
  const stderr = new PassThrough();
  const later: Later[] = [];
  const said: Buffer[] = [];
  stderr.on('data', (bytes: Buffer) => said.push(bytes));
  return {
    io: {
      stdin,
      stdout: new PassThrough().resume(),
      stderr,
      env: options.env,
      cwd: options.cwd,
      signal: new AbortController().signal,
      isTerminal: options.isTerminal ?? false,
    },
    pid: 1,
    nowMs: () => options.nowMs ?? 0,
    runAfter: (task) => later.push(task),
    isAlive: (pid) => (options.alive ?? []).includes(pid),
    sleep: () => Promise.resolve(),
    said: () => {
      for (let part = stderr.read(); part !== null; part = stderr.read()) said.push(part);
      return Buffer.concat(said).toString('utf8');
    },
    later,
  };
}
