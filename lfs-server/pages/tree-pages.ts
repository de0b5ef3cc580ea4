/** `/<repo>/tree/<ref>/<path>` and `/<repo>/blob/<ref>/<path>`: folders and files of a bundle. */
import type { RepoName } from '../../core/keys.ts';
import { formatPointer } from '../../core/lfs/pointer.ts';
import type { Entry, RawPath } from '../../core/meta/model.ts';
import { displayPath, rawPathToText } from '../../core/meta/raw-path.ts';
import type { FolderListing } from '../../core/meta/tree-reader.ts';
import { type Html, html, type Part } from './html.ts';
import { inRepo, layout } from './layout.ts';
import { rawSegments } from './path-url.ts';
import { datamonCommand, shellWord } from './shell.ts';
import { ago, bytes, count, counted } from './units.ts';
import { command, commitLink, facts, icon, type PushedBundle, person, shortRef } from './views.ts';

/** Rows of one page of a folder. */
export const FOLDER_ROWS_MAX = 1000;

export interface FolderView {
  readonly repo: RepoName;
  readonly ref: string;
  /** `''`: the root. */
  readonly folder: RawPath | '';
  readonly listing: FolderListing;
  /** Rows before those shown; 0 unless told otherwise. */
  readonly skip?: number;
}

export interface TreeView extends FolderView {
  readonly newest: PushedBundle | null;
  readonly readme: { readonly name: string; readonly text: string } | null;
  readonly url: string;
  readonly now: Date;
}

export function treePage(view: TreeView): string {
  const { repo, ref, folder, newest, now } = view;
  const body = html`${crumbs(view, folder)}
<div class="box">${newest === null ? null : newestLine(repo, newest, now)}${folderRows(view)}</div>
${view.readme === null ? null : html`<h2>${view.readme.name}</h2><div class="box"><pre class="text">${view.readme.text}</pre></div>`}`;
  return layout({
    title: `${folder === '' ? ref : displayPath(folder)} · ${repo}`,
    repo,
    ref,
    tab: 'files',
    body,
    command: datamonCommand('ls', view.url, refPath(ref, folder)),
  });
}

function newestLine(repo: RepoName, { event, commit }: PushedBundle, now: Date): Html {
  const { gitNew } = event;
  return html`<div class="head"><span class="grow"><b>${person(commit?.author.name || event.pushedBy)}</b> ${commit?.subject ?? ''}</span>
<span class="dim">${gitNew === null ? null : commitLink(repo, gitNew)} · ${ago(event.pushedAt, now)}</span></div>`;
}

export const folderTable = (view: FolderView): Html =>
  html`<div class="box">${folderRows(view)}</div>`;

function folderRows(view: FolderView): Html {
  const { listing, skip = 0 } = view;
  const total = listing.folders.length + listing.files.length;
  if (total === 0) return html`<div class="blank">Nothing is in here.</div>`;
  const end = skip + FOLDER_ROWS_MAX;
  const folders = listing.folders.slice(skip, end).map((folder) => folderRow(view, folder));
  const before = listing.folders.length;
  const files = listing.files
    .slice(Math.max(0, skip - before), Math.max(0, end - before))
    .map((entry) => fileRow(view, entry));
  return html`<div class="scroll"><table><tbody>${upRow(view)}${folders}${files}</tbody></table></div>
${total > FOLDER_ROWS_MAX ? pager(view, total) : null}`;
}

const hrefOf = ({ repo, ref }: FolderView, path: RawPath | ''): string =>
  inRepo(repo, 'tree', ref, ...rawSegments(path));

function upRow(view: FolderView): Html | null {
  if (view.folder === '') return null;
  return html`<tr><td class="name" colspan="3"><a href="${hrefOf(view, parentOf(view.folder))}" title="The folder above">..</a></td></tr>`;
}

function folderRow(view: FolderView, folder: FolderListing['folders'][number]): Html {
  const { name, path, fileCount, sizeBytes } = folder;
  return html`<tr><td class="name">${icon('folder')}<a href="${hrefOf(view, path)}">${displayPath(name)}</a></td>
<td class="num dim">${counted(fileCount, 'file')}</td><td class="num">${bytes(sizeBytes)}</td></tr>`;
}

function pager(view: FolderView, total: number): Html {
  const { folder, skip = 0 } = view;
  const end = Math.min(total, skip + FOLDER_ROWS_MAX);
  const to = (start: number, word: string): Html =>
    html` · <a href="${hrefOf(view, folder)}?skip=${start}">${word}</a>`;
  return html`<div class="more dim">${count(Math.min(skip + 1, total))} to ${count(end)} of ${count(total)}${
    skip > 0 ? to(Math.max(0, skip - FOLDER_ROWS_MAX), 'Before') : null
  }${end < total ? to(end, 'More') : null}</div>`;
}

