/** The ledger of soak runs: one line of JSON for each run, only ever appended to; and the table of docs/reliability.md, which is worked out from it. */
import { execFileSync } from 'node:child_process';
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { SoakKind } from './kind.ts';

const root = resolve(import.meta.dirname, '../..');
export const LEDGER_FILE = join(root, 'docs/ledger.jsonl');
export const PAGE_FILE = join(root, 'docs/reliability.md');
const TABLE = /<!-- ledger -->\n[\s\S]*?<!-- end of ledger -->/;

export interface LedgerLine {
  readonly at: string;
  /** What was tested; `+` where the tree had changes that are not in it. */
  readonly commit: string;
  readonly kind: string;
  readonly seed: number;
  readonly count: number;
  readonly unit: string;
  readonly seconds: number;
  readonly result: 'held' | 'broken';
  readonly facts: Readonly<Record<string, number>>;
}

export function currentCommit(): string {
  const git = (...args: readonly string[]): string =>
    execFileSync('git', args, { cwd: root, encoding: 'utf8' }).trim();
  const isClean = git('status', '--porcelain', '--', ':!docs/ledger.jsonl') === '';
  return `${git('rev-parse', '--short=12', 'HEAD')}${isClean ? '' : '+'}`;
}

export function appendToLedger(line: LedgerLine): void {
  appendFileSync(LEDGER_FILE, `${JSON.stringify(line)}\n`);
}

export function readLedger(text: string = readFileSync(LEDGER_FILE, 'utf8')): LedgerLine[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as LedgerLine);
}

/** One row for each kind: all its runs in sum, and the largest of them, the newest of those. */
export function ledgerTable(kinds: readonly SoakKind[], lines: readonly LedgerLine[]): string {
  const rows = kinds.map(({ name, unit, promise }) => {
    const runs = lines.filter(({ kind }) => kind === name);
    const sum = runs.reduce((total, { count }) => total + count, 0);
    const broken = runs.filter(({ result }) => result === 'broken').length;
    const largest = runs.toSorted((a, b) => b.count - a.count || b.at.localeCompare(a.at))[0];
    const one =
      largest === undefined
        ? 'none yet'
        : `${number(largest.count)} in ${number(Math.round(largest.seconds))} s at \`${largest.commit}\`, seed ${largest.seed}`;
    return `| ${name} | ${promise} | ${number(sum)} ${unit} | ${one} | ${broken} |`;
  });
  return [
    '| kind | what holds | so far | largest run | runs that broke |',
    '|---|---|---|---|---|',
    ...rows,
  ].join('\n');
}

/** The page with its table renewed. */
export function withTable(page: string, table: string): string {
  if (!TABLE.test(page)) throw new Error('the page has no place for the table of the ledger');
  return page.replace(TABLE, () => `<!-- ledger -->\n${table}\n<!-- end of ledger -->`);
}

export function renewPage(kinds: readonly SoakKind[]): void {
  writeFileSync(
    PAGE_FILE,
    withTable(readFileSync(PAGE_FILE, 'utf8'), ledgerTable(kinds, readLedger())),
  );
}

const number = (value: number): string => value.toLocaleString('en-US');
