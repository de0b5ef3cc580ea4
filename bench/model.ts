/** What a benchmark is made of: programs that take part, samples of what they did, targets, and the report of a run. Types only. */

/** Whether a program can take part on this machine. */
export type Presence =
  | { readonly kind: 'here'; readonly version: string }
  | { readonly kind: 'absent'; readonly why: string };

/** A program to be run to its end. */
export interface Command {
  readonly program: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** Statuses other than 0 that are as good. */
  readonly alsoFine?: readonly number[];
}

export interface Ran {
  readonly seconds: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** What is measured, each in one unit. Less is better but for rates. */
export const UNITS = {
  seconds: 's',
  storedBytes: 'B',
  sentBytes: 'B',
  fetchedBytesPerByteRead: '×',
  requests: '',
  requestsPerSecond: '/s',
  latencyMs: 'ms',
  latencyP99Ms: 'ms',
  peakMib: 'MiB',
} as const;

export type Metric = keyof typeof UNITS;

/** All that one program did in one case of one work, sample by sample. */
export interface Series {
  readonly case: string;
  readonly program: string;
  readonly metric: Metric;
  readonly samples: readonly number[];
}

export type Bound = { readonly atMost: number } | { readonly atLeast: number };

/** A promise of the project: `program`'s median against a peer's in the same run, or against a number of its own. */
export interface Target {
  readonly case: string;
  readonly program: string;
  readonly metric: Metric;
  /** Peers in order of preference: the first is the one meant, the others stand in for it. None: the bound is absolute. */
  readonly against?: readonly string[];
  /** The case of the peer's series, where it has another name. */
  readonly againstCase?: string;
  readonly bound: Bound;
}

export interface Verdict {
  readonly target: Target;
  /** The peer that was there; null for absolute bounds or where none was. */
  readonly peer: string | null;
  /** Ratio of medians, or the median itself; null where it was not measured. */
  readonly seen: number | null;
  readonly outcome: 'met' | 'missed' | 'not measured';
}

/** Works by the ids the project knows them by. */
export type WorkId = `W${number}`;

export interface WorkReport {
  readonly id: WorkId;
  readonly title: string;
  /** When it began, RFC 3339. */
  readonly at: string;
  readonly datamon: string;
  readonly rounds: number;
  readonly seconds: number;
  /** Load of the machine over a minute, before and after. */
  readonly load: readonly [number, number];
  readonly series: readonly Series[];
  readonly verdicts: readonly Verdict[];
  /** Whatever a reader of the figures must know: stand-ins, programs that failed. */
  readonly notes: readonly string[];
  /** Failures of datamon itself or of its checks: the run ends with status 1. */
  readonly failures: readonly string[];
}

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly system: string;
  /** Of the folder the work is done in. */
  readonly fileSystem: string;
}

export interface ProgramReport {
  readonly name: string;
  readonly presence: Presence;
}

export interface Report {
  readonly format: 'datamon-bench';
  readonly version: 1;
  readonly at: string;
  readonly size: SizeName;
  readonly machine: Machine;
  readonly programs: readonly ProgramReport[];
  readonly works: readonly WorkReport[];
}

export type SizeName = 'full' | 'quick' | 'tiny';
