/** `/<repo>/tree/<ref>/<path>` and `/<repo>/blob/<ref>/<path>`: folders and files of a bundle. */
import type { RepoName } from '../../core/keys.ts';
import type { Entry, RawPath } from '../../core/meta/model.ts';
import { displayPath } from '../../core/meta/raw-path.ts';
import type { FolderListing } from '../../core/meta/tree-reader.ts';
import { type Html, html, type Part } from './html.ts';
import { inRepo, layout } from './layout.ts';
import { rawSegments } from './path-url.ts';
import { ago, bytes, count, counted } from './units.ts';
import { command, commitLink, facts, icon, type PushedBundle, person } from './views.ts';

/** More rows than this are not read by anyone on one page. */
export const FOLDER_ROWS_MAX = 2000;

export interface FolderView {
  readonly repo: RepoName;
  readonly ref: string;
  /** `''`: the root. */
  readonly folder: RawPath | '';
  readonly listing: FolderListing;
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
    command: `datamon ls --repo ${view.url} ${ref}${folder === '' ? '' : ` ${displayPath(folder)}/`}`,
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
  const { repo, ref, folder, listing } = view;
  const { folders, files } = listing;
  if (folders.length + files.length === 0)
    return html`<div class="blank">Nothing is in here.</div>`;
  const up =
    folder === ''
      ? null
      : html`<tr><td class="name" colspan="3"><a href="${inRepo(repo, 'tree', ref, ...rawSegments(parentOf(folder)))}">..</a></td></tr>`;
  const folderPart = folders.slice(0, FOLDER_ROWS_MAX).map(
    ({
      name,
      path,
      fileCount,
      sizeBytes,
    }) => html`<tr><td class="name">${icon('folder')}<a href="${inRepo(repo, 'tree', ref, ...rawSegments(path))}">${displayPath(name)}</a></td>
<td class="num dim">${counted(fileCount, 'file')}</td><td class="num">${bytes(sizeBytes)}</td></tr>`,
  );
  const filePart = files
    .slice(0, Math.max(0, FOLDER_ROWS_MAX - folders.length))
    .map((entry) => fileRow(view, entry));
  const hidden = folders.length + files.length - FOLDER_ROWS_MAX;
  return html`<div class="scroll"><table><tbody>${up}${folderPart}${filePart}</tbody></table></div>
${hidden > 0 ? html`<div class="more dim">${count(hidden)} more are not shown.</div>` : null}`;
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
  return html`<p class="crumbs"><a class="tag" href="${inRepo(repo, 'commits', ref)}">${ref.length > 40 ? ref.slice(0, 8) : ref}</a> <a href="${inRepo(repo, 'tree', ref)}">${repo.split('/').at(-1)}</a>${links}</p>`;
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
    ['Points to', entry.reference === undefined ? null : html`<code>${entry.reference}</code>`],
  ])}</div><p></p>${isFile ? command(`datamon cat --repo ${url} ${ref}:${shown} > ${fileName(shown)}`) : null}`;
  return layout({ title: `${shown} · ${repo}`, repo, ref, tab: 'files', body });
}

const fileName = (shown: string): string => {
  const name = shown.split('/').at(-1) ?? shown;
  return /^[\w.+-]+$/.test(name) ? name : `'${name.replaceAll("'", "'\\''")}'`;
};

function previewOf(preview: Preview): Html {
  if (preview.kind === 'none') return html`<div class="blank">${preview.why}</div>`;
  const cut = preview.isCut ? html`<div class="more dim">Only the beginning is shown.</div>` : null;
  return html`<pre class="text code">${preview.text}</pre>${cut}`;
}
