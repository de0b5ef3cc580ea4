/** What a repo's store or server lets the caller do, and what time it has there: asked, not guessed. Nothing of the repo is changed. */
import { DatamonError, hasCode } from '../core/errors.ts';
import type { ApiClient } from './api-client.ts';
import { discover } from './discovery.ts';
import type { OpenOptions } from './open.ts';
import { apiOf } from './open-remote.ts';
import { openStorePlaces, proveStore } from './open-store.ts';
import { RepoClient } from './repo-client.ts';
import { parseRepoUrl, type ServerRepoUrl } from './repo-url.ts';

export interface Probe {
  /** Reading and listing were tried by whoever opened the repo; this is about creating. */
  readonly mayWrite: boolean;
  /** Why not; null where one may. */
  readonly why: string | null;
  /** The clock of the store or server; null where it tells none. */
  readonly clock: Date | null;
  /** The promise that the store does not keep, where it was looked for and found. */
  readonly broken: string | null;
}

export async function probeRepository(
  url: string,
  options: Pick<OpenOptions, 'token' | 'signal' | 'api'>,
): Promise<Probe> {
  const parsed = parseRepoUrl(url);
  return parsed.kind === 'store'
    ? probeStore(parsed.storeUrl, options.signal)
    : probeServer(parsed, apiOf(parsed.url, options));
}

/** A folder tells the time of a file it was made to create, so that one call answers both questions; a bucket is proven, too. */
async function probeStore(storeUrl: string, signal: AbortSignal | undefined): Promise<Probe> {
  const { backend, group } = await openStorePlaces(storeUrl, { signal });
  let clock: Date | null = null;
  try {
    group?.checkWritable();
    clock = await backend.now();
    await proveStore(storeUrl, backend);
    return { mayWrite: true, why: null, clock, broken: null };
  } catch (error) {
    if (hasCode(error, 'UNSUPPORTED')) {
      return { mayWrite: false, why: error.message, clock, broken: error.message };
    }
    if (!hasCode(error, 'FORBIDDEN') && !hasCode(error, 'NO_SPACE')) throw error;
    return { mayWrite: false, why: error.message, clock, broken: null };
  }
}

async function probeServer(url: ServerRepoUrl, api: ApiClient): Promise<Probe> {
  const { base } = await discover(api, url);
  const mayWrite = await writes(api, url, base);
  const answer = await api.open({ method: 'GET', url: url.url });
  answer.discard();
  const clock = new Date(answer.headers.date ?? Number.NaN);
  return {
    mayWrite,
    why: mayWrite
      ? null
      : api.hasToken
        ? `the token may read ${url.repo}, not write it`
        : `without a token one may read ${url.repo}, not write it`,
    clock: Number.isNaN(clock.getTime()) ? null : clock,
    broken: null,
  };
}

async function writes(api: ApiClient, url: ServerRepoUrl, base: string): Promise<boolean> {
  const allows = async (): Promise<boolean> =>
    (await new RepoClient(api, base, url.repo).describe()).verbs.includes('write');
  const first = await allows();
  if (first || api.hasToken) return first;
  // A server that lets everybody read asks nobody for a token.
  const refusal = new DatamonError('FORBIDDEN', `reading ${url.repo} needs no token, writing does`);
  try {
    await api.logIn(refusal);
  } catch (error) {
    if (hasCode(error, 'CANCELLED')) throw error;
    return false;
  }
  return allows();
}
