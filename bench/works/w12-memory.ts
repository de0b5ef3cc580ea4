/**
 * W12: peak memory, each process by itself: of what a push, a clone and a save start, of the agent where no hook does its work, and of
 * servers that several clients push to. Nothing is timed: looking at processes costs time.
 */
import { rm } from 'node:fs/promises';
import type { Archiver } from '../archiver.ts';
import type { Bench, Work } from '../bench.ts';
import { Project } from '../git-project.ts';
import type { LfsHost, LfsProgram } from '../lfs-program.ts';
import { pushAtOnce, withClients } from '../many-clients.ts';
import { type MemoryWatch, type WatchedProcess, watchMemory } from '../memory-watch.ts';
import type { Command, Target } from '../model.ts';
import { linkFiles, type Template } from '../template.ts';
import { SERVER, STANDALONE } from './names.ts';

const AGENT = 'agent, large file up and down';
const HOOK = 'hook, push of the large file';
const SERVING = 'server, several clients at once';
const CLIENT_MAX_MIB = 256;
const SERVER_MAX_MIB = 512;

const target = (name: string, program: string, atMost: number): Target => ({
  case: name,
  program,
  metric: 'peakMib',
  bound: { atMost },
});

export const peakMemory: Work = {
  id: 'W12',
  title: 'peak memory',
  targets: [
    ...[SERVER, STANDALONE].flatMap((program) => [
      target(AGENT, program, CLIENT_MAX_MIB),
      target(HOOK, program, CLIENT_MAX_MIB),
    ]),
    target(SERVING, SERVER, SERVER_MAX_MIB),
  ],
  async run(bench) {
    const template = await bench.templates.big();
    await bench.takeTurns(bench.lfsPrograms, (program) => ofClients(bench, program, template), 1);
    const servers = bench.lfsPrograms.filter(({ hasNetwork }) => hasNetwork);
    await bench.takeTurns(servers, (program) => ofServer(bench, program), 1);
    await bench.takeTurns(bench.archivers, (archiver) => ofArchiver(bench, archiver, template), 1);
  },
};

async function ofClients(bench: Bench, program: LfsProgram, template: Template): Promise<void> {
  await withHost(bench, program, async (host) => {
    const { rig } = bench;
    const record = recorder(bench, program.name);
    const project = await Project.create({ rig, host, template, repo: 'data' });
    const pushed = await watched(bench, project.pushCommand());
    record('largest process of a push', pushed);
    const dir = rig.newPath('clone');
    const cloned = await watched(bench, project.cloneCommand(dir));
    record('largest process of a clone', cloned);
    await rm(dir, { recursive: true });
    await project.remove();
    if (!program.ours || host.home !== 'datamon') return;
    record(HOOK, pushed.filter(isHook));
    const unhooked = await Project.create({ rig, host, template, repo: 'unhooked' });
    await unhooked.leaveToGitLfs();
    const agents = [...(await watched(bench, unhooked.pushCommand())), ...cloned].filter(isAgent);
    record(AGENT, agents);
    await unhooked.remove();
  });
}

async function ofServer(bench: Bench, program: LfsProgram): Promise<void> {
  await withHost(bench, program, async (host) => {
    if (host.pid === null) return;
    const watch = watchMemory(host.pid);
    try {
      await withClients(bench, host, pushAtOnce);
    } finally {
      recorder(bench, program.name)(SERVING, await watch.stop());
    }
  });
}

async function ofArchiver(bench: Bench, archiver: Archiver, template: Template): Promise<void> {
  const { rig } = bench;
  const folder = await rig.newFolder('large');
  await linkFiles(template, 0, folder);
  const archive = await archiver.open(rig, { compression: 'none' });
  const seen: WatchedProcess[] = [];
  for (const command of archive.save(folder, 1)) seen.push(...(await watched(bench, command)));
  recorder(bench, archiver.name)('largest process of a save without git', seen);
  for (const path of [folder, archive.storeDir]) await rm(path, { recursive: true, force: true });
}

async function withHost(
  { rig }: Bench,
  program: LfsProgram,
  work: (host: LfsHost) => Promise<void>,
): Promise<void> {
  const host = await program.start(rig, {});
  try {
    await work(host);
  } finally {
    await host.close();
    await rm(host.storeDir, { recursive: true, force: true });
  }
}

/** Nothing is recorded where no such process was seen: its target then counts as not measured. */
const recorder =
  (bench: Bench, program: string) =>
  (name: string, processes: readonly WatchedProcess[]): void => {
    if (processes.length === 0) return;
    const peakMib = Math.max(...processes.map((process) => process.peakMib));
    bench.record({ case: name, program, values: { peakMib } });
  };

async function watched({ rig }: Bench, command: Command): Promise<readonly WatchedProcess[]> {
  const watches: MemoryWatch[] = [];
  try {
    await rig.run(command, { onStart: (pid) => watches.push(watchMemory(pid)) });
  } finally {
    for (const watch of watches) await watch.stop();
  }
  return (await Promise.all(watches.map((watch) => watch.stop()))).flat();
}

const isAgent = ({ command }: WatchedProcess): boolean => /\bagent\/main\.(js|ts)/.test(command);
const isHook = ({ command }: WatchedProcess): boolean =>
  /\bcli\/main\.(js|ts) hook pre-push/.test(command);
