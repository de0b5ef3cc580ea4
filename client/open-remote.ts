/** A repo through its server: the part of `open.ts` that is loaded only where there is one. */
import type { UploadJournal } from '../core/cas/upload-journal.ts';
import { DatamonError } from '../core/errors.ts';
import { parseRepoList, type RepoSummary } from '../core/meta/api-wire.ts';
import type { Repository } from '../core/meta/repository.ts';
import { creationOf } from '../core/open-repository.ts';
import { secureRandom } from '../core/random.ts';
import { ApiClient } from './api-client.ts';
import { discover } from './discovery.ts';
import type { OpenOptions } from './open.ts';
import { RemoteRepository } from './remote-repository.ts';
import { RepoClient } from './repo-client.ts';
import type { ServerRepoUrl } from './repo-url.ts';
import { FIRST_CONTACT_POLICY } from './retry.ts';
import { NO_TOKENS, Session } from './session.ts';
import type { SpoolFolder } from './spool-folder.ts';

/** How a server is called: with the caller's tokens, waits and signal. */
export type Calling = Pick<OpenOptions, 'token' | 'signal' | 'api'>;

export interface RemoteParts {
  readonly options: OpenOptions;
  readonly spool: SpoolFolder;
  readonly journal: { readonly journal?: UploadJournal };
}

/** Opens the repo at `url`; makes it where `create` says so. */
export async function openRemote(
  url: ServerRepoUrl,
  { options, spool, journal }: RemoteParts,
): Promise<Repository> {
  const api = apiOf(url.url, options);
  const { base } = await discover(api, url);
  const repo = new RepoClient(api, base, url.repo);
  let described = await repo.describe();
  if (described.info === null) {
    if (options.create === undefined) {
      throw new DatamonError('NOT_FOUND', `there is no repo ${url.repo} on ${url.origin} yet`, {
        hint: 'It is made by the first push into it.',
      });
    }
    described = await repo.create((await creationOf(options.create)).remote);
  }
  return new RemoteRepository(repo, {
    spoolDir: spool.dir,
    random: options.random ?? secureRandom,
    ...(options.packSizeMaxBytes !== undefined && { packSizeMaxBytes: options.packSizeMaxBytes }),
    ...journal,
    webUrl: described.webUrl,
    onClose: spool.remove,
  });
}

/** The repos of the server at `origin` that the caller may read. */
export async function listRemote(
  origin: string,
  options: Calling,
): Promise<readonly RepoSummary[]> {
  const api = apiOf(origin, options);
  const call = {
    method: 'GET',
    url: `${origin}/api/v1/repos`,
    policy: FIRST_CONTACT_POLICY,
  } as const;
  return (await api.json(call, parseRepoList)).repos;
}

export function apiOf(url: string, options: Calling): ApiClient {
  return new ApiClient(new Session(url, options.token ?? NO_TOKENS), {
    ...options.api,
    ...(options.signal && { signal: options.signal }),
  });
}
