/**
 * The agent's own log, since git-lfs hides stderr. Bounded: one old file is kept, and a process writes only so much.
 * Secrets are blacked out. A log that cannot be written never fails a transfer.
 */
import { appendFileSync, mkdirSync, renameSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';

export type Log = (text: string) => void;

export const LOG_SIZE_MAX_BYTES = 1024 * 1024;
const LINE_LENGTH_MAX = 2000;

const SECRETS: readonly (readonly [RegExp, string])[] = [
  [/\b(Bearer|Basic|RemoteAuth|Token)\s+[A-Za-z0-9+/=._~-]+/gi, '$1 ***'],
  [/\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*/g, '***'],
  [/\b([a-z][a-z0-9+.-]*:\/\/)[^\s/@]+@/gi, '$1***@'],
  [/\b((?:[a-z_-]*token|password|signature|x-[a-z-]*(?:signature|credential))=)[^&\s]+/gi, '$1***'],
];

/** The text without anything that opens a door. */
export function redact(text: string): string {
  return SECRETS.reduce((shown, [pattern, mask]) => shown.replace(pattern, mask), text);
}

/** `$XDG_STATE_HOME/datamon/log/agent.log`, or null where there is no home. */
export function logPath(env: Readonly<Record<string, string | undefined>>): string | null {
  const state = env['XDG_STATE_HOME'];
  const home = env['HOME'];
  if (state?.startsWith('/')) return join(state, 'datamon', 'log', 'agent.log');
  return home?.startsWith('/')
    ? join(home, '.local', 'state', 'datamon', 'log', 'agent.log')
    : null;
}

export interface LogOptions {
  readonly path: string | null;
  readonly pid: number;
  readonly now: () => Date;
}

export function createLogFile({ path, pid, now }: LogOptions): Log {
  if (path === null) return () => undefined;
  let leftBytes = LOG_SIZE_MAX_BYTES;
  let isUsable = prepare(path);
  return (text) => {
    if (!isUsable) return;
    const flat = redact(text).replaceAll(/\s+/g, ' ').slice(0, LINE_LENGTH_MAX);
    const line = `${now().toISOString()} ${pid} ${flat}\n`;
    leftBytes -= Buffer.byteLength(line);
    if (leftBytes < 0) isUsable = false;
    else isUsable = attempt(() => appendFileSync(path, line, { mode: 0o600 }));
  };
}

function prepare(path: string): boolean {
  return attempt(() => {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const sizeBytes = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
    if (sizeBytes > LOG_SIZE_MAX_BYTES) renameSync(path, `${path}.1`);
  });
}

function attempt(action: () => void): boolean {
  try {
    action();
    return true;
  } catch {
    return false;
  }
}
