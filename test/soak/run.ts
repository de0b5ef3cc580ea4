/** Runs one kind in a folder of its own and tells how it went; who calls prints and keeps it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Broken, SoakKind, SoakOptions } from './kind.ts';

const BROKEN_COUNT_MAX = 10;

export interface SoakRun {
  readonly done: number;
  readonly seconds: number;
  readonly broken: readonly Broken[];
  readonly facts: Readonly<Record<string, number>>;
}

export interface RunOptions extends Pick<SoakOptions, 'count' | 'seed' | 'starts' | 'planted'> {
  readonly print: (line: string) => void;
  /** Whether the folder of a run that broke is kept for a look. */
  readonly keep: 'if broken' | 'never';
  /** Milliseconds between two lines of progress. */
  readonly everyMs?: number;
  /** Ends the run early; what was done by then counts. */
  readonly signal?: AbortSignal;
}

export async function runKind(kind: SoakKind, options: RunOptions): Promise<SoakRun> {
  const { print, keep, everyMs = 10_000, signal, ...rest } = options;
  const folder = await mkdtemp(join(tmpdir(), `datamon-soak-${kind.name}-`));
  const broken: Broken[] = [];
  const noted = new Set<string>();
  const began = performance.now();
  const seconds = (): number => (performance.now() - began) / 1000;
  let told = began;
  const report: SoakOptions['report'] = {
    progress(done) {
      if (performance.now() - told < everyMs) return;
      told = performance.now();
      const rate = (done / seconds()).toFixed(1);
      print(
        `${kind.name}: ${done} of ${options.count} ${kind.unit}, ${rate}/s, ${broken.length} broken`,
      );
    },
    broken(found) {
      if (broken.length >= BROKEN_COUNT_MAX) return;
      broken.push(found);
      print(`${kind.name}: BROKEN: ${found.what}\n  ${found.replay}`);
    },
    note(text) {
      if (!noted.has(text)) print(`${kind.name}: ${text}`);
      noted.add(text);
    },
    get enough() {
      return broken.length >= BROKEN_COUNT_MAX || signal?.aborted === true;
    },
  };
  try {
    const { done, facts } = await kind.run({ ...rest, folder, report });
    return { done, facts, broken, seconds: seconds() };
  } finally {
    if (broken.length === 0 || keep === 'never') await rm(folder, { recursive: true, force: true });
    else print(`${kind.name}: kept ${folder}`);
  }
}
