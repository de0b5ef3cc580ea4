/**
 * Peak memory of agent and server while a generated file passes: `node test/figures/memory-programs.ts [MiB]`, 4096 by default. One
 * JSON line for each way and direction. Needs five times that much room in the temp folder; removes all of it.
 */
import { rm } from 'node:fs/promises';
import { generateFile, passBothWays } from '../e2e/support/memory-pass.ts';
import { Stage } from '../e2e/support/stage.ts';

const TIMEOUT_MS = 20 * 60_000;

const sizeMib = Number(process.argv[2] ?? 4096);
const stage = await Stage.set({ server: 'running' });
try {
  const file = await generateFile(stage.world.root, sizeMib);
  for (const way of ['basic', 'datamon', 'standalone'] as const) {
    const passes = await passBothWays(stage, { way, file, timeoutMs: TIMEOUT_MS });
    for (const pass of passes) process.stdout.write(`${JSON.stringify(pass)}\n`);
    await rm(`${stage.store}-standalone`, { recursive: true, force: true });
  }
} finally {
  await stage.strike();
}
