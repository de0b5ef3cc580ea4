/** Help: one screen for all, one page for each verb, examples first. */
import { GLOBAL_OPTIONS, type OptionSpecs } from './args.ts';
import type { Command } from './command.ts';
import { STATUS_MEANINGS } from './exit-status.ts';
import type { Style } from './output.ts';
import { VERBS, type Verb, type VerbGroup } from './verbs.ts';

const GROUPS: readonly VerbGroup[] = ['start', 'look', 'data', 'keep', 'run', 'also'];
const GROUP_WIDTH = 7;
const VERB_WIDTH = 26;
const SCREEN_WIDTH = 96;

export function helpScreen(style: Style): string {
  const lines = [
    `${style.bold('datamon')}: Git LFS that stores only what changed and remembers every push.`,
    '',
    'Usage: datamon VERB [options]      datamon VERB --help shows examples first',
    '',
  ];
  for (const group of GROUPS) {
    VERBS.filter((verb) => verb.group === group).forEach((verb, index) => {
      const title = (index === 0 ? group : '').padEnd(GROUP_WIDTH);
      const words = `${verb.name} ${verb.operands}`.trimEnd().padEnd(VERB_WIDTH);
      lines.push(`${style.dim(title)}${style.bold(words)}${verb.summary}`);
    });
  }
  lines.push(
    '',
    'REF is a bundle id or its first digits, a branch, a label, or a git commit.',
    'Everywhere: -R/--repo URL, --json, -q, -v, --no-progress, --color=auto|always|never',
    ...wrapped(
      'Exit: ',
      STATUS_MEANINGS.map(([status, words]) => `${status} ${brief(words)}`),
    ),
  );
  return lines.join('\n');
}

export function verbHelp(verb: Verb, command: Command, style: Style): string {
  const [exampleWidth] = widest(command.examples.map(([line]) => line));
  return [
    `${style.bold(`datamon ${verb.name}`)}: ${command.about}`,
    '',
    style.bold('Examples:'),
    ...command.examples.map(
      ([line, words]) => `  datamon ${line.padEnd(exampleWidth)}  ${style.dim(`# ${words}`)}`,
    ),
    '',
    style.bold('Usage:'),
    ...command.usage.map((line) => `  datamon ${line}`),
    '',
    ...optionLines('Options:', command.options, style),
    ...optionLines('Everywhere:', GLOBAL_OPTIONS, style),
    style.bold('Exit statuses:'),
    ...STATUS_MEANINGS.map(([status, words]) => `  ${String(status).padEnd(4)} ${words}`),
  ].join('\n');
}

function optionLines(title: string, specs: OptionSpecs, style: Style): string[] {
  const entries = Object.entries(specs).map(([name, spec]) => {
    const short = spec.short === undefined ? '    ' : `-${spec.short}, `;
    const value = spec.type === 'string' ? ` ${spec.value ?? 'VALUE'}` : '';
    return [`${short}--${name}${value}`, spec.summary] as const;
  });
  if (entries.length === 0) return [];
  const [width] = widest(entries.map(([words]) => words));
  return [
    style.bold(title),
    ...entries.map(([words, summary]) => `  ${words.padEnd(width)}  ${summary}`),
    '',
  ];
}

const widest = (texts: readonly string[]): [number] => [
  Math.max(0, ...texts.map((text) => text.length)),
];

/** The part of a status's meaning that fits one line. */
const brief = (words: string): string => words.split(/[;(]/)[0]?.trim() ?? words;

/** Parts joined by dots, in lines no wider than the screen. */
function wrapped(title: string, parts: readonly string[]): string[] {
  const lines: string[] = [];
  let line = title;
  for (const part of parts) {
    const joined =
      line.trim() === title.trim() || line.trim() === '' ? line + part : `${line} · ${part}`;
    if (joined.length > SCREEN_WIDTH) {
      lines.push(line);
      line = ' '.repeat(title.length) + part;
    } else line = joined;
  }
  return [...lines, line];
}
