/** Peak memory of a process and all it starts, each process by itself: `VmHWM`, which Linux keeps for as long as the process lives. */
import { readdir, readFile } from 'node:fs/promises';

/** A process that lives shorter than this may be missed; its peak after the last look is. */
const LOOK_EVERY_MS = 25;
const KIB_PER_MIB = 1024;

export interface WatchedProcess {
  readonly pid: number;
  readonly command: string;
  readonly peakMib: number;
}

export interface MemoryWatch {
  /** What was seen, once it has ended. */
  stop(): Promise<readonly WatchedProcess[]>;
}

export function watchMemory(rootPid: number): MemoryWatch {
  const seen = new Map<number, WatchedProcess>();
  let stopped = false;
  const looking = (async () => {
    while (!stopped) {
      await look(rootPid, seen);
      await new Promise((later) => setTimeout(later, LOOK_EVERY_MS));
    }
  })();
  return {
    async stop() {
      await look(rootPid, seen);
      stopped = true;
      await looking;
      return [...seen.values()];
    },
  };
}

/** The peak of a process that still lives. */
export async function peakMibOf(pid: number): Promise<number> {
  const watch = watchMemory(pid);
  const own = (await watch.stop()).find((process) => process.pid === pid);
  if (own === undefined) throw new Error(`process ${pid} does not tell its peak`);
  return own.peakMib;
}

async function look(rootPid: number, seen: Map<number, WatchedProcess>): Promise<void> {
  for (const pid of await descendantsOf(rootPid)) {
    const process = await readProcess(pid);
    // A process that was forked and not yet executed has its parent's name and no peak of its own.
    if (process !== null) seen.set(pid, process);
  }
}

async function descendantsOf(rootPid: number): Promise<readonly number[]> {
  const parents = new Map<number, number>();
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const stat = await readFile(`/proc/${name}/stat`, 'utf8').catch(() => '');
    // The name stands in parentheses and may hold anything.
    const [, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (parent !== undefined) parents.set(Number(name), Number(parent));
  }
  const isBelow = (pid: number): boolean => {
    for (let at: number | undefined = pid; at !== undefined && at > 1; at = parents.get(at)) {
      if (at === rootPid) return true;
    }
    return false;
  };
  return [...parents.keys()].filter(isBelow);
}

async function readProcess(pid: number): Promise<WatchedProcess | null> {
  const [status, command] = await Promise.all([
    readFile(`/proc/${pid}/status`, 'utf8').catch(() => ''),
    readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => ''),
  ]);
  const [, kib] = /^VmHWM:\s+(\d+) kB/m.exec(status) ?? [];
  if (kib === undefined) return null;
  return {
    pid,
    command: command.replaceAll('\0', ' ').trim(),
    peakMib: Math.ceil(Number(kib) / KIB_PER_MIB),
  };
}
