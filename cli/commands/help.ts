/** `datamon help [VERB]`: the screen, or one verb's page. */
import { usageError } from '../args.ts';
import { type Command, rowsOf } from '../command.ts';

export interface HelpText {
  readonly text: string;
}

export const help: Command<HelpText> = {
  usage: ['help [VERB]', 'VERB --help'],
  about: 'shows all verbs on one screen, or one verb with examples, options and exit statuses.',
  examples: [
    ['help', 'all verbs'],
    ['help log', 'one verb'],
  ],
  options: {},
  operands: { names: ['VERB'], min: 0, max: 1 },
  run: async (context, options) => {
    const [name = null] = options.operands;
    const text = await context.helpText(name);
    if (text === null) throw usageError(`there is no verb ${JSON.stringify(name)}`, null);
    return rowsOf([{ text }]);
  },
  view: { lines: (row) => [row.text], id: (row) => row.text },
};
