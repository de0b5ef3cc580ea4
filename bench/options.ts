/** The command line of `npm run bench`, parsed. INVALID names what is wrong. */
import { parseArgs } from 'node:util';
import { DatamonError } from '../core/errors.ts';
import type { SizeName } from './model.ts';
import { ARCHIVERS, LFS_PROGRAMS, WORKS } from './programs.ts';

export const USAGE = `npm run bench -- [OPTIONS]

  --only W1,W3     these works alone
  --quick          small sizes: tries everything in minutes; the figures mean nothing
  --rounds N       rounds of each work (default: 5, with --quick 2)
  --no-peers       datamon alone
  --programs A,B   these programs alone
  --json FILE      the report as JSON there too; one goes into bench/results/ anyway
  --dir DIR        where to work (default: the system's temp folder); 40 GiB for the full sizes
  --profile DIR    a V8 profile of every datamon process there; the figures are worth less then
  --write-docs     puts the works that were run into docs/performance.md; full sizes only
  --list           names the works
`;

export interface BenchCommand {
  readonly kind: 'run' | 'list' | 'help';
  readonly only: readonly string[];
  readonly size: SizeName;
  readonly rounds: number | null;
  readonly peers: 'all' | 'none';
  /** Null: all. */
  readonly programs: readonly string[] | null;
  readonly jsonFile: string | null;
  readonly dir: string | null;
  readonly profileDir: string | null;
  readonly writeDocs: boolean;
}

const ROUNDS_MAX = 100;

export function parseOptions(argv: readonly string[]): BenchCommand {
  const values = parse(argv);
  const size: SizeName = values.quick === true ? 'quick' : 'full';
  if (values['write-docs'] === true && size !== 'full') {
    throw refuse('docs/performance.md is written from the full sizes: leave --quick out');
  }
  if (values['write-docs'] === true && values.profile !== undefined) {
    throw refuse('docs/performance.md is not written from profiled runs: leave --profile out');
  }
  return {
    kind: values.help === true ? 'help' : values.list === true ? 'list' : 'run',
    only: parseOnly(values.only),
    size,
    rounds: parseRounds(values.rounds),
    peers: values['no-peers'] === true ? 'none' : 'all',
    programs: parsePrograms(values.programs),
    jsonFile: values.json ?? null,
    dir: values.dir ?? null,
    profileDir: values.profile ?? null,
    writeDocs: values['write-docs'] === true,
  };
}

function parse(argv: readonly string[]) {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        only: { type: 'string' },
        quick: { type: 'boolean' },
        rounds: { type: 'string' },
        'no-peers': { type: 'boolean' },
        programs: { type: 'string' },
        json: { type: 'string' },
        dir: { type: 'string' },
        profile: { type: 'string' },
        'write-docs': { type: 'boolean' },
        list: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    });
    return values;
  } catch (cause) {
    throw refuse((cause as Error).message, cause);
  }
}

function parseOnly(text: string | undefined): readonly string[] {
  const known: readonly string[] = WORKS.map(({ id }) => id);
  if (text === undefined) return known;
  const asked = text.split(',').map((id) => id.trim().toUpperCase());
  const unknown = asked.find((id) => !known.includes(id));
  if (unknown !== undefined) {
    throw refuse(`--only: there is no work ${JSON.stringify(unknown)}, only ${known.join(', ')}`);
  }
  return asked;
}

function parsePrograms(text: string | undefined): readonly string[] | null {
  if (text === undefined) return null;
  const known = [...LFS_PROGRAMS, ...ARCHIVERS].map(({ name }) => name);
  const asked = text.split(',').map((name) => name.trim());
  const unknown = asked.find((name) => !known.includes(name));
  if (unknown === undefined) return asked;
  throw refuse(
    `--programs: there is no program ${JSON.stringify(unknown)}, only ${known.join(', ')}`,
  );
}

function parseRounds(text: string | undefined): number | null {
  if (text === undefined) return null;
  const rounds = Number(text);
  if (Number.isInteger(rounds) && rounds >= 1 && rounds <= ROUNDS_MAX) return rounds;
  throw refuse(`--rounds takes a number from 1 to ${ROUNDS_MAX}, not ${JSON.stringify(text)}`);
}

const refuse = (message: string, cause?: unknown): DatamonError =>
  new DatamonError('INVALID', message, { cause, hint: 'npm run bench -- --help' });
