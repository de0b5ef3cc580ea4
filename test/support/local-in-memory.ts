/** A local store on a file system in memory, and the calls it makes there. */
import { openLocalBackend } from '../../backends/local.ts';
import type { Backend } from '../../core/backend/backend.ts';
import type { LocalHost } from '../../core/local-host.ts';
import { CrashFs } from './crash-fs.ts';

export const ROOT = '/data/store';
const host: LocalHost = { id: 'aaaaaaaaaaaa', pid: 1, isAlive: async (pid) => pid === 1 };

export const openOn = (fs: CrashFs): Promise<Backend> => openLocalBackend(ROOT, { fs, host });

export async function openInMemory(): Promise<{ fs: CrashFs; backend: Backend }> {
  const fs = new CrashFs('/data');
  return { fs, backend: await openOn(fs) };
}

/** The calls that `work` makes. */
export async function stepsOf(fs: CrashFs, work: () => Promise<unknown>): Promise<string[]> {
  const before = fs.steps.length;
  await work();
  return fs.steps.slice(before);
}
