/**
 * `npm run mutants -- [--only WORDS]`: makes each mistake of the table, or those with the words in their name or file, runs its tests,
 * and ends with 1 where one is not seen.
 */
import { parseArgs } from 'node:util';
import { makeScratch, type Verdict } from './apply.ts';
import { IMPOSSIBLE } from './impossible.ts';
import type { Mutant } from './mutant.ts';
import { MUTANTS } from './table.ts';

const print = (line: string): void => void process.stdout.write(`${line}\n`);

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { only: { type: 'string', default: '' } } });
  const { only } = values;
  const chosen = MUTANTS.filter(({ name, file }) => name.includes(only) || file.includes(only));
  const scratch = await makeScratch();
  try {
    for (const file of new Set(chosen.flatMap(({ tests }) => tests))) {
      const red = await scratch.isGreen([file]);
      if (red === null) continue;
      print(`${file} is not green to begin with:\n${red}`);
      return 1;
    }
    const verdicts: Verdict[] = [];
    for (const mutant of chosen) {
      const verdict = await scratch.judge(mutant);
      verdicts.push(verdict);
      print(rowOf(mutant, verdict));
    }
    for (const { name, because } of IMPOSSIBLE) print(`cannot be   ${name}: ${because}`);
    const caught = verdicts.filter((verdict) => verdict === 'caught').length;
    print(`${caught} of ${verdicts.length} mistakes caught; ${IMPOSSIBLE.length} cannot be made`);
    return caught === verdicts.length ? 0 : 1;
  } finally {
    await scratch.remove();
  }
}

const rowOf = ({ name, file }: Mutant, verdict: Verdict): string =>
  `${verdict.padEnd(11)} ${name} (${file})`;

process.exitCode = await main();
