/**
 * Figures of collection, for a machine left alone: schedules of the model and of the real code, kills at every call, a year of
 * maintenance. `node test/figures/collection.ts [SEED]`; exit status 1 where anything was lost.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { disturbEverywhere, setScene } from '../core/collect/crash-run.ts';
import { runModel } from '../core/collect/model-run.ts';
import { runReal } from '../core/collect/real-run.ts';
import { oneYear } from '../core/collect/year-run.ts';

const MODEL_SCHEDULES = 1_000_000;
const REAL_SCHEDULES = 10_000;

const seed = Number(process.argv[2] ?? 1);
const spoolDir = await mkdtemp(join(tmpdir(), 'datamon-figures-'));

async function figure(name: string, work: () => Promise<{ readonly ok: boolean }>): Promise<void> {
  const start = performance.now();
  const result = await work();
  const seconds = Math.round((performance.now() - start) / 100) / 10;
  process.stdout.write(`${JSON.stringify({ name, seed, seconds, ...result })}\n`);
  if (!result.ok) process.exitCode = 1;
}

try {
  await figure('model', async () => {
    const result = runModel({ seed, schedules: MODEL_SCHEDULES });
    return { ...result, ok: result.broken === null };
  });
  await figure('real code', async () => {
    const result = await runReal({ seed, schedules: REAL_SCHEDULES, spoolDir });
    return { ...result, ok: result.lost === null };
  });
  await figure('disturbed at every call', async () => {
    const result = await disturbEverywhere(await setScene(spoolDir), 1);
    return { ...result, ok: true };
  });
  await figure('a year', async () => {
    const result = await oneYear({ seed, spoolDir });
    return { ...result, ok: result.lost.length === 0 && result.leaked === 0 };
  });
} finally {
  await rm(spoolDir, { recursive: true, force: true });
}
