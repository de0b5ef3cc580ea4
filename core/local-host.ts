/** Who this process is to others on its machine, so that what dead processes left can be told from what living ones are busy with. */
import { randomBytes } from 'node:crypto';
import { readFile, readlink } from 'node:fs/promises';
import { digestOf } from './digest.ts';

/** The process that writes, as far as others can check on it. */
export interface LocalHost {
  /** 12 hex digits: equal for processes that see each other's process ids, and new after each boot. */
  readonly id: string;
  readonly pid: number;
  isAlive(pid: number): Promise<boolean>;
}

/** Linux tells all of it below /proc; elsewhere every process is a stranger to every other. */
export async function currentHost(): Promise<LocalHost> {
  try {
    const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8');
    const pids = await readlink('/proc/self/ns/pid');
    const pid = Number(await readlink('/proc/self'));
    if (!Number.isSafeInteger(pid)) return stranger();
    return { id: digestOf(`${boot}\n${pids}`).slice(0, 12), pid, isAlive: isAliveBelowProc };
  } catch {
    return stranger();
  }
}

async function isAliveBelowProc(pid: number): Promise<boolean> {
  try {
    await readlink(`/proc/${pid}/cwd`);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ENOENT';
  }
}

function stranger(): LocalHost {
  return { id: randomBytes(6).toString('hex'), pid: 0, isAlive: async () => true };
}
