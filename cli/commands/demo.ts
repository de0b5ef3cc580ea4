/** `datamon demo`: two real pushes in a throw-away folder, and what is left to see of them. */
import { type Command, NO_OPERANDS } from '../command.ts';
import { demoLines } from '../demo/show.ts';

export interface DemoRow {
  readonly line: string;
}

async function* rows(lines: AsyncIterable<string>): AsyncIterable<DemoRow> {
  for await (const line of lines) yield { line };
}

export const demo: Command<DemoRow> = {
  usage: ['demo [--exit]'],
  about:
    'starts a server on a directory, pushes a real git repository twice with the real git-lfs, and clones it back. Everything happens in a throw-away folder; your git settings stay untouched.',
  examples: [
    ['demo', 'and look around until Ctrl-C, which deletes it'],
    ['demo --exit', 'the same, ending by itself'],
  ],
  options: {
    exit: { type: 'boolean', summary: 'end by itself and delete everything' },
  },
  operands: NO_OPERANDS,
  async run({ io, runtime }, options) {
    const program = [runtime.nodePath, '--disable-warning=ExperimentalWarning', runtime.mainPath];
    return { rows: rows(demoLines(io, { exit: options.flag('exit'), program })) };
  },
  view: { lines: ({ line }) => [line], id: () => null },
};
