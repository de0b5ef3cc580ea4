/** Help for the verbs that are programs of their own; running them is main.ts's business. */
import { DatamonError } from '../../core/errors.ts';
import { type Command, NO_OPERANDS } from '../command.ts';

type ProgramHelp = Pick<Command<never>, 'usage' | 'about' | 'examples' | 'options'>;

const programCommand = (words: ProgramHelp): Command<never> => ({
  ...words,
  operands: NO_OPERANDS,
  run: async () => {
    throw new DatamonError('INVALID', 'a program of its own, run by main.ts');
  },
  view: { id: () => null },
});

export const serve: Command<never> = programCommand({
  usage: ['serve --store URL [--replica URL]… [--listen HOST:PORT]'],
  about:
    'runs the Git LFS server, its API and its pages on a store. It keeps no state of its own: stop it, start another, all is there. DATAMON_STORE, DATAMON_LISTEN, DATAMON_PUBLIC_URL, DATAMON_JWT_SECRET_FILE and DATAMON_ANONYMOUS say the same in the environment.',
  examples: [
    [
      'serve --store file:///srv/datamon --listen 127.0.0.1:8080',
      'with DATAMON_ANONYMOUS=write, for trying out',
    ],
    [
      'token mint --repo "acme/*" --read --write --subject ada',
      'a token for a server with a secret',
    ],
  ],
  options: {
    store: {
      type: 'string',
      value: 'URL',
      summary: 'file:///abs/dir, gs://bucket/prefix, s3://bucket/prefix or memory:',
    },
    replica: {
      type: 'string',
      value: 'URL',
      multiple: true,
      summary: 'read from there while the store is lost; may be repeated',
    },
    listen: { type: 'string', value: 'HOST:PORT', summary: 'where to listen' },
  },
});

export const hook: Command<never> = programCommand({
  usage: ['hook NAME [ARGUMENTS]'],
  about: 'is what the hooks in a clone run. People do not need it.',
  examples: [['hook pre-push origin URL', 'as git calls it']],
  options: {},
});

export const agent: Command<never> = programCommand({
  usage: ['agent'],
  about: 'is what git-lfs runs: it speaks the custom transfer protocol on stdin and stdout.',
  examples: [['agent', 'as git-lfs calls it']],
  options: {},
});
