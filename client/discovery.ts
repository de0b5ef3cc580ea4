/** Whether a URL is a datamon server's, and where its API is. */
import { DatamonError, hasCode } from '../core/errors.ts';
import { API_VERSION, type DiscoveryAnswer, parseDiscovery } from '../core/meta/api-wire.ts';
import { type Parse, record } from '../core/shape.ts';
import type { ApiClient } from './api-client.ts';
import { ForeignAnswer } from './http-errors.ts';
import type { ServerRepoUrl } from './repo-url.ts';
import { FIRST_CONTACT_POLICY } from './retry.ts';

/** A machine that is not there must not keep a push waiting. */
const FIRST_CONTACT_TIMEOUT_MS = 20_000;

export interface Discovered {
  /** Where this repo's calls go: `<origin>/api/v1/repos/<repo>`. */
  readonly base: string;
  readonly transfers: readonly string[];
}

const parseBody: Parse<{ readonly datamon: DiscoveryAnswer }> = record({ datamon: parseDiscovery });

/** Asks the repo's URL what it is. UNSUPPORTED where it is not a datamon server, or a newer one than this client understands. */
export async function discover(api: ApiClient, repo: ServerRepoUrl): Promise<Discovered> {
  const { datamon, url } = await ask(api, repo);
  if (datamon.version > API_VERSION) {
    throw new DatamonError(
      'UNSUPPORTED',
      `${repo.origin} speaks version ${datamon.version} of datamon's API; this client knows ${API_VERSION}`,
      { hint: 'Update datamon on this machine.' },
    );
  }
  // The server may not know under which name it is reached; tokens are for the origin that the user named, and go nowhere else.
  const path = URL.parse(datamon.api)?.pathname.replace(/\/+$/, '');
  if (path === undefined || !/^(\/[A-Za-z0-9._-]+)+$/.test(path)) throw notDatamon(repo);
  return {
    base: `${secured(repo.origin, url)}${path}/repos/${encodeURIComponent(repo.repo)}`,
    transfers: datamon.transfers,
  };
}

async function ask(
  api: ApiClient,
  repo: ServerRepoUrl,
): Promise<{ readonly datamon: DiscoveryAnswer; readonly url: string }> {
  try {
    return await api.located(
      {
        method: 'GET',
        url: repo.url,
        policy: FIRST_CONTACT_POLICY,
        answerTimeoutMs: FIRST_CONTACT_TIMEOUT_MS,
      },
      parseBody,
      ({ datamon }, url) => ({ datamon, url }),
    );
  } catch (error) {
    if (isForeign(error)) throw notDatamon(repo, error);
    throw error;
  }
}

/** An answer that is not datamon's, or a page that is not there: some other server. */
function isForeign(error: unknown): error is DatamonError {
  if (hasCode(error, 'UNSUPPORTED')) return true;
  const isAbsent = hasCode(error, 'NOT_FOUND') || hasCode(error, 'INVALID');
  return isAbsent && error.cause instanceof ForeignAnswer;
}

/** The origin to talk to: the user's, or the same host over https where the server sent us there. */
function secured(origin: string, answeredFrom: string): string {
  const asked = new URL(origin);
  const answered = new URL(answeredFrom);
  const upgraded = asked.hostname === answered.hostname && answered.protocol === 'https:';
  return upgraded ? answered.origin : origin;
}

function notDatamon(repo: ServerRepoUrl, cause?: DatamonError): DatamonError {
  return new DatamonError('UNSUPPORTED', `${repo.origin} is not a datamon server`, {
    cause,
    hint: 'Check the URL: git config lfs.url',
  });
}
