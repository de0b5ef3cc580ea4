/** Repos in the API: which there are, what one is, making one. */

import { scopeAllows } from '../../client/tokens.ts';
import type { ApiVerb, RepoAnswer, RepoSummary } from '../../core/meta/api-wire.ts';
import { nullable, object, textUpTo } from '../../core/shape.ts';
import { BATCH_READ_OR_WRITE, BATCH_WRITE, LISTED, noSuchRepo } from '../access.ts';
import { readJson } from '../body.ts';
import { verbsOn } from '../caller.ts';
import { sendJson } from '../reply.ts';
import type { ServedRepo } from '../repos.ts';
import { type Call, type Route, repoUrl } from '../route.ts';
import { collectAsync } from './listing.ts';

const REPO_BODY_MAX_BYTES = 64 * 1024;
const JSON_BODY = 'application/json';

export const API_REPO_ROUTES: readonly Route[] = [
  {
    area: 'root',
    method: 'get',
    path: '/api/v1/repos',
    access: LISTED,
    summary: 'Repos the caller may read',
    answer: JSON_BODY,
    run: listRepos,
  },
  {
    area: 'api',
    method: 'get',
    path: '',
    access: BATCH_READ_OR_WRITE,
    summary: 'The repo, what the caller may do, and for writers how to cut files',
    answer: JSON_BODY,
    run: describeRepo,
  },
  {
    area: 'api',
    method: 'put',
    path: '',
    access: BATCH_WRITE,
    summary: 'Make the repo where it is absent',
    body: JSON_BODY,
    answer: JSON_BODY,
    run: makeRepo,
  },
];

async function listRepos(call: Call): Promise<void> {
  const { caller, deps } = call;
  const all = await collectAsync(deps.repos.list());
  const repos: RepoSummary[] = all
    .filter(({ repo }) => scopeAllows(caller.scopes, 'read', repo))
    .map(({ repo, info }) => ({ repo, pool: info.pool, createdAt: info.createdAt }));
  sendJson(call, { repos });
}

async function describeRepo(call: Call): Promise<void> {
  const served = await call.deps.repos.find(call.repo);
  if (served === null && !mayWrite(call)) throw noSuchRepo(call.repo);
  sendJson(call, answerFor(call, served));
}

async function makeRepo(call: Call): Promise<void> {
  const { limits } = call.deps.settings;
  const { remote: given } = object(
    await readJson(call.request, { limitBytes: REPO_BODY_MAX_BYTES, limits }),
    'the repo',
  );
  const remote = nullable(textUpTo(2048))(given ?? null, 'remote');
  const by = { createdBy: call.caller.subject, remote };
  sendJson(call, answerFor(call, await call.deps.repos.ensure(call.repo, by)));
}

function answerFor(call: Call, served: ServedRepo | null): RepoAnswer {
  const writer = mayWrite(call);
  return {
    repo: call.repo,
    info: served?.info ?? null,
    webUrl: repoUrl(call),
    verbs: apiVerbs(call),
    // The chunker's seed would tell a reader of the store's sizes what others keep in the pool.
    pool: writer ? (served?.pool ?? null) : null,
  };
}

const mayWrite = (call: Call): boolean => apiVerbs(call).includes('write');

function apiVerbs(call: Call): readonly ApiVerb[] {
  const { action } = call.caller;
  if (action !== null) return [action.operation === 'upload' ? 'write' : 'read'];
  return verbsOn(call.caller, call.repo).filter((verb) => verb !== 'admin');
}
