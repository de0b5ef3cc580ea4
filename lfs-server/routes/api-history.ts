/** Bundles, commits, branches and labels in the API: the port `History`, call by call. */
import { parseDigest } from '../../core/digest.ts';
import { DatamonError } from '../../core/errors.ts';
import { parseGitSha } from '../../core/keys.ts';
import type { RawPath } from '../../core/meta/model.ts';
import { rawPathFromText } from '../../core/meta/raw-path.ts';
import type { History, Repository } from '../../core/meta/repository.ts';
import { entries } from '../../core/meta/tree-reader.ts';
import { formatEntry, formatPath, parseBundleDescriptor } from '../../core/meta/wire.ts';
import { digest, nullable, record } from '../../core/shape.ts';
import { READ, WRITE } from '../access.ts';
import { readJson } from '../body.ts';
import { sendJson } from '../reply.ts';
import { type Call, param, query, queryCount, type Route } from '../route.ts';
import { HISTORY_BODY_MAX_BYTES } from '../settings.ts';
import { collectAsync, take } from './listing.ts';
import { served } from './served.ts';

const JSON_BODY = 'application/json';
const FIND_COUNT_MAX = 100;
const LOG_COUNT_MAX = 1000;
const ENTRIES_COUNT_MAX = 10_000;
const PREFIX_PATTERN = /^[0-9a-f]{4,64}$/;

const api = { area: 'api', answer: JSON_BODY } as const;
const read = { ...api, method: 'get', access: READ } as const;

export const API_HISTORY_ROUTES: readonly Route[] = [
  {
    ...api,
    method: 'put',
    path: '/bundles',
    access: WRITE,
    body: JSON_BODY,
    summary: 'Store a bundle descriptor',
    run: putBundle,
  },
  {
    ...read,
    path: '/bundles',
    query: ['prefix', 'limit'],
    summary: 'Bundles whose id begins so',
    run: findBundles,
  },
  { ...read, path: '/bundles/:bundle', summary: 'A bundle descriptor', run: getBundle },
  {
    ...read,
    path: '/bundles/:bundle/entries',
    query: ['after', 'limit', 'prefix'],
    summary: 'Files of a bundle',
    run: listEntries,
  },
  {
    ...read,
    path: '/commits',
    query: ['prefix', 'limit'],
    summary: 'Commits with a bundle whose id begins so',
    run: findCommits,
  },
  { ...read, path: '/commits/:commit', summary: 'The bundle of a commit', run: bundleOfCommit },
  { ...read, path: '/branches', summary: 'The newest event of every branch', run: branches },
  {
    ...read,
    path: '/branches/:branch/log',
    query: ['before', 'limit'],
    summary: 'Events of a branch, newest first',
    run: branchLog,
  },
  { ...read, path: '/labels', summary: 'The newest event of every label', run: labels },
  {
    ...read,
    path: '/labels/:label/log',
    summary: 'Events of a label, newest first',
    run: labelLog,
  },
  {
    ...api,
    method: 'put',
    path: '/labels/:label',
    access: WRITE,
    body: JSON_BODY,
    summary: 'Point a label at a bundle, or at nothing',
    run: setLabel,
  },
];

async function history(call: Call): Promise<History> {
  return (await repositoryOf(call)).history;
}

async function repositoryOf(call: Call): Promise<Repository> {
  return (await served(call)).repository;
}

const readBody = (call: Call): Promise<unknown> =>
  readJson(call.request, { limitBytes: HISTORY_BODY_MAX_BYTES, limits: call.deps.settings.limits });

async function putBundle(call: Call): Promise<void> {
  const descriptor = parseBundleDescriptor(await readBody(call), 'bundle');
  sendJson(call, { bundle: await (await history(call)).putBundle(descriptor) });
}

async function getBundle(call: Call): Promise<void> {
  sendJson(call, await (await history(call)).getBundle(parseDigest(param(call, 'bundle'))));
}

async function findBundles(call: Call): Promise<void> {
  const found = await history(call);
  sendJson(call, { bundles: await found.findBundles(prefixOf(call), findLimit(call)) });
}

async function findCommits(call: Call): Promise<void> {
  const found = await history(call);
  sendJson(call, { commits: await found.findCommits(prefixOf(call), findLimit(call)) });
}

const findLimit = (call: Call): number =>
  queryCount(call, 'limit', { max: FIND_COUNT_MAX, fallback: FIND_COUNT_MAX });

function prefixOf(call: Call): string {
  const prefix = query(call, 'prefix') ?? '';
  if (PREFIX_PATTERN.test(prefix)) return prefix;
  throw new DatamonError('INVALID', 'prefix is not 4 to 64 lower-case hex digits');
}

async function bundleOfCommit(call: Call): Promise<void> {
  const commit = parseGitSha(param(call, 'commit'));
  const bundle = await (await history(call)).bundleOfCommit(commit);
  if (bundle === null)
    throw new DatamonError('NOT_FOUND', `no bundle was recorded for commit ${commit}`);
  sendJson(call, { bundle });
}

async function branches(call: Call): Promise<void> {
  sendJson(call, { branches: await collectAsync((await history(call)).branches()) });
}

async function branchLog(call: Call): Promise<void> {
  const limit = queryCount(call, 'limit', { max: LOG_COUNT_MAX, fallback: 100 });
  const before = query(call, 'before');
  const from = before
    ? queryCount(call, 'before', { max: Number.MAX_SAFE_INTEGER, fallback: 0 })
    : undefined;
  // Nothing comes before the first event.
  const events =
    from !== undefined && from <= 1
      ? []
      : await take((await history(call)).branchLog(param(call, 'branch'), from), limit);
  sendJson(call, { events });
}

async function labels(call: Call): Promise<void> {
  sendJson(call, { labels: await collectAsync((await history(call)).labels()) });
}

async function labelLog(call: Call): Promise<void> {
  const events = await take((await history(call)).labelLog(param(call, 'label')), LOG_COUNT_MAX);
  sendJson(call, { events });
}

const parseLabelTarget = record({ bundle: nullable(digest) });

async function setLabel(call: Call): Promise<void> {
  const label = param(call, 'label');
  const { bundle } = parseLabelTarget(await readBody(call), 'the label');
  const found = await history(call);
  // A label on nothing that is stored would be a promise nobody can keep.
  if (bundle !== null) await found.getBundle(bundle);
  await found.setLabel(label, bundle, call.caller.subject);
  sendJson(call, { label, bundle });
}

async function listEntries(call: Call): Promise<void> {
  const { history: found, pages } = await repositoryOf(call);
  const { tree } = await found.getBundle(parseDigest(param(call, 'bundle')));
  const limit = queryCount(call, 'limit', { max: ENTRIES_COUNT_MAX, fallback: 1000 });
  const range = { after: pathQuery(call, 'after'), prefix: pathQuery(call, 'prefix') };
  const listed = await take(entries(pages, tree, range), limit);
  const last = listed.length === limit ? listed.at(-1) : undefined;
  sendJson(call, {
    entries: listed.map(formatEntry),
    next: last === undefined ? null : formatPath(last.path),
  });
}

function pathQuery(call: Call, name: string): RawPath | '' {
  const text = query(call, name) ?? '';
  return text === '' ? '' : rawPathFromText(text);
}
