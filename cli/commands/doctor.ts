/** `datamon doctor`: looks at machine, clone and store; each ✗ has one command, and `--fix` runs those that are safe. */
import { hasCode } from '../../core/errors.ts';
import { EXIT } from '../../core/io.ts';
import type { Options } from '../args.ts';
import { type Command, NO_OPERANDS, type Outcome } from '../command.ts';
import type { Context } from '../context.ts';
import type { Check, Finding } from '../doctor-check.ts';
import { cloneFindings } from '../doctor-clone.ts';
import { machineFindings } from '../doctor-machine.ts';
import { storeFindings } from '../doctor-store.ts';
import type { Style } from '../output.ts';
import { cloneRepoUrl } from '../repo-address.ts';

export const doctor: Command<Check> = {
  usage: ['doctor [--fix]'],
  about:
    'checks this machine, this clone and its store. Each ✗ has one command that mends it; --fix mends what can be mended by itself. Status 1 where a ✗ is left. Tokens are never shown.',
  examples: [
    ['doctor', 'what is wrong'],
    ['doctor --fix', 'mend what can be mended'],
    ['doctor --json', 'for a bug report'],
  ],
  options: { fix: { type: 'boolean', summary: 'mend what can be mended' } },
  operands: NO_OPERANDS,
  run: runDoctor,
  view: { lines: checkLines, id: (row) => (row.ok === false ? row.check : null) },
};

async function runDoctor(context: Context, options: Options): Promise<Outcome<Check>> {
  let findings = await examine(context);
  const repairs = findings.filter(({ repair }) => repair !== undefined);
  if (options.flag('fix') && repairs.length > 0) {
    for (const { check, repair } of repairs) {
      context.talk(`datamon: mending ${check}`);
      await repair?.();
    }
    findings = await examine(context);
  }
  const failed = findings.some(({ ok }) => ok === false);
  return {
    rows: findings.map(({ repair: _repair, ...check }) => check),
    status: () => (failed ? EXIT.failure : EXIT.ok),
  };
}

async function examine(context: Context): Promise<readonly Finding[]> {
  const findings = [...(await machineFindings(context))];
  const clone = await context.clone();
  if (clone === null && context.repoFlag === undefined) return findings;
  const hasStore =
    context.repoFlag !== undefined || (clone !== null && (await cloneRepoUrl(clone)) !== null);
  const inStore = hasStore ? await storeFindings(context) : [];
  const isReachable = !inStore.some(({ ok, check }) => check === 'reachable' && ok === false);
  if (clone !== null) findings.push(...(await cloneLines(context, clone, isReachable)));
  return [...findings, ...inStore];
}

/** Without a store to ask, the question whether data is there has no answer. */
async function cloneLines(
  context: Context,
  clone: Parameters<typeof cloneFindings>[1],
  isReachable: boolean,
): Promise<readonly Finding[]> {
  try {
    return await cloneFindings(context, clone, { asksStore: isReachable });
  } catch (error) {
    if (hasCode(error, 'CANCELLED')) throw error;
    const says = error instanceof Error ? error.message : String(error);
    return [{ check: 'clone', area: 'clone', ok: false, says, fix: null }];
  }
}

function checkLines(row: Check, style: Style): string[] {
  const mark = row.ok === null ? style.dim('–') : row.ok ? style.green('✓') : style.red('✗');
  const [first = '', ...more] = row.says.split('\n');
  const fix = row.fix === null ? [] : [`    run: ${style.bold(row.fix)}`];
  return [`${mark} ${row.area.padEnd(8)} ${first}`, ...more.map((line) => `      ${line}`), ...fix];
}
