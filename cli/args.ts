/**
 * The command line, parsed: which verb, its options and operands. An unknown verb or option is INVALID and names the
 * nearest known one. `--` ends options; what follows is kept apart where a verb says so.
 */
import { parseArgs } from 'node:util';
import { DatamonError } from '../core/errors.ts';
import { nearest } from './nearest.ts';

export interface OptionSpec {
  readonly type: 'boolean' | 'string';
  readonly short?: string;
  readonly multiple?: boolean;
  /** What stands for the value in help: `GLOB`. */
  readonly value?: string;
  readonly summary: string;
}

export type OptionSpecs = Readonly<Record<string, OptionSpec>>;

/** Understood before and after every verb. */
export const GLOBAL_OPTIONS: OptionSpecs = {
  help: { type: 'boolean', short: 'h', summary: 'this help' },
  repo: { type: 'string', short: 'R', value: 'URL', summary: 'the repo, instead of this clone’s' },
  json: { type: 'boolean', summary: 'JSON on stdout, one object a line' },
  quiet: { type: 'boolean', short: 'q', summary: 'ids, paths or URLs only, and no talk' },
  verbose: {
    type: 'boolean',
    short: 'v',
    multiple: true,
    summary: 'say more on stderr, and title columns',
  },
  'no-progress': { type: 'boolean', summary: 'no progress lines' },
  color: { type: 'string', value: 'WHEN', summary: 'auto, always or never' },
};

export interface OperandSpec {
  /** As help shows them: `['REF', 'DIR']`. */
  readonly names: readonly string[];
  readonly min: number;
  readonly max: number;
  /** True where operands behind `--` are of another kind (`diff A B -- PATH`). */
  readonly separate?: boolean;
}

/** Options and operands of one run, typed on access. */
export interface Options {
  flag(name: string): boolean;
  count(name: string): number;
  text(name: string): string | undefined;
  texts(name: string): readonly string[];
  readonly operands: readonly string[];
  /** Operands behind `--`, where the verb keeps them apart. */
  readonly rest: readonly string[];
}

export interface SplitLine {
  readonly verb: string | null;
  /** Arguments before the verb: global options alone. */
  readonly before: readonly string[];
  readonly after: readonly string[];
}

/** Finds the verb: the first word that is no global option and no value of one. */
export function splitVerb(argv: readonly string[]): SplitLine {
  const { tokens } = parse(argv, GLOBAL_OPTIONS);
  for (const token of tokens) {
    if (token.kind === 'positional') {
      return {
        verb: token.value,
        before: argv.slice(0, token.index),
        after: argv.slice(token.index + 1),
      };
    }
    // An unknown option before the verb is reported by parseOptions; its value must not be taken for a verb.
    if (token.kind === 'option' && !(token.name in GLOBAL_OPTIONS) && token.name !== 'version') {
      return { verb: null, before: argv, after: [] };
    }
  }
  return { verb: null, before: argv, after: [] };
}

/** Parses a verb's arguments together with the global options that stood before it. */
export function parseOptions(
  line: SplitLine,
  specs: OptionSpecs,
  operands: OperandSpec,
  verb: string,
): Options {
  const values = new Map<string, (string | true)[]>();
  const plain: string[] = [];
  const rest: string[] = [];
  const all = { ...specs, ...GLOBAL_OPTIONS };
  for (const [args, known] of [
    [line.before, GLOBAL_OPTIONS],
    [line.after, all],
  ] as const) {
    let ended = false;
    for (const token of parse(args, known).tokens) {
      if (token.kind === 'option-terminator') ended = true;
      else if (token.kind === 'positional') {
        (ended && operands.separate === true ? rest : plain).push(token.value);
      } else take(values, token, known, verb);
    }
  }
  checkOperands(plain, operands, verb);
  return optionsOf(values, plain, rest);
}

interface OptionToken {
  readonly name: string;
  readonly rawName: string;
  readonly value?: string | undefined;
  readonly inlineValue?: boolean | undefined;
}

function parse(args: readonly string[], specs: OptionSpecs) {
  const options = Object.fromEntries(
    Object.entries(specs).map(([name, spec]) => [
      name,
      {
        type: spec.type,
        multiple: true,
        ...(spec.short === undefined ? {} : { short: spec.short }),
      },
    ]),
  );
  return parseArgs({
    args: [...args],
    options,
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
}

function take(
  values: Map<string, (string | true)[]>,
  token: OptionToken,
  specs: OptionSpecs,
  verb: string,
): void {
  const spec = Object.hasOwn(specs, token.name) ? specs[token.name] : undefined;
  if (spec === undefined) throw unknownOption(token.rawName, specs, verb);
  const earlier = values.get(token.name) ?? [];
  if (spec.multiple !== true && spec.type === 'string' && earlier.length > 0) {
    throw usageError(`${token.rawName} was given twice`, verb);
  }
  if (spec.type === 'boolean') {
    if (token.inlineValue === true) throw usageError(`${token.rawName} takes no value`, verb);
    values.set(token.name, [...earlier, true]);
    return;
  }
  const { value } = token;
  // `--repo --json` is a forgotten value far more often than a value that begins with a dash.
  const missing = value === undefined || (token.inlineValue !== true && /^-./.test(value));
  if (missing) throw usageError(`${token.rawName} needs a value (${spec.value ?? 'VALUE'})`, verb);
  values.set(token.name, [...earlier, value]);
}

function unknownOption(rawName: string, specs: OptionSpecs, verb: string): DatamonError {
  const long = nearest(rawName.replace(/^-+/, ''), Object.keys(specs));
  const meant = rawName.startsWith('--') && long !== null ? ` Did you mean --${long}?` : '';
  return usageError(`unknown option ${rawName}.${meant}`, verb);
}

function checkOperands(operands: readonly string[], spec: OperandSpec, verb: string): void {
  if (operands.length < spec.min) {
    throw usageError(`${verb} needs ${spec.names[operands.length] ?? 'an operand'}`, verb);
  }
  if (operands.length > spec.max) {
    const extra = JSON.stringify(operands[spec.max]);
    throw usageError(
      spec.max === 0
        ? `${verb} takes no operands; ${extra} is one`
        : `${verb} takes at most ${spec.max} operand${spec.max === 1 ? '' : 's'}; ${extra} is one too many`,
      verb,
    );
  }
}

/** A mistake on the command line: exit status 2, and the verb's help as the next step. */
export function usageError(message: string, verb: string | null): DatamonError {
  return new DatamonError('INVALID', message, {
    hint: `Run: datamon ${verb === null || verb === '' ? 'help' : `${verb} --help`}`,
  });
}

function optionsOf(
  values: ReadonlyMap<string, readonly (string | true)[]>,
  operands: readonly string[],
  rest: readonly string[],
): Options {
  const texts = (name: string): string[] =>
    (values.get(name) ?? []).filter((value) => typeof value === 'string');
  return {
    flag: (name) => values.has(name),
    count: (name) => values.get(name)?.length ?? 0,
    text: (name) => texts(name).at(-1),
    texts,
    operands,
    rest,
  };
}

/** An option's value as a whole number ≥ 1; INVALID otherwise. */
export function positiveNumber(options: Options, name: string, verb: string): number | undefined {
  const text = options.text(name);
  if (text === undefined) return undefined;
  const number = Number(text);
  if (/^[0-9]{1,9}$/.test(text) && number >= 1) return number;
  throw usageError(`--${name} needs a number from 1 on, not ${JSON.stringify(text)}`, verb);
}
