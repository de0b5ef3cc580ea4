/** What `npm run soak` is asked for. Promise: what it does not know is told in a sentence, with what there is instead. */
import { parseArgs } from 'node:util';
import type { SoakKind } from './kind.ts';

export interface SoakRequest {
  readonly kinds: readonly SoakKind[];
  /** Undefined: each kind's default. */
  readonly count: number | undefined;
  readonly seed: number;
  /** A mistake to plant. */
  readonly planted: string | undefined;
  readonly keep: 'in the ledger' | 'nowhere';
}

/** `say`: prints that, and ends with the status. */
export type Asked =
  | { readonly say: string; readonly status: number }
  | { readonly table: true }
  | { readonly run: SoakRequest };

export function usage(kinds: readonly SoakKind[]): string {
  const lines = kinds.map(
    ({ name, unit, defaultCount, plants }) =>
      `  ${name.padEnd(12)} ${defaultCount} ${unit}; mistakes to plant: ${plants.join(', ')}`,
  );
  return [
    'npm run soak -- [options]: runs kinds of soak tests, and keeps a line for each in docs/ledger.jsonl',
    '',
    '  --only KIND[,KIND]  these kinds; all by default',
    '  --count N           how many, instead of each kind’s default',
    '  --seed S            1 by default; the same seed does the same again',
    '  --plant MISTAKE     makes a mistake on purpose, which must be seen; goes into no ledger',
    '  --no-ledger         keeps nothing',
    '  --table             renews the table of docs/reliability.md, and runs nothing',
    '',
    'kinds, and how many of each by default:',
    ...lines,
  ].join('\n');
}

export function parseSoakArgs(args: readonly string[], kinds: readonly SoakKind[]): Asked {
  try {
    return parse(args, kinds);
  } catch (error) {
    return refusal(`${(error as Error).message}\n\n${usage(kinds)}`);
  }
}

const refusal = (say: string): Asked => ({ say, status: 2 });

function parse(args: readonly string[], kinds: readonly SoakKind[]): Asked {
  const { values } = parseArgs({
    args: [...args],
    options: {
      help: { type: 'boolean', short: 'h', default: false },
      only: { type: 'string' },
      count: { type: 'string' },
      seed: { type: 'string', default: '1' },
      plant: { type: 'string' },
      'no-ledger': { type: 'boolean', default: false },
      table: { type: 'boolean', default: false },
    },
  });
  if (values.help) return { say: usage(kinds), status: 0 };
  if (values.table) return { table: true };
  const names = values.only?.split(',') ?? kinds.map(({ name }) => name);
  const unknown = names.filter((name) => !kinds.some((kind) => kind.name === name));
  if (unknown.length > 0) {
    const known = kinds.map(({ name }) => name).join(', ');
    return refusal(`no kind is called ${unknown.join(', ')}; there are ${known}`);
  }
  const chosen = kinds.filter(({ name }) => names.includes(name));
  const { plant } = values;
  if (plant !== undefined && !chosen.every(({ plants }) => plants.includes(plant))) {
    const known = chosen.map(({ name, plants }) => `${name}: ${plants.join(', ')}`).join('; ');
    return refusal(`not every kind has the mistake ${plant} to plant; there are ${known}`);
  }
  return {
    run: {
      kinds: chosen,
      count: values.count === undefined ? undefined : whole('--count', values.count),
      seed: whole('--seed', values.seed),
      planted: plant,
      keep: values['no-ledger'] || plant !== undefined ? 'nowhere' : 'in the ledger',
    },
  };
}

function whole(name: string, text: string): number {
  if (/^[0-9]{1,15}$/.test(text)) return Number(text);
  throw new Error(`${name} wants a whole number, not ${text}`);
}
