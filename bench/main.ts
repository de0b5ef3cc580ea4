/** The `npm run bench` process: arguments and signals in; tables on stdout, talk on stderr; status 1 where datamon itself failed. */
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { DatamonError, type ErrorCode } from '../core/errors.ts';
import { EXIT, type ExitStatus } from '../core/io.ts';
import type { Report } from './model.ts';
import { type BenchCommand, parseOptions, USAGE } from './options.ts';
import { ARCHIVERS, LFS_PROGRAMS, WORKS } from './programs.ts';
import { formatReport } from './report-text.ts';
import { writeDocs, writeReport } from './results.ts';
import { Rig } from './rig.ts';
import { runBench } from './run.ts';
import { SIZES } from './sizes.ts';

const project = resolve(import.meta.dirname, '..');
const results = join(project, 'bench', 'results');

const stop = new AbortController();
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(name, () => stop.abort(new DatamonError('CANCELLED', 'stopped')));
}

const print = (text: string): boolean => process.stdout.write(`${text}\n`);
const seconds = (): string => `${Math.round(performance.now() / 1000)} s`.padStart(7);
const say = (text: string): boolean => process.stderr.write(`bench ${seconds()}  ${text}\n`);

async function main(argv: readonly string[]): Promise<ExitStatus> {
  const command = parseOptions(argv);
  if (command.kind === 'help') print(USAGE);
  else if (command.kind === 'list') for (const { id, title } of WORKS) print(`${id}  ${title}`);
  else return report(command);
  return EXIT.ok;
}

async function report(command: BenchCommand): Promise<ExitStatus> {
  const made = await measure(command);
  print(formatReport(made));
  const failures = made.works.flatMap((work) => work.failures.map((text) => `${work.id}: ${text}`));
  if (command.writeDocs && failures.length > 0) say('docs/performance.md is left as it was');
  else if (command.writeDocs) {
    const page = join(project, 'docs', 'performance.md');
    await writeDocs({ page, json: join(results, 'performance.json') }, made);
    say('docs/performance.md is written');
  }
  for (const failure of failures) say(failure);
  return failures.length === 0 ? EXIT.ok : EXIT.failure;
}

async function measure(command: BenchCommand): Promise<Report> {
  const sizes = SIZES[command.size];
  const file = join(results, `${new Date().toISOString().replaceAll(':', '-')}.json`);
  const files = [file, ...(command.jsonFile === null ? [] : [resolve(command.jsonFile)])];
  const profileDir = command.profileDir === null ? null : resolve(command.profileDir);
  if (profileDir !== null) await mkdir(profileDir, { recursive: true });
  const rig = await Rig.open({
    parent: resolve(command.dir ?? tmpdir()),
    nodePath: process.execPath,
    path: process.env['PATH'] ?? '',
    programs: 'built',
    toolsDir: join(project, '.tools', 'bench'),
    ...(profileDir !== null && { profileDir }),
    signal: stop.signal,
  });
  const takesPart = ({ name, ours }: { readonly name: string; readonly ours: boolean }): boolean =>
    (ours || command.peers === 'all') && (command.programs?.includes(name) ?? true);
  try {
    return await runBench({
      rig,
      sizes,
      rounds: command.rounds ?? sizes.rounds,
      works: WORKS.filter(({ id }) => command.only.includes(id)),
      lfsPrograms: LFS_PROGRAMS.filter(takesPart),
      archivers: ARCHIVERS.filter(takesPart),
      say,
      onWork: async (made) => {
        for (const path of files) await writeReport(path, made);
      },
    });
  } finally {
    await rig.close();
  }
}

const STATUS: Partial<Record<ErrorCode, ExitStatus>> = {
  INVALID: EXIT.usage,
  CANCELLED: EXIT.interrupted,
};
try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof DatamonError)) throw error;
  say(error.message + (error.hint === undefined ? '' : `\n       ${error.hint}`));
  process.exitCode = STATUS[error.code] ?? EXIT.failure;
}
