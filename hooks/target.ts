/** Where a push keeps its data: a store, a datamon server, or somebody else's LFS, which is none of our business. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CACHE_SIZE_KEY, cachePlace } from '../client/cache-place.ts';
import { openRepositoryUrl } from '../client/open.ts';
import type { TokenSource } from '../client/session.ts';
import { DatamonError, hasCode } from '../core/errors.ts';
import type { Repository } from '../core/meta/repository.ts';
import type { CreationSource } from '../core/open-repository.ts';
import { getConfig } from '../git/config.ts';
import { credentialSource } from '../git/credentials.ts';
import { type LfsEndpoint, lfsEndpoint } from '../git/lfs-endpoint.ts';
import { ownFolder, uploadsFolder } from '../git/own-folder.ts';
import type { GitRepository } from '../git/repository.ts';
import { type HookWorld, say } from './world.ts';

export interface Target {
  readonly repository: Repository;
  /** `standalone`: straight on a store, our hook is all there is. `negotiated`: git-lfs has its say afterwards. */
  readonly mode: 'standalone' | 'negotiated';
  /** How a server knows us, from the token it accepted; null where nobody asked. */
  subject(): string | null;
}

export interface TargetRequest {
  readonly world: HookWorld;
  readonly repo: GitRepository;
  readonly lfsUrl: string;
  readonly create?: CreationSource;
  readonly signal: AbortSignal;
}

/** A target that is opened by the first `take`, and closed again where its opening was for nothing. */
export interface Opening {
  /** As `openTarget`, once. */
  take(): Promise<Target | null>;
  /** Closes the target, or stops the opening that is still under way. */
  close(): Promise<void>;
}

/** How long a URL that is no datamon server's is not asked again. */
const STRANGER_TTL_MS = 24 * 60 * 60 * 1000;
const NOTICE_DELAY_MIN_MS = 5_000;

export const pushEndpoint = (repo: GitRepository, remote: string): Promise<LfsEndpoint> =>
  lfsEndpoint({ repo, remote, operation: 'upload' });

/** Null where the URL is no datamon repo, or where that cannot be told because nobody answers and nobody ever did. */
export async function openTarget(request: TargetRequest): Promise<Target | null> {
  const { lfsUrl } = request;
  if (lfsUrl.startsWith('datamon::')) return open(request, 'standalone');
  const known = await readServers(request.repo);
  const before = known[lfsUrl];
  const isFresh =
    before !== undefined && request.world.nowMs() - before.checkedAtMs < STRANGER_TTL_MS;
  if (before?.isDatamon === false && isFresh) return null;
  try {
    const target = await open(request, 'negotiated');
    await rememberServer(request, known, true);
    return target;
  } catch (error) {
    if (hasCode(error, 'UNSUPPORTED') || hasCode(error, 'INVALID')) {
      await rememberServer(request, known, false);
      return null;
    }
    if (before?.isDatamon === true || hasCode(error, 'CANCELLED')) throw error;
    if (hasCode(error, 'UNAVAILABLE')) return null;
    throw error;
  }
}

export function beginOpening(request: TargetRequest): Opening {
  const stop = new AbortController();
  const signal = AbortSignal.any([request.signal, stop.signal]);
  let opened: Promise<Target | null> | null = null;
  return {
    take() {
      opened ??= openTarget({ ...request, signal });
      return opened;
    },
    async close() {
      stop.abort();
      const target = await opened?.catch(() => null);
      await target?.repository.close();
    },
  };
}

async function open(request: TargetRequest, mode: Target['mode']): Promise<Target> {
  const { world, repo, signal, create } = request;
  let subject: string | null = null;
  const tokens = credentialSource({
    git: repo.git,
    env: world.io.env,
    isTerminal: world.io.isTerminal,
  });
  const token: TokenSource = {
    get: async (url) => {
      const found = await tokens.get(url);
      subject = found === null ? null : subjectOf(found);
      return found;
    },
    reject: (url, refused) => tokens.reject(url, refused),
  };
  const repository = await openRepositoryUrl(withoutUser(request.lfsUrl), {
    token,
    signal,
    journalDir: uploadsFolder(repo),
    cache: () => cachePlace(world.io.env, () => getConfig(repo.git, CACHE_SIZE_KEY)),
    ...(create === undefined ? {} : { create }),
    api: {
      onRetry: ({ error, attempt, attemptCount, delayMs }) => {
        if (delayMs < NOTICE_DELAY_MIN_MS && attempt < 3) return;
        say(world, `waiting: ${error.message} (try ${attempt} of ${attemptCount})`);
      },
    },
  });
  return { repository, mode, subject: () => subject };
}

/** A clone URL may name a user, for git's sake; whom we are is for the token to say. */
const withoutUser = (url: string): string => url.replace(/^(https?:\/\/)[^/@]*@/i, '$1');

/** The `sub` of a token, unchecked: only to know which locks are our own. */
function subjectOf(token: string): string | null {
  try {
    const [, payload = ''] = token.split('.');
    const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'));
    const { sub } = claims as { readonly sub?: unknown };
    return typeof sub === 'string' ? sub : null;
  } catch {
    return null;
  }
}

interface KnownServers {
  readonly [url: string]: { readonly isDatamon: boolean; readonly checkedAtMs: number };
}

const serversFile = (repo: GitRepository): string => join(ownFolder(repo), 'servers.json');

async function readServers(repo: GitRepository): Promise<KnownServers> {
  try {
    const value: unknown = JSON.parse(await readFile(serversFile(repo), 'utf8'));
    return typeof value === 'object' && value !== null ? (value as KnownServers) : {};
  } catch {
    return {};
  }
}

/** A cache: a write that fails or is lost costs one more question. */
async function rememberServer(
  { repo, lfsUrl, world }: TargetRequest,
  known: KnownServers,
  isDatamon: boolean,
): Promise<void> {
  const next = { ...known, [lfsUrl]: { isDatamon, checkedAtMs: world.nowMs() } };
  try {
    await mkdir(ownFolder(repo), { recursive: true });
    await writeFile(serversFile(repo), JSON.stringify(next), { mode: 0o600 });
  } catch {
    // Read-only clones push too.
  }
}

/** Names the server in the words of a person, where a push cannot go on without it. */
export function nothingPushed(error: unknown): unknown {
  if (!hasCode(error, 'UNAVAILABLE')) return error;
  return new DatamonError('UNAVAILABLE', `${error.message}. Nothing was pushed.`, {
    cause: error,
    hint: error.hint ?? 'Try: datamon doctor',
  });
}
