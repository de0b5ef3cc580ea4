/**
 * `npm run soak`: runs kinds of soak tests, prints how they go and appends one line for each to docs/ledger.jsonl; `--help` says what it
 * takes. Stopped with Ctrl-C or SIGTERM, a run ends after what it is at, and counts as far as it went.
 */
import type { SoakKind } from './kind.ts';
import { KINDS } from './kinds.ts';
import { appendToLedger, currentCommit, renewPage } from './ledger.ts';
import { parseSoakArgs, type SoakRequest } from './options.ts';
import { type RunOptions, runKind } from './run.ts';

const print = (line: string): void => void process.stdout.write(`${line}\n`);

async function soak(
  kind: SoakKind,
  options: Omit<RunOptions, 'print' | 'keep'>,
  keep: SoakRequest['keep'],
): Promise<boolean> {
  const commit = currentCommit();
  const { seed, count } = options;
  print(`${kind.name}: ${count} ${kind.unit}, seed ${seed}, commit ${commit}`);
  const { done, seconds, broken, facts } = await runKind(kind, {
    ...options,
    print,
    keep: 'if broken',
  });
  const held = broken.length === 0;
  const factsText = Object.entries(facts).map(([name, value]) => `${name} ${value}`);
  print(
    `${kind.name}: ${held ? 'held' : `${broken.length} BROKEN`}: ${done} ${kind.unit} in ${seconds.toFixed(1)} s; ${factsText.join(', ')}`,
  );
  if (keep === 'in the ledger') {
    appendToLedger({
      at: new Date().toISOString(),
      commit,
      kind: kind.name,
      seed,
      count: done,
      unit: kind.unit,
      seconds: Math.round(seconds * 10) / 10,
      result: held ? 'held' : 'broken',
      facts,
    });
  }
  return held;
}

async function main(): Promise<number> {
  const asked = parseSoakArgs(process.argv.slice(2), KINDS);
  if ('say' in asked) {
    print(asked.say);
    return asked.status;
  }
  if ('table' in asked) {
    renewPage(KINDS);
    return 0;
  }
  const { kinds, count, seed, planted, keep } = asked.run;
  let held = true;
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
  for (const kind of kinds) {
    if (stop.signal.aborted) break;
    const options = {
      signal: stop.signal,
      count: count ?? kind.defaultCount,
      seed,
      starts: 'often' as const,
      ...(planted !== undefined && { planted }),
    };
    held = (await soak(kind, options, keep)) && held;
  }
  return held ? 0 : 1;
}

process.exitCode = await main();
