/**
 * What a work is given: the room, the sizes, who takes part, and the one way to take turns and to note what was measured. Promise: a
 * peer that fails is named and left out, and stops nothing; a failure of datamon itself is kept as such.
 */
import type { Archiver } from './archiver.ts';
import type { LfsProgram } from './lfs-program.ts';
import type { Metric, Series, Target, WorkId } from './model.ts';
import { formatValue } from './report-text.ts';
import type { Rig } from './rig.ts';
import type { Sizes } from './sizes.ts';
import type { Templates } from './templates.ts';

export interface Work {
  readonly id: WorkId;
  readonly title: string;
  readonly targets: readonly Target[];
  run(bench: Bench): Promise<void>;
}

export interface Sample {
  readonly case: string;
  readonly program: string;
  readonly values: Readonly<Partial<Record<Metric, number>>>;
}

export interface BenchOptions {
  readonly rig: Rig;
  readonly sizes: Sizes;
  readonly rounds: number;
  readonly templates: Templates;
  /** Those that are here. */
  readonly lfsPrograms: readonly LfsProgram[];
  readonly archivers: readonly Archiver[];
  /** Says what is being done; for whoever waits. */
  readonly say: (line: string) => void;
}

interface Participant {
  readonly name: string;
  readonly ours: boolean;
}

interface GrowingSeries extends Series {
  readonly samples: number[];
}

export class Bench {
  readonly rig: Rig;
  readonly sizes: Sizes;
  readonly rounds: number;
  readonly templates: Templates;
  readonly lfsPrograms: readonly LfsProgram[];
  readonly archivers: readonly Archiver[];
  readonly #say: (line: string) => void;
  readonly #series: GrowingSeries[] = [];
  readonly #notes = new Set<string>();
  readonly #failures: string[] = [];

  constructor(options: BenchOptions) {
    this.rig = options.rig;
    this.sizes = options.sizes;
    this.rounds = options.rounds;
    this.templates = options.templates;
    this.lfsPrograms = options.lfsPrograms;
    this.archivers = options.archivers;
    this.#say = options.say;
  }

  get series(): readonly Series[] {
    return this.#series;
  }

  get notes(): readonly string[] {
    return [...this.#notes];
  }

  get failures(): readonly string[] {
    return this.#failures;
  }

  record({ case: name, program, values }: Sample): void {
    const shown: string[] = [];
    for (const [metric, value] of Object.entries(values) as [Metric, number][]) {
      shown.push(formatValue(value, metric));
      let series = this.#series.find(
        (one) => one.case === name && one.program === program && one.metric === metric,
      );
      if (series === undefined) {
        series = { case: name, program, metric, samples: [] };
        this.#series.push(series);
      }
      series.samples.push(value);
    }
    this.#say(`  ${name}, ${program}: ${shown.join(', ')}`);
  }

  note(text: string): void {
    this.#notes.add(text);
  }

  say(text: string): void {
    this.#say(text);
  }

  /** A B A B: each takes its turn in each round; who failed takes no more. Returns those that are left. */
  async takeTurns<T extends Participant>(
    participants: readonly T[],
    turn: (participant: T, round: number) => Promise<void>,
    rounds = this.rounds,
  ): Promise<readonly T[]> {
    let left = participants;
    for (let round = 0; round < rounds; round += 1) {
      // Every other round the other way round, so that nobody always runs behind the same neighbour.
      const order = round % 2 === 0 ? left : left.toReversed();
      for (const participant of order) {
        if (await this.attempt(participant, () => turn(participant, round))) continue;
        left = left.filter((one) => one !== participant);
      }
    }
    return left;
  }

  /** True where it went well. A stop of the whole run is no failure of a program's. */
  async attempt({ name, ours }: Participant, turn: () => Promise<void>): Promise<boolean> {
    try {
      await turn();
      return true;
    } catch (error) {
      this.rig.throwIfStopped();
      const { message } = error as Error;
      this.#say(`  ${name} failed: ${message}`);
      if (ours) this.#failures.push(`${name}: ${message}`);
      else this.#notes.add(`${name} failed and is left out: ${firstLine(message)}`);
      return false;
    }
  }
}

/** Rounds of work that takes many minutes each. */
const LONG_ROUNDS_MAX = 3;

export const longRounds = (rounds: number): number => Math.min(rounds, LONG_ROUNDS_MAX);

/** Who takes part at a distance: near by everybody; far away those that a network lies before, and of the peers the first one. */
export function peersFor(
  programs: readonly LfsProgram[],
  where: { readonly roundTripMs: number; readonly peers: readonly string[] },
): readonly LfsProgram[] {
  if (where.roundTripMs === 0) return programs;
  return oursAndFirst(programs, where.peers).filter(({ hasNetwork }) => hasNetwork);
}

/** datamon by its agent, and of those peers the first one that is here: where the others would take an hour and no target names them. */
export function oursAndFirst(
  programs: readonly LfsProgram[],
  peers: readonly string[],
): readonly LfsProgram[] {
  const first = peers.find((name) => programs.some((program) => program.name === name));
  return programs.filter(({ name, ours, isBasic }) => (ours && isBasic !== true) || name === first);
}

const firstLine = (text: string): string => (text.split('\n')[0] ?? '').slice(0, 300);
