/** What a kind of soak run is: one thing done very often, each time a little differently, by a seed; and what it reports. */

export interface Broken {
  readonly what: string;
  /** One line that brings it about again. */
  readonly replay: string;
}

export interface Report {
  /** So many are done by now. */
  progress(done: number): void;
  broken(broken: Broken): void;
  /** Said once, at once: what this machine cannot do, say. */
  note(text: string): void;
  /** Whether so much broke that going on tells nothing new. */
  readonly enough: boolean;
}

export interface SoakOptions {
  readonly count: number;
  readonly seed: number;
  /** An empty folder, removed afterwards. */
  readonly folder: string;
  readonly report: Report;
  /** How often programs are started: `often` is worth building them first. */
  readonly starts: 'few' | 'often';
  /** A mistake to make on purpose, by its name in the kind: tests of the tests. */
  readonly planted?: string;
}

export interface SoakResult {
  /** Of the kind's unit. */
  readonly done: number;
  /** Numbers worth keeping, by name. */
  readonly facts: Readonly<Record<string, number>>;
}

export interface SoakKind {
  readonly name: string;
  /** What is counted: `kills`, `states`. */
  readonly unit: string;
  /** One sentence: what holds if nothing breaks. */
  readonly promise: string;
  /** How many a run does unless told otherwise, and how many are done in each CI run. */
  readonly defaultCount: number;
  readonly sliceCount: number;
  /** Mistakes that `planted` knows; each must be seen within `sliceCount`. */
  readonly plants: readonly string[];
  run(options: SoakOptions): Promise<SoakResult>;
}

/** The line that runs this one again. */
export const replayLine = (kind: string, seed: number, more = ''): string =>
  `npm run soak -- --only ${kind} --count 1 --seed ${seed}${more}`;
