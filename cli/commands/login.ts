/** `datamon login`: hands a token to git's credential helper, so that git-lfs, the hooks and this command line share it. */
import { createInterface } from 'node:readline';
import { listRepositories } from '../../client/open.ts';
import { parseEndpoint } from '../../client/repo-url.ts';
import { TOKEN_SIZE_MAX_BYTES } from '../../client/tokens.ts';
import { collect } from '../../core/bytes.ts';
import { DatamonError, hasCode } from '../../core/errors.ts';
import { approveToken, hasCredentialHelper, rejectToken } from '../../git/credentials.ts';
import { type Git, openGit } from '../../git/git.ts';
import { type Options, usageError } from '../args.ts';
import { type Command, type Outcome, rowsOf } from '../command.ts';
import type { Context } from '../context.ts';

export interface LoginRow {
  readonly server: string;
  readonly outcome: 'logged in' | 'logged out';
}

export const login: Command<LoginRow> = {
  usage: ['login [URL] [--token-stdin]', 'login [URL] --logout'],
  about:
    'asks for a token, tries it at the server and hands it to git’s credential helper. git-lfs, the hooks and datamon then all find it. In CI set DATAMON_TOKEN instead.',
  examples: [
    ['login https://data.example.org', 'asks for the token'],
    ['login --token-stdin < token.txt', 'this clone’s server; nobody is asked'],
    ['login --logout', 'forget the token'],
  ],
  options: {
    'token-stdin': { type: 'boolean', summary: 'read the token from stdin' },
    logout: { type: 'boolean', summary: 'forget the token' },
  },
  operands: { names: ['URL'], min: 0, max: 1 },
  run: runLogin,
  view: { lines: (row) => [`${row.outcome}: ${row.server}`], id: (row) => row.server },
};

async function runLogin(context: Context, options: Options): Promise<Outcome<LoginRow>> {
  const server = await serverOf(context, options.operands[0]);
  const git =
    (await context.clone())?.git ?? (await openGit({ cwd: context.io.cwd, env: context.io.env }));
  if (options.flag('logout')) {
    await forget(git, server);
    return rowsOf([{ server, outcome: 'logged out' as const }]);
  }
  const token = await askToken(context, options, server);
  await tryToken(context, server, token);
  if (!(await hasCredentialHelper(git, server))) {
    throw new DatamonError(
      'UNSUPPORTED',
      'the token works, but git has no credential helper to keep it',
      {
        hint: 'Set one: git config --global credential.helper store (a plain file; see git help credentials). Or set DATAMON_TOKEN.',
      },
    );
  }
  await approveToken(git, server, token);
  return rowsOf([{ server, outcome: 'logged in' as const }]);
}

async function serverOf(context: Context, operand: string | undefined): Promise<string> {
  const text = operand ?? (await context.address()).text;
  const endpoint = parseEndpoint(text);
  if (endpoint.kind === 'server') return endpoint.origin;
  throw new DatamonError(
    'INVALID',
    `${endpoint.storeUrl} is a store without a server; it has no login`,
    {
      hint: 'Access to a store is the file system’s or the cloud’s own.',
    },
  );
}

/** git's helpers forget by the password, so it is asked for first; unknown ones forget by the host. */
async function forget(git: Git, server: string): Promise<void> {
  const url = new URL(server);
  const answer = await git.run(['credential', 'fill'], {
    input: `protocol=${url.protocol.slice(0, -1)}\nhost=${url.host}\n\n`,
    env: { GIT_TERMINAL_PROMPT: '0', GIT_ASKPASS: '', SSH_ASKPASS: '' },
  });
  const token = /^password=(.*)$/m.exec(answer.stdout.toString('utf8'))?.[1];
  if (token !== undefined) await rejectToken(git, server, token);
}

async function askToken(context: Context, options: Options, server: string): Promise<string> {
  const { stdin } = context.io;
  const isTerminal = 'isTTY' in stdin && stdin.isTTY === true;
  if (!options.flag('token-stdin') && !isTerminal) {
    throw usageError('there is no terminal to ask for the token; use --token-stdin', 'login');
  }
  const token = options.flag('token-stdin')
    ? (await collect(stdin, TOKEN_SIZE_MAX_BYTES)).toString('utf8').trim()
    : await prompt(context, `Token for ${server}: `);
  if (/^[\x21-\x7e]+$/.test(token)) return token;
  throw new DatamonError('INVALID', token === '' ? 'no token was given' : 'that is not a token', {
    hint: 'The operator of the server makes one with: datamon token mint',
  });
}

/** Asks once; what is typed is not shown. */
async function prompt(context: Context, question: string): Promise<string> {
  const { stdin, stderr, signal } = context.io;
  stderr.write(question);
  // Without an output nothing is echoed; raw mode is what makes the terminal itself keep silent.
  if ('setRawMode' in stdin && typeof stdin.setRawMode === 'function') stdin.setRawMode(true);
  const lines = createInterface({ input: stdin, terminal: false });
  try {
    return await readSilently(lines, signal);
  } finally {
    lines.close();
    if ('setRawMode' in stdin && typeof stdin.setRawMode === 'function') stdin.setRawMode(false);
    stderr.write('\n');
  }
}

function readSilently(
  lines: ReturnType<typeof createInterface>,
  signal: AbortSignal,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(new DatamonError('CANCELLED', 'stopped'));
    signal.addEventListener('abort', stop, { once: true });
    lines.once('line', (line) => {
      // Raw mode hands Ctrl-C over as a character.
      if (line.includes('\u0003')) stop();
      else resolve(line.trim());
    });
    lines.once('close', stop);
  });
}

/** One attempt; a wrong token is not stored. */
async function tryToken(context: Context, server: string, token: string): Promise<void> {
  try {
    await listRepositories(server, {
      token: { get: () => Promise.resolve(token), reject: () => Promise.resolve() },
      signal: context.io.signal,
    });
  } catch (error) {
    if (!hasCode(error, 'UNAUTHENTICATED') && !hasCode(error, 'FORBIDDEN')) throw error;
    throw new DatamonError(
      'UNAUTHENTICATED',
      `${server} does not accept this token; it was not stored`,
      {
        cause: error,
        hint: 'See what it says: datamon token show -',
      },
    );
  }
}