function fileRow({ repo, ref }: FolderView, entry: Entry): Html {
  const name = displayPath((entry.path.split('/').at(-1) ?? entry.path) as RawPath);
  const isFile = entry.kind === 'lfs' || entry.kind === 'git';
  const link = html`<a href="${inRepo(repo, 'blob', ref, ...rawSegments(entry.path))}">${name}</a>`;
  const note =
    entry.reference === undefined ? null : html` <span class="dim">→ ${entry.reference}</span>`;
  return html`<tr><td class="name">${icon(isFile ? 'file' : 'link')}${link}${note}</td>
<td class="num dim">${kindWord(entry)}</td><td class="num">${isFile ? bytes(entry.sizeBytes) : ''}</td></tr>`;
}

function kindWord(entry: Entry): string {
  if (entry.kind === 'lfs' || entry.kind === 'git') return entry.executable ? 'executable' : '';
  return entry.kind;
}

/** The way from the root to `path`; its last part is where one is. */
function crumbs({ repo, ref }: { repo: RepoName; ref: string }, path: RawPath | ''): Html {
  const parts = path === '' ? [] : path.split('/');
  const links: Part[] = parts.map((part, index) => {
    const name = displayPath(part as RawPath);
    const here = rawSegments(parts.slice(0, index + 1).join('/') as RawPath);
    return index === parts.length - 1
      ? html`<span class="sep">/</span><b>${name}</b>`
      : html`<span class="sep">/</span><a href="${inRepo(repo, 'tree', ref, ...here)}">${name}</a>`;
  });
  return html`<p class="crumbs"><a class="tag" href="${inRepo(repo, 'commits', ref)}">${shortRef(ref)}</a> <a href="${inRepo(repo, 'tree', ref)}">${repo.split('/').at(-1)}</a>${links}</p>`;
}

const parentOf = (folder: RawPath): RawPath | '' =>
  (folder.includes('/') ? folder.slice(0, folder.lastIndexOf('/')) : '') as RawPath | '';

export type Preview =
  | { readonly kind: 'text'; readonly text: string; readonly isCut: boolean }
  | { readonly kind: 'none'; readonly why: string };

export interface BlobView {
  readonly repo: RepoName;
  readonly ref: string;
  readonly entry: Entry;
  readonly preview: Preview;
  readonly url: string;
}

export function blobPage(view: BlobView): string {
  const { repo, ref, entry, preview, url } = view;
  const raw = inRepo(repo, 'raw', ref, ...rawSegments(entry.path));
  const isFile = entry.oid !== null && (entry.kind === 'lfs' || entry.kind === 'git');
  const shown = displayPath(entry.path);
  const pointer =
    entry.kind === 'lfs' && entry.oid !== null
      ? formatPointer({ oid: entry.oid, sizeBytes: entry.sizeBytes }).toString() || null
      : null;
  const body = html`${crumbs(view, entry.path)}
<div class="box"><div class="head"><span class="grow">${isFile ? bytes(entry.sizeBytes) : entry.kind}${entry.executable ? ' · executable' : ''}</span>
${isFile ? html`<a class="btn" href="${raw}">Download</a>` : null}</div>${previewOf(preview)}</div>
<h2>About this file</h2><div class="box">${facts([
    ['Path', html`<code>${shown}</code>`],
    ['Size', isFile ? `${count(entry.sizeBytes)} bytes` : null],
    ['SHA-256', entry.oid === null ? null : html`<code>${entry.oid}</code>`],
    [
      'Kept as',
      {
        lfs: 'Git LFS object',
        git: 'git blob',
        symlink: 'symbolic link',
        submodule: 'submodule',
        directory: 'folder',
        external: 'address elsewhere',
      }[entry.kind],
    ],
    ['Pointer', pointer === null ? null : html`<pre class="pointer">${pointer}</pre>`],
    ['Points to', entry.reference === undefined ? null : html`<code>${entry.reference}</code>`],
  ])}</div>${
    isFile && shown === rawPathToText(entry.path)
      ? command(
          `${datamonCommand('cat', url, refPath(ref, entry.path))} > ${shellWord(`./${fileName(entry.path)}`)}`,
        )
      : null
  }`;
  return layout({ title: `${shown} · ${repo}`, repo, ref, tab: 'files', body });
}

/** `REF:PATH` as the command line reads it. */
const refPath = (ref: string, path: RawPath | ''): string =>
  path === '' ? ref : `${ref}:${displayPath(path)}`;

const fileName = (path: RawPath): string =>
  displayPath((path.split('/').at(-1) ?? path) as RawPath);

function previewOf(preview: Preview): Html {
  if (preview.kind === 'none') return html`<div class="blank">${preview.why}</div>`;
  const cut = preview.isCut ? html`<div class="more dim">Only the beginning is shown.</div>` : null;
  return html`<pre class="text code">${preview.text}</pre>${cut}`;
}
