/** Pages for people. Each route reads what it shows and hands it to a view. */
import { scopeAllows } from '../../client/tokens.ts';
import { type Digest, parseDigest } from '../../core/digest.ts';
import { API_VERSION } from '../../core/meta/api-wire.ts';
import { commitOf, isSynthetic } from '../../core/meta/bundle.ts';
import type { History, Repository } from '../../core/meta/repository.ts';
import { listFolder } from '../../core/meta/tree-reader.ts';
import { demand, LISTED, OPEN, READ } from '../access.ts';
import { findPush, locateRef, readmeOf, withCommit } from '../browse.ts';
import { authenticate } from '../caller.ts';
import { branchLogPage, bundlePage } from '../pages/bundle-pages.ts';
import { repoListPage } from '../pages/repo-list.ts';
import { overviewPage } from '../pages/repo-overview.ts';
import { sendHtml, sendJson, wantsHtml } from '../reply.ts';
import { type Call, originOf, param, queryCount, type Route, repoUrl, rest } from '../route.ts';
import { showCommit, showComparison } from './change-routes.ts';
import { sendRaw, showBlob, showTree } from './file-routes.ts';
import { collectAsync, take } from './listing.ts';
import { served } from './served.ts';

const ROWS_ON_OVERVIEW = 8;
const ROWS_ON_PAGE = 50;
const BRANCHES_MAX = 100;

const page = { area: 'page', method: 'get', access: READ, answer: 'text/html' } as const;

export const PAGE_ROUTES: readonly Route[] = [
  {
    ...page,
    area: 'root',
    path: '/',
    query: ['skip'],
    access: LISTED,
    summary: 'Repos',
    run: showRepos,
  },
  // Open, because discovery says the same of every name; the page behind it asks for `read` itself.
  {
    ...page,
    path: '/',
    access: OPEN,
    summary: 'The repo; with Accept: application/json, discovery',
    run: discoverOrShow,
  },
  {
    ...page,
    path: '/commits/*ref',
    query: ['before'],
    summary: 'Bundles of a branch',
    run: showLog,
  },
  { ...page, path: '/bundle/:bundle', summary: 'A bundle', run: showBundle },
  { ...page, path: '/commit/:commit', summary: 'A commit and what it changed', run: showCommit },
  { ...page, path: '/tree/*path', query: ['skip'], summary: 'A folder', run: showTree },
  { ...page, path: '/blob/*path', summary: 'A file', run: showBlob },
  {
    ...page,
    path: '/raw/*path',
    answer: 'application/octet-stream',
    summary: 'The bytes of a file',
    run: sendRaw,
  },
  {
    ...page,
    path: '/compare/*refs',
    summary: 'What differs between two bundles',
    run: showComparison,
  },
];

async function showRepos(call: Call): Promise<void> {
  const all = await collectAsync(call.deps.repos.list());
  const repos = all.filter(({ repo }) => scopeAllows(call.caller.scopes, 'read', repo));
  const skip = queryCount(call, 'skip', { max: repos.length, fallback: 0 });
  sendHtml(call, repoListPage({ origin: originOf(call), repos, skip, now: new Date() }));
}

async function discoverOrShow(call: Call): Promise<void> {
  if (!wantsHtml(call.request.headers.accept)) {
    const { repo } = call;
    const api = `${originOf(call)}/api/v1`;
    sendJson(call, {
      datamon: { version: API_VERSION, api, repo, transfers: ['datamon', 'basic'] },
    });
    return;
  }
  const caller = authenticate(call.request.headers.authorization, call.deps.settings);
  demand(READ, caller, { repo: call.repo, oid: null });
  await showOverview(call);
}

async function showOverview(call: Call): Promise<void> {
  const { repository, info } = await served(call);
  const { history } = repository;
  const heads = (await take(history.branches(), BRANCHES_MAX)).filter(
    ({ event }) => event.bundle !== null,
  );
  heads.sort((a, b) => (a.event.pushedAt < b.event.pushedAt ? 1 : -1));
  const names = heads.map(({ event }) => event.branch);
  const { main, newest } = await mainLog(history, names);
  const labels = (await take(history.labels(), BRANCHES_MAX)).map(({ event }) => event);
  const head = newest[0]?.event.bundle ?? null;
  sendHtml(
    call,
    overviewPage({
      repo: call.repo,
      info,
      url: repoUrl(call),
      main,
      branches: await Promise.all(heads.map((each) => withCommit(repository, each))),
      labels: labels.filter(({ bundle }) => bundle !== null),
      listMax: BRANCHES_MAX,
      newest: await Promise.all(newest.map((each) => withCommit(repository, each))),
      readme: head === null ? null : await rootReadme(repository, head),
      now: new Date(),
    }),
  );
}

/** The branch most people mean, asked for by name since not all branches were listed; else the newest, those of other remotes last. */
async function mainLog(history: History, names: readonly string[]) {
  const fallback = names.find((name) => !name.startsWith('~')) ?? names[0];
  for (const main of ['main', 'master', ...(fallback === undefined ? [] : [fallback])]) {
    const newest = await take(history.branchLog(main), ROWS_ON_OVERVIEW);
    if (typeof newest[0]?.event.bundle === 'string') return { main, newest };
  }
  return { main: null, newest: [] };
}

async function rootReadme(repository: Repository, bundle: Digest) {
  const { tree } = await repository.history.getBundle(bundle);
  const listing = await listFolder(repository.pages, tree, '');
  return listing === null ? null : await readmeOf(repository, listing);
}

async function showLog(call: Call): Promise<void> {
  const { repository } = await served(call);
  const { history } = repository;
  const branch = rest(call, 'ref').join('/');
  const before = queryCount(call, 'before', { max: Number.MAX_SAFE_INTEGER, fallback: 0 });
  const events = await take(
    history.branchLog(branch, before > 1 ? before : undefined),
    ROWS_ON_PAGE,
  );
  if (events.length === 0) {
    // A label, bundle or commit has no log of its own; its bundle is the nearest there is.
    const { bundle } = await locateRef(repository, rest(call, 'ref'));
    await showBundleOf(call, bundle);
    return;
  }
  const last = events.at(-1)?.n ?? 1;
  sendHtml(
    call,
    branchLogPage({
      repo: call.repo,
      branch,
      rows: await Promise.all(events.map((each) => withCommit(repository, each))),
      before: last > 1 ? last : null,
      url: repoUrl(call),
      now: new Date(),
    }),
  );
}

async function showBundle(call: Call): Promise<void> {
  const { repository } = await served(call);
  await showBundleOf(call, (await locateRef(repository, [param(call, 'bundle')])).bundle);
}

async function showBundleOf(call: Call, bundle: Digest): Promise<void> {
  const { repository } = await served(call);
  const { history, pages } = repository;
  const descriptor = await history.getBundle(parseDigest(bundle));
  const listing = await listFolder(pages, descriptor.tree, '');
  sendHtml(
    call,
    bundlePage({
      repo: call.repo,
      bundle,
      descriptor,
      commit: commitOf(descriptor),
      isSynthetic: isSynthetic(descriptor),
      push: await findPush(repository, (event) => event.bundle === bundle),
      copies: (await repository.copies?.(bundle, descriptor.commit)) ?? null,
      folder: {
        repo: call.repo,
        ref: bundle,
        folder: '',
        listing: listing ?? { folders: [], files: [] },
      },
      url: repoUrl(call),
      now: new Date(),
    }),
  );
}
