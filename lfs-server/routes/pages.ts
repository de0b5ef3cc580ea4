/** Pages for people. Each route reads what it shows and hands it to a view. */
import { scopeAllows } from '../../client/tokens.ts';
import { type Digest, parseDigest } from '../../core/digest.ts';
import { DatamonError } from '../../core/errors.ts';
import { type GitSha, isGitSha, parseGitSha } from '../../core/keys.ts';
import { API_VERSION } from '../../core/meta/api-wire.ts';
import { commitOf, isSynthetic } from '../../core/meta/bundle.ts';
import type { Entry } from '../../core/meta/model.ts';
import { rawPathToText } from '../../core/meta/raw-path.ts';
import type { Repository } from '../../core/meta/repository.ts';
import { findEntry, listFolder } from '../../core/meta/tree-reader.ts';
import { demand, LISTED, noSuchRepo, OPEN, READ } from '../access.ts';
import {
  changesBetween,
  findPush,
  locateRef,
  previewOf,
  type Resolved,
  readmeOf,
  recordedOf,
  withCommit,
} from '../browse.ts';
import { authenticate } from '../caller.ts';
import { branchLogPage, bundlePage } from '../pages/bundle-pages.ts';
import { commitPage, comparePage } from '../pages/change-pages.ts';
import { pathOfSegments } from '../pages/path-url.ts';
import { repoListPage } from '../pages/repo-list.ts';
import { overviewPage } from '../pages/repo-overview.ts';
import { blobPage, treePage } from '../pages/tree-pages.ts';
import { sendHtml, sendJson, wantsHtml } from '../reply.ts';
import type { ServedRepo } from '../repos.ts';
import { type Call, originOf, param, queryCount, type Route, repoUrl, rest } from '../route.ts';
import { sendBlob } from '../send-bytes.ts';
import { attachment } from './disposition.ts';
import { collectAsync, take } from './listing.ts';

const ROWS_ON_OVERVIEW = 8;
const ROWS_ON_PAGE = 50;
const BRANCHES_MAX = 100;

const page = { area: 'page', method: 'get', access: READ, answer: 'text/html' } as const;

export const PAGE_ROUTES: readonly Route[] = [
  { ...page, area: 'root', path: '/', access: LISTED, summary: 'Repos', run: showRepos },
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
  { ...page, path: '/tree/*path', summary: 'A folder', run: showTree },
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
  sendHtml(call, repoListPage({ origin: originOf(call), repos, now: new Date() }));
}

