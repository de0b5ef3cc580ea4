/** The world of a hook: streams and environment, other processes, the clock; and how it talks. Standard error is all a person sees of a hook. */
import { DatamonError } from '../core/errors.ts';
import type { Io } from '../core/io.ts';

export interface HookWorld {
  readonly io: Io;
  /** Of this process. */
  readonly pid: number;
  nowMs(): number;
  /** Runs `datamon hook <args>` once the process has ended, unless `unless` is gone by then: apart from this one, sharing nothing with it. */
  runAfter(later: Later): void;
  isAlive(pid: number): boolean;
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

export interface Later {
  readonly pid: number;
  /** A file; where somebody removed it there is nothing left to do. */
  readonly unless: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Io['env'];
}

/** One line on standard error. */
export function say(world: HookWorld, text: string): void {
  world.io.stderr.write(`datamon: ${text}\n`);
}

/** As `say`, in yellow where a person reads it. */
export function warn(world: HookWorld, text: string): void {
  const isColored = world.io.isTerminal && (world.io.env['NO_COLOR'] ?? '') === '';
  say(world, isColored ? `\u001b[33m${text}\u001b[0m` : text);
}

/** What failed and what to run next; nothing a program would have to be read for. */
export function sayError(world: HookWorld, error: unknown): void {
  if (error instanceof DatamonError) {
    say(world, error.message);
    if (error.hint !== undefined) say(world, error.hint);
  } else {
    say(world, `unexpected: ${error instanceof Error ? error.message : String(error)}`);
    say(world, 'Please report this. Try: datamon doctor');
  }
}

const INPUT_SIZE_MAX_BYTES = 64 * 1024 * 1024;

/** Standard input to its end, as the bytes git wrote. */
export async function readInput(io: Io): Promise<Buffer> {
  const parts: Buffer[] = [];
  let sizeBytes = 0;
  for await (const part of io.stdin) {
    const bytes = Buffer.isBuffer(part) ? part : Buffer.from(part);
    sizeBytes += bytes.length;
    if (sizeBytes > INPUT_SIZE_MAX_BYTES) {
      throw new DatamonError('TOO_LARGE', 'git names more refs than a push can have');
    }
    parts.push(bytes);
  }
  return Buffer.concat(parts);
}
