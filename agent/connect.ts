/** How the agent reaches a repo: by its URL, with the token of the batch where a server gave one, else with what git knows. Never asks a person. */
import { CACHE_SIZE_KEY, cachePlace } from '../client/cache-place.ts';
import { openRepositoryUrl } from '../client/open.ts';
import type { TokenSource } from '../client/session.ts';
import type { Repository } from '../core/meta/repository.ts';
import type { Creation } from '../core/open-repository.ts';
import { getConfig } from '../git/config.ts';
import { credentialSource } from '../git/credentials.ts';
import { uploadsFolder } from '../git/own-folder.ts';
import { remoteId } from '../git/remote-id.ts';
import type { GitRepository } from '../git/repository.ts';
import type { InitRequest } from './messages.ts';

export interface ConnectOptions {
  readonly init: InitRequest;
  /** The clone; fails outside of one. */
  readonly repo: () => Promise<GitRepository>;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The newest token of a batch, null without one. */
  readonly batchToken: (() => string | null) | null;
  readonly signal: AbortSignal;
}

/** Opens the repo at `url`; an upload makes it where it is not there yet. */
export async function connect(url: string, options: ConnectOptions): Promise<Repository> {
  const { init, signal } = options;
  const create = init.operation === 'upload' ? { create: () => creation(options) } : {};
  const token = tokens(options);
  const setting = async () => getConfig((await options.repo()).git, CACHE_SIZE_KEY);
  const cache = () => cachePlace(options.env, setting);
  const journaled = await journal(options);
  return await openRepositoryUrl(url, { token, signal, cache, ...create, ...journaled });
}

/** An upload that was interrupted in this clone goes on, whoever began it: the agent, or a hook. */
async function journal({ init, repo }: ConnectOptions): Promise<{ readonly journalDir?: string }> {
  const opened = init.operation === 'upload' ? await repo().catch(() => null) : null;
  return opened === null ? {} : { journalDir: uploadsFolder(opened) };
}

/** What is said of a repo that is made. Two runs of git, so nobody asks who finds the repo there. */
async function creation({ repo, init }: ConnectOptions): Promise<Creation> {
  const opened = await repo().catch(() => null);
  if (opened === null) return { by: 'unknown', remote: null };
  const { git } = opened;
  const ident = await git.run(['var', 'GIT_COMMITTER_IDENT']);
  const [by = 'unknown'] = /^.*<[^>]*>/.exec(ident.stdout.toString('utf8')) ?? [];
  const named = await git.run(['remote', 'get-url', '--push', '--', init.remote]);
  const url = named.status === 0 ? named.stdout.toString('utf8').trimEnd() : init.remote;
  const isUrl = /[:/]/.test(url);
  return { by, remote: isUrl ? await remoteId(url, opened.topLevel ?? opened.gitDir) : null };
}

/** The batch's token first; once that is refused, the user's own. */
function tokens({ batchToken, env, repo }: ConnectOptions): TokenSource {
  const refused = new Set<string>();
  const own = async (): Promise<TokenSource> =>
    credentialSource({ git: (await repo()).git, env, isTerminal: false });
  let source: Promise<TokenSource> | null = null;
  const userTokens = (): Promise<TokenSource> => {
    source ??= own();
    return source;
  };
  return {
    get: async (url) => {
      const token = batchToken?.() ?? null;
      if (token !== null && !refused.has(token)) return token;
      return await (await userTokens()).get(url);
    },
    reject: async (url, token) => {
      const isBatchToken = batchToken !== null && token === batchToken();
      refused.add(token);
      if (!isBatchToken) await (await userTokens()).reject(url, token);
    },
  };
}