async function served(call: Call): Promise<ServedRepo> {
  const found = await call.deps.repos.find(call.repo);
  if (found === null) throw noSuchRepo(call.repo);
  return found;
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
  const main = ['main', 'master'].find((name) => names.includes(name)) ?? names[0] ?? null;
  const newest = main === null ? [] : await take(history.branchLog(main), ROWS_ON_OVERVIEW);
  const labels = (await take(history.labels(), BRANCHES_MAX)).map(({ event }) => event);
  const head = newest[0]?.event.bundle ?? null;
  sendHtml(
    call,
    overviewPage({
      repo: call.repo,
      info,
      url: repoUrl(call),
      main,
      branches: await Promise.all(heads.map((each) => withCommit(history, each))),
      labels: labels.filter(({ bundle }) => bundle !== null),
      newest: await Promise.all(newest.map((each) => withCommit(history, each))),
      readme: head === null ? null : await rootReadme(repository, head),
      now: new Date(),
    }),
  );
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
      rows: await Promise.all(events.map((each) => withCommit(history, each))),
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
      push: await findPush(history, (event) => event.bundle === bundle),
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

async function showCommit(call: Call): Promise<void> {
  const { repository } = await served(call);
  const { history } = repository;
  const sha = await fullSha(repository, param(call, 'commit'));
  const bundle = await history.bundleOfCommit(sha);
  if (bundle === null) throw noBundle(sha);
  const descriptor = await history.getBundle(bundle);
  const commit = commitOf(descriptor);
  const push = await findPush(history, (event) => event.gitNew === sha);
  const recorded = await recordedOf(history, commit.parents);
  const before =
    commit.parents.find((parent) => recorded.has(parent)) ?? push?.event.gitOld ?? null;
  const base = before === null ? null : await history.bundleOfCommit(before);
  sendHtml(
    call,
    commitPage({
      repo: call.repo,
      sha,
      bundle,
      commit,
      totals: descriptor.totals,
      push,
      recorded,
      before: base === null ? null : before,
      changes: await changesBetween(repository, base, bundle),
      url: repoUrl(call),
      now: new Date(),
    }),
  );
}

async function fullSha({ history }: Repository, text: string): Promise<GitSha> {
  if (isGitSha(text)) return text;
  if (!/^[0-9a-f]{4,63}$/.test(text)) return parseGitSha(text);
  const [only, second] = await history.findCommits(text, 2);
  if (only !== undefined && second === undefined) return only;
  throw second === undefined
    ? noBundle(text)
    : new DatamonError('NOT_FOUND', `${text} is the beginning of more than one commit`);
}

const noBundle = (sha: string) =>
  new DatamonError('NOT_FOUND', `no bundle was recorded for commit ${sha}`, {
    hint: 'Only the tip of a push becomes a bundle; commits between two tips are in the next one. datamon record makes one of any commit.',
  });

async function located(call: Call): Promise<Resolved & { readonly repository: Repository }> {
  const { repository } = await served(call);
  return { repository, ...(await locateRef(repository, rest(call, 'path'))) };
}

async function showTree(call: Call): Promise<void> {
  const { repository, ref, bundle, rest: below } = await located(call);
  const { history, pages } = repository;
  const folder = pathOfSegments(below);
  const { tree } = await history.getBundle(bundle);
  const listing = await listFolder(pages, tree, folder);
  if (listing === null) throw new DatamonError('NOT_FOUND', `there is no such folder in ${ref}`);
  sendHtml(
    call,
    treePage({
      repo: call.repo,
      ref,
      folder,
      listing,
      newest: folder === '' ? await findPush(history, (event) => event.bundle === bundle) : null,
      readme: await readmeOf(repository, listing),
      url: repoUrl(call),
      now: new Date(),
    }),
  );
}

async function entryAt(call: Call): Promise<{ repository: Repository; ref: string; entry: Entry }> {
  const { repository, ref, bundle, rest: below } = await located(call);
  const path = pathOfSegments(below);
  const { tree } = await repository.history.getBundle(bundle);
  const entry = path === '' ? null : await findEntry(repository.pages, tree, path);
  if (entry === null) throw new DatamonError('NOT_FOUND', `there is no such file in ${ref}`);
  return { repository, ref, entry };
}

async function showBlob(call: Call): Promise<void> {
  const { repository, ref, entry } = await entryAt(call);
  const preview = await previewOf(repository, entry);
  sendHtml(call, blobPage({ repo: call.repo, ref, entry, preview, url: repoUrl(call) }));
}

async function sendRaw(call: Call): Promise<void> {
  const { repository, entry } = await entryAt(call);
  const { oid, kind } = entry;
  if (oid === null || (kind !== 'lfs' && kind !== 'git')) {
    throw new DatamonError('NOT_FOUND', `this is a ${kind}, which has no bytes to download`);
  }
  const sizeBytes = (await repository.blobs.has([oid])).get(oid);
  if (sizeBytes === undefined)
    throw new DatamonError('NOT_FOUND', 'this file was not stored here; the bundle only names it');
  const name = rawPathToText(entry.path)?.split('/').at(-1) ?? 'download';
  const headers = {
    'Content-Disposition': attachment(name),
    'Content-Security-Policy': "default-src 'none'; sandbox",
    'Cross-Origin-Resource-Policy': 'same-origin',
  };
  await sendBlob(call, {
    oid,
    sizeBytes,
    open: (range) => repository.blobs.get(oid, range),
    headers,
  });
}

async function showComparison(call: Call): Promise<void> {
  const { repository } = await served(call);
  const [from = '', to = '', ...more] = rest(call, 'refs').join('/').split('...');
  if (from === '' || to === '' || more.length > 0) {
    throw new DatamonError('NOT_FOUND', 'compare two refs like this: compare/main...v1');
  }
  const bundles = await Promise.all([from, to].map((ref) => wholeRef(repository, ref)));
  const [a, b] = bundles;
  if (a === undefined || b === undefined) return;
  const changes = await changesBetween(repository, a, b);
  sendHtml(call, comparePage({ repo: call.repo, from, to, changes, url: repoUrl(call) }));
}

async function wholeRef(repository: Repository, ref: string): Promise<Digest> {
  return (await locateRef(repository, [ref])).bundle;
}
