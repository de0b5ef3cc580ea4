/** One run: finds out who can take part, does the works one after the other, and judges each by its own series. */
import type { Archiver } from './archiver.ts';
import { Bench, type Work } from './bench.ts';
import type { LfsProgram } from './lfs-program.ts';
import { describeMachine, load, toolVersions } from './machine.ts';
import type { ProgramReport, Report, WorkReport } from './model.ts';
import type { Rig } from './rig.ts';
import type { Sizes } from './sizes.ts';
import { judge } from './statistics.ts';
import { Templates } from './templates.ts';

export interface RunOptions {
  readonly rig: Rig;
  readonly works: readonly Work[];
  readonly sizes: Sizes;
  readonly rounds: number;
  readonly lfsPrograms: readonly LfsProgram[];
  readonly archivers: readonly Archiver[];
  readonly say: (line: string) => void;
  /** Told after each work, so that a run that is cut short has not measured for nothing. */
  readonly onWork?: (report: Report) => Promise<void>;
}

export async function runBench(options: RunOptions): Promise<Report> {
  const { rig, sizes, say } = options;
  const at = new Date().toISOString();
  const machine = await describeMachine(rig);
  const { present, programs } = await probeAll(options);
  const templates = new Templates(rig, sizes, say);
  const works: WorkReport[] = [];
  const report = (): Report => ({
    format: 'datamon-bench',
    version: 1,
    at,
    size: sizes.name,
    machine,
    programs,
    works,
  });
  for (const work of options.works) {
    say(`${work.id} ${work.title}`);
    works.push(await runWork(work, { ...options, ...present, templates }, programs));
    await options.onWork?.(report());
  }
  return report();
}

interface Present {
  readonly lfsPrograms: readonly LfsProgram[];
  readonly archivers: readonly Archiver[];
}

async function probeAll(
  options: RunOptions,
): Promise<{ readonly present: Present; readonly programs: readonly ProgramReport[] }> {
  const { rig, say } = options;
  const programs: ProgramReport[] = [...(await toolVersions(rig))];
  const probe = async <T extends LfsProgram | Archiver>(all: readonly T[]): Promise<T[]> => {
    const here: T[] = [];
    for (const one of all) {
      const presence = await one.probe(rig);
      programs.push({ name: one.name, presence });
      if (presence.kind === 'here') here.push(one);
      else say(`${one.name} does not take part: ${presence.why}`);
    }
    return here;
  };
  const lfsPrograms = await probe(options.lfsPrograms);
  const archivers = await probe(options.archivers);
  return { present: { lfsPrograms, archivers }, programs };
}

async function runWork(
  work: Work,
  options: RunOptions & { readonly templates: Templates },
  programs: readonly ProgramReport[],
): Promise<WorkReport> {
  const bench = new Bench(options);
  const at = new Date().toISOString();
  const began = performance.now();
  const loadBefore = load();
  await bench.attempt({ name: work.id, ours: true }, () => work.run(bench));
  const { series, notes, failures } = bench;
  return {
    id: work.id,
    title: work.title,
    at,
    datamon: versionOf(programs, 'datamon-server'),
    rounds: options.rounds,
    seconds: Math.round((performance.now() - began) / 1000),
    load: [loadBefore, load()],
    series,
    verdicts: judge(work.targets, series),
    notes,
    failures,
  };
}

function versionOf(programs: readonly ProgramReport[], name: string): string {
  const presence = programs.find((program) => program.name === name)?.presence;
  return presence?.kind === 'here' ? presence.version : 'unknown';
}
