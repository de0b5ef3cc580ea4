/** Hosts that have a data set already, for works whose subject is what comes after the first push. */
import type { Bench } from './bench.ts';
import { Project } from './git-project.ts';
import type { LfsHost, LfsProgram } from './lfs-program.ts';
import type { Template } from './template.ts';

export interface Pushed {
  readonly name: string;
  readonly ours: boolean;
  readonly host: LfsHost;
  readonly project: Project;
}

/** All is pushed before the work begins, to servers that then stay; they idle while others are measured. */
export async function withPushed(
  bench: Bench,
  options: {
    readonly programs: readonly LfsProgram[];
    readonly template: Template;
    readonly roundTripMs?: number;
  },
  work: (pushed: readonly Pushed[]) => Promise<unknown>,
): Promise<void> {
  const { rig } = bench;
  const { programs, template, roundTripMs = 0 } = options;
  const pushed: Pushed[] = [];
  const opened: LfsHost[] = [];
  try {
    for (const program of programs) {
      await bench.attempt(program, async () => {
        const host = await program.start(rig, roundTripMs === 0 ? {} : { front: { roundTripMs } });
        opened.push(host);
        const project = await Project.create({ rig, host, template, repo: 'data' });
        await project.push();
        pushed.push({ name: program.name, ours: program.ours, host, project });
      });
    }
    await rig.settle();
    await work(pushed);
  } finally {
    for (const host of opened) await host.close();
    for (const { project } of pushed) await project.remove();
  }
}
