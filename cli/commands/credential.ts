/** `datamon credential`: a git credential helper that answers with DATAMON_TOKEN, and stores nothing. */
import { collect } from '../../core/bytes.ts';
import { TOKEN_USER } from '../../git/credentials.ts';
import type { Options } from '../args.ts';
import { type Command, type Outcome, rowsOf } from '../command.ts';
import type { Context } from '../context.ts';

export interface CredentialRow {
  readonly username: string;
  readonly password: string;
}

const QUESTION_SIZE_MAX_BYTES = 64 * 1024;

export const credential: Command<CredentialRow> = {
  usage: ['credential get'],
  about:
    'is what git runs where datamon install --server registered it: it answers with DATAMON_TOKEN. People do not need it.',
  examples: [['credential get', 'as git calls it']],
  options: {},
  operands: { names: ['ACTION'], min: 1, max: 1 },
  run: runCredential,
  view: {
    lines: (row) => [`username=${row.username}`, `password=${row.password}`],
    id: () => null,
  },
};

/** Git asks for the server it was registered for; storing and erasing are not ours, and unknown words are ignored as git wants. */
async function runCredential(context: Context, options: Options): Promise<Outcome<CredentialRow>> {
  const token = context.io.env['DATAMON_TOKEN'] ?? '';
  await collect(context.io.stdin, QUESTION_SIZE_MAX_BYTES);
  if (options.operands[0] !== 'get' || !/^[\x21-\x7e]+$/.test(token)) return rowsOf([]);
  return rowsOf([{ username: TOKEN_USER, password: token }]);
}
