/**
 * Finds the token for a server: `DATAMON_TOKEN`, then git's extraHeader, then git's credential helpers. Never asks a person
 * where none is watching, and never hands a token to another place than the one it was found for.
 */
import type { Environment } from './binary.ts';
import type { Git } from './git.ts';

export interface CredentialSource {
  /** The token for `url`, or null. */
  get(url: string): Promise<string | null>;
  /** The server refused it: forget it where it came from a helper. */
  reject(url: string, token: string): Promise<void>;
}

export interface CredentialOptions {
  readonly git: Git;
  readonly env: Environment;
  /** True where a person can answer a question. */
  readonly isTerminal: boolean;
}

/** Any user name will do beside a token; helpers want one to store. */
export const TOKEN_USER = 'token';
const FILL_TIMEOUT_MS = 120_000;
const HELPER_TIMEOUT_MS = 20_000;

export function credentialSource(options: CredentialOptions): CredentialSource {
  const found = new Map<string, Found>();
  const refused = new Set<string>();
  const lookUp = async (url: string): Promise<Found | null> => {
    const fromEnv = options.env['DATAMON_TOKEN'];
    if (fromEnv !== undefined && fromEnv !== '') return { token: fromEnv, user: null };
    const header = await fromExtraHeader(options.git, url);
    return header === null ? fill(options, url) : { token: header, user: null };
  };
  return {
    get: async (url) => {
      const origin = originOf(url);
      const known = found.get(origin) ?? (await lookUp(url));
      if (known === null || refused.has(known.token)) return null;
      found.set(origin, known);
      return known.token;
    },
    reject: async (url, token) => {
      const known = found.get(originOf(url));
      found.delete(originOf(url));
      refused.add(token);
      if (known?.token !== token || known.user === null) return;
      await credential(options.git, 'reject', url, { token, user: known.user });
    },
  };
}

interface Found {
  readonly token: string;
  /** Under which name the helper keeps it; null where no helper gave it. */
  readonly user: string | null;
}

/** Stores a token with git's credential helper, so that git-lfs, hooks and the command line share it. */
export async function approveToken(git: Git, url: string, token: string): Promise<void> {
  await credential(git, 'approve', url, { token, user: TOKEN_USER });
}

/** Forgets a stored token. */
export async function rejectToken(git: Git, url: string, token: string): Promise<void> {
  await credential(git, 'reject', url, { token, user: TOKEN_USER });
}

/** True where git has some credential helper for `url`: without one, approving stores nothing. */
export async function hasCredentialHelper(git: Git, url: string): Promise<boolean> {
  const answer = await git.run(['config', '-z', '--get-urlmatch', 'credential.helper', url]);
  return answer.status === 0 && answer.stdout.length > 1;
}

function originOf(url: string): string {
  return URL.parse(url)?.origin ?? url;
}

async function fromExtraHeader(git: Git, url: string): Promise<string | null> {
  const answer = await git.run(['config', '-z', '--get-urlmatch', 'http.extraHeader', url]);
  if (answer.status !== 0) return null;
  for (const header of answer.stdout.toString('utf8').split('\0')) {
    const token = tokenOfHeader(header);
    if (token !== null) return token;
  }
  return null;
}

/** The token in `Authorization: Bearer …`, or the password in `Authorization: Basic …`. */
export function tokenOfHeader(header: string): string | null {
  const [, kind = '', value = ''] =
    /^authorization:\s*(bearer|basic)\s+(\S+)\s*$/i.exec(header) ?? [];
  if (kind.toLowerCase() === 'bearer') return value;
  if (kind.toLowerCase() !== 'basic') return null;
  const decoded = Buffer.from(value, 'base64').toString('utf8');
  const password = decoded.slice(decoded.indexOf(':') + 1);
  return password === '' ? null : password;
}

interface Login {
  readonly token: string;
  readonly user: string;
}

/** The question for `git credential`; null where an answer could be made to speak of another host. */
function description(url: string, login?: Login): string | null {
  const parsed = URL.parse(url);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  if (parsed === null || !/^https?:$/.test(parsed.protocol) || /[\u0000-\u001f]/.test(url)) {
    return null;
  }
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  if (login !== undefined && /[\u0000-\u001f]/.test(login.token + login.user)) return null;
  const lines = [
    `protocol=${parsed.protocol.slice(0, -1)}`,
    `host=${parsed.host}`,
    `path=${parsed.pathname.replace(/^\//, '')}`,
    ...(login === undefined ? [] : [`username=${login.user}`, `password=${login.token}`]),
  ];
  return `${lines.join('\n')}\n\n`;
}

async function fill(options: CredentialOptions, url: string): Promise<Found | null> {
  const input = description(url);
  if (input === null) return null;
  const quiet = {
    GIT_TERMINAL_PROMPT: '0',
    GIT_ASKPASS: '',
    SSH_ASKPASS: '',
    GCM_INTERACTIVE: 'never',
  };
  const answer = await options.git.run(['credential', 'fill'], {
    input,
    timeoutMs: options.isTerminal ? FILL_TIMEOUT_MS : HELPER_TIMEOUT_MS,
    ...(options.isTerminal ? {} : { env: quiet }),
  });
  if (answer.status !== 0) return null;
  const text = answer.stdout.toString('utf8');
  const token = /^password=(.*)$/m.exec(text)?.[1];
  const user = /^username=(.*)$/m.exec(text)?.[1] ?? TOKEN_USER;
  return token === undefined || token === '' ? null : { token, user };
}

async function credential(
  git: Git,
  verb: 'approve' | 'reject',
  url: string,
  login: Login,
): Promise<void> {
  const input = description(url, login);
  if (input === null) return;
  await git.run(['credential', verb], { input, timeoutMs: HELPER_TIMEOUT_MS });
}
