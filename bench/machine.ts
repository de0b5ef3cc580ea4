/** What the figures were measured on: hardware, file system, and the versions of what takes part without being a peer. */
import { readFile } from 'node:fs/promises';
import { availableParallelism, cpus, loadavg, release, totalmem, type } from 'node:os';
import { probeTool } from './lfs-program.ts';
import type { Machine, ProgramReport } from './model.ts';
import type { Rig } from './rig.ts';

export async function describeMachine(rig: Rig): Promise<Machine> {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    system: `${type()} ${release()}, ${await distribution()}`,
    fileSystem: await fileSystemOf(rig, rig.root),
  };
}

/** Load over the last minute. */
export const load = (): number => Math.round((loadavg()[0] ?? 0) * 100) / 100;

export async function toolVersions(rig: Rig): Promise<readonly ProgramReport[]> {
  const tools = [
    { name: 'git', program: 'git', args: ['--version'] },
    { name: 'git-lfs', program: 'git-lfs', args: ['version'] },
    { name: 'node', program: rig.nodePath, args: ['--version'] },
  ];
  const reports: ProgramReport[] = [];
  for (const { name, program, args } of tools) {
    reports.push({ name, presence: await probeTool(rig, name, { program, args }) });
  }
  return reports;
}

async function distribution(): Promise<string> {
  const text = await readFile('/etc/os-release', 'utf8').catch(() => '');
  return /^PRETTY_NAME="(.*)"$/m.exec(text)?.[1] ?? 'unknown';
}

async function fileSystemOf(rig: Rig, dir: string): Promise<string> {
  const args = ['--output=fstype,source', dir];
  const { stdout } = await rig.run({ program: 'df', args, cwd: dir, env: rig.env('plain') });
  return (stdout.trim().split('\n').at(-1) ?? 'unknown').trim().replace(/\s+/g, ' on ');
}
