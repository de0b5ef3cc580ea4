/** `/<repo>/commit/<sha>` and `/<repo>/compare/<a>...<b>`: what changed, file by file. */
import { shortId } from '../../client/format.ts';
import type { Digest } from '../../core/digest.ts';
import type { GitSha, RepoName } from '../../core/keys.ts';
import type { CommitFacts } from '../../core/meta/commit-object.ts';
import type { TreeChange } from '../../core/meta/diff.ts';
import type { TreeTotals } from '../../core/meta/model.ts';
import { displayPath } from '../../core/meta/raw-path.ts';
import { authorOf, pushWords } from './bundle-pages.ts';
import { type Html, html } from './html.ts';
import { inRepo, layout } from './layout.ts';
import { rawSegments } from './path-url.ts';
import { datamonCommand } from './shell.ts';
import { ago, bytes, count, counted } from './units.ts';
import {
  bundleLink,
  commitLink,
  facts,
  flags,
  missingNote,
  type PushedBundle,
  shortRef,
} from './views.ts';

export interface Changes {
  readonly rows: readonly TreeChange[];
  /** True where there are more than were read. */
  readonly isCut: boolean;
}

export interface CommitView {
  readonly repo: RepoName;
  readonly sha: GitSha;
  readonly bundle: Digest;
  readonly commit: CommitFacts;
  readonly totals: TreeTotals;
  readonly push: PushedBundle | null;
  /** Parents that have a bundle of their own. */
  readonly recorded: ReadonlySet<GitSha>;
  /** The commit compared with, null where there is none before. */
  readonly before: GitSha | null;
  readonly changes: Changes;
  readonly url: string;
  readonly now: Date;
}

export function commitPage(view: CommitView): string {
  const { repo, sha, bundle, commit, push, now, totals } = view;
  const rest = commit.message.slice(commit.message.indexOf('\n') + 1).trim();
  const hasBody = commit.message.includes('\n') && rest !== '';
  const violations = push?.event.lockViolations ?? [];
  const body = html`<h1>${commit.subject || shortId(sha)}</h1>
<p class="dim">${authorOf(commit)} committed ${commit.author.at === null ? '' : ago(commit.author.at, now)} ${push === null ? null : flags(push.event)}</p>
${violations.length === 0 ? null : html`<p class="note">Changed although somebody else held the lock: ${violations.join(', ')}</p>`}
${missingNote(push)}
<div class="box">${hasBody ? html`<pre class="text">${rest}</pre>` : null}
${facts([
  ['Commit', html`<code>${sha}</code>`],
  [
    'Parents',
    commit.parents.length === 0
      ? 'none: the first commit'
      : commit.parents.map((parent) => parentLink(view, parent)),
  ],
  [
    'Bundle',
    html`${bundleLink(repo, bundle)} · ${counted(totals.fileCount, 'file')}, ${bytes(totals.sizeBytes)} · <a href="${inRepo(repo, 'tree', sha)}">browse files</a>`,
  ],
  ['Pushed', push === null ? null : pushWords(repo, push, now)],
  ['Made from', commit.inputs.length === 0 ? null : commit.inputs.join(', ')],
])}</div>
<h2>Changed files <span class="dim">${beforeWords(view)}</span></h2>${changeTable(view, view.before, sha)}`;
  return layout({
    title: `${commit.subject || shortId(sha)} · ${repo}`,
    repo,
    ref: sha,
    body,
    command: datamonCommand('show', view.url, shortId(sha)),
  });
}

function parentLink({ repo, recorded }: CommitView, parent: GitSha): Html {
  if (recorded.has(parent)) return html`${commitLink(repo, parent)} `;
  return html`<span class="mono" title="It came inside a push and has no bundle of its own">${shortId(parent)}</span> `;
}

function beforeWords({ before, commit }: CommitView): Html | string {
  if (before === null) return '';
  return before === commit.parents[0]
    ? ''
    : html`since ${shortId(before)}, which was pushed before`;
}

export interface CompareView {
  readonly repo: RepoName;
  readonly from: string;
  readonly to: string;
  readonly changes: Changes;
  readonly url: string;
}

export function comparePage(view: CompareView): string {
  const { repo, from, to } = view;
  const body = html`<h1>Compare</h1>
<p class="crumbs"><a class="tag" href="${inRepo(repo, 'tree', from)}">${shortRef(from)}</a> … <a class="tag" href="${inRepo(repo, 'tree', to)}">${shortRef(to)}</a>
<a class="btn" href="${inRepo(repo, 'compare', `${to}...${from}`)}">Swap</a></p>${changeTable(view, from, to)}`;
  return layout({
    title: `${shortRef(from)}...${shortRef(to)} · ${repo}`,
    repo,
    ref: to,
    body,
    command: datamonCommand('diff', view.url, from, to),
  });
}

const SIGNS = {
  added: ['+', 'add', 'added'],
  removed: ['−', 'del', 'removed'],
  changed: ['~', 'mod', 'changed'],
} as const;

function changeTable(
  view: { repo: RepoName; changes: Changes },
  from: string | null,
  to: string,
): Html {
  const { rows, isCut } = view.changes;
  if (rows.length === 0)
    return html`<div class="box"><div class="blank">No file differs.</div></div>`;
  const more = isCut
    ? html`<div class="more dim">There are more; these are the first ${count(rows.length)}.</div>`
    : null;
  return html`<p>${summary(rows, isCut)}</p><div class="box"><div class="scroll"><table><tbody>
${rows.map((row) => changeRow(view.repo, row, { from, to }))}</tbody></table></div>${more}</div>`;
}

function summary(rows: readonly TreeChange[], isCut: boolean): Html {
  const parts = (['added', 'changed', 'removed'] as const).map((kind) => {
    const [sign, style, word] = SIGNS[kind];
    const number = rows.filter(({ change }) => change === kind).length;
    if (number === 0) return null;
    return html`<span class="nowrap ${style}"><b>${sign}</b> ${count(number)}${isCut ? '+' : ''} ${word}</span> &nbsp; `;
  });
  const grown = rows.reduce((sum, row) => sum + grownBytes(row), 0);
  return html`${parts}<span class="nowrap dim">${signed(grown)}</span>`;
}

function changeRow(
  repo: RepoName,
  row: TreeChange,
  refs: { from: string | null; to: string },
): Html {
  const [sign, style, word] = SIGNS[row.change];
  const ref = row.change === 'removed' ? refs.from : refs.to;
  const name = displayPath(row.path);
  const segments = rawSegments(row.path);
  const link =
    ref === null ? name : html`<a href="${inRepo(repo, 'blob', ref, ...segments)}">${name}</a>`;
  return html`<tr><td class="sign ${style}" title="${word}">${sign}</td><td class="name">${link}</td>
<td class="num dim wide">${sizes(row)}</td><td class="num ${style}">${signed(grownBytes(row))}</td></tr>`;
}

function sizes({ before, after }: TreeChange): string {
  if (before === null || after === null) return bytes((before ?? after)?.sizeBytes ?? 0);
  return `${bytes(before.sizeBytes)} → ${bytes(after.sizeBytes)}`;
}

const grownBytes = ({ before, after }: TreeChange): number =>
  (after?.sizeBytes ?? 0) - (before?.sizeBytes ?? 0);

function signed(value: number): string {
  if (value === 0) return '± 0 B';
  return value > 0 ? `+ ${bytes(value)}` : `− ${bytes(-value)}`;
}
