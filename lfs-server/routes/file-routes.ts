/** Pages about files: a folder, a file, its bytes. */
import { DatamonError } from '../../core/errors.ts';
import type { Entry } from '../../core/meta/model.ts';
import { rawPathToText } from '../../core/meta/raw-path.ts';
import type { Repository } from '../../core/meta/repository.ts';
import { findEntry, listFolder } from '../../core/meta/tree-reader.ts';
import { findPush, locateRef, previewOf, type Resolved, readmeOf } from '../browse.ts';
import { pathOfSegments } from '../pages/path-url.ts';
import { blobPage, treePage } from '../pages/tree-pages.ts';
import { sendHtml } from '../reply.ts';
import { type Call, queryCount, repoUrl, rest } from '../route.ts';
import { sendBlob } from '../send-bytes.ts';
import { attachment } from './disposition.ts';
import { served } from './served.ts';

async function located(call: Call): Promise<Resolved & { readonly repository: Repository }> {
  const { repository } = await served(call);
  return { repository, ...(await locateRef(repository, rest(call, 'path'))) };
}

export async function showTree(call: Call): Promise<void> {
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
      skip: queryCount(call, 'skip', { max: Number.MAX_SAFE_INTEGER, fallback: 0 }),
      newest: folder === '' ? await findPush(repository, (event) => event.bundle === bundle) : null,
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

export async function showBlob(call: Call): Promise<void> {
  const { repository, ref, entry } = await entryAt(call);
  const preview = await previewOf(repository, entry);
  sendHtml(call, blobPage({ repo: call.repo, ref, entry, preview, url: repoUrl(call) }));
}

export async function sendRaw(call: Call): Promise<void> {
  const { repository, entry } = await entryAt(call);
  const { oid, kind } = entry;
  if (oid === null || (kind !== 'lfs' && kind !== 'git')) {
    throw new DatamonError('NOT_FOUND', `this is a ${kind}, which has no bytes to download`);
  }
  const sizeBytes = (await repository.blobs.has([oid], { broken: 'listed' })).get(oid);
  if (sizeBytes === undefined)
    throw new DatamonError('NOT_FOUND', 'this file was not stored here; the bundle only names it');
  const name = rawPathToText(entry.path)?.split('/').at(-1) ?? 'download';
  await sendBlob(call, {
    oid,
    sizeBytes,
    open: (range) => repository.blobs.get(oid, range),
    headers: { 'Content-Disposition': attachment(name) },
  });
}
