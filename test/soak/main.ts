/**
 * `npm run soak -- [--only KIND[,KIND]] [--count N] [--seed S] [--plant MISTAKE] [--no-ledger]`: runs kinds of soak tests, prints
 * how they go and appends one line for each to docs/ledger.jsonl. `--table` renews the table of docs/reliability.md and does no more.
 */
import { parseArgs } from 'node:util';
import type { SoakKind } from './kind.ts';
import { KINDS } from './kinds.ts';
import { appendToLedger, currentCommit, renewPage } from './ledger.ts';
import { type RunOptions, runKind } from './run.ts';

const print = (line: string): void => void process.stdout.write(`${line}\n`);

async function soak(
  kind: SoakKind,
  options: Omit<RunOptions, 'print' | 'keep'>,
  keep: Keep,
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

type Keep = 'in the ledger' | 'nowhere';

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      only: { type: 'string' },
      count: { type: 'string' },
      seed: { type: 'string', default: '1' },
      plant: { type: 'string' },
      'no-ledger': { type: 'boolean', default: false },
      table: { type: 'boolean', default: false },
    },
  });
  if (values.table) {
    renewPage(KINDS);
    return 0;
  }
  const names = values.only?.split(',') ?? KINDS.map(({ name }) => name);
  const unknown = names.filter((name) => !KINDS.some((kind) => kind.name === name));
  if (unknown.length > 0) {
    print(`no kind is called ${unknown}; there are ${KINDS.map(({ name }) => name).join(', ')}`);
    return 2;
  }
  const isKept = !values['no-ledger'] && values.plant === undefined;
  let held = true;
  for (const kind of KINDS.filter(({ name }) => names.includes(name))) {
    const count = Number(values.count ?? kind.defaultCount);
    const planted = values.plant === undefined ? {} : { planted: values.plant };
    const options = { count, seed: Number(values.seed), starts: 'often' as const, ...planted };
    held = (await soak(kind, options, isKept ? 'in the ledger' : 'nowhere')) && held;
  }
  return held ? 0 : 1;
}

process.exitCode = await main();
