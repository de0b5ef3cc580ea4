/** Pieces that several pages show: ids, commits, bundles as rows, entries, sizes. */
import { shortId } from '../../client/format.ts';
import { reusedPercent } from '../../core/cas/blob-store.ts';
import type { Digest } from '../../core/digest.ts';
import type { GitSha, RepoName } from '../../core/keys.ts';
import type { CommitFacts } from '../../core/meta/commit-object.ts';
import type { BranchEvent } from '../../core/meta/model.ts';
import { type Html, html, type Part } from './html.ts';
import { inRepo } from './layout.ts';
import { ago, bytes, count, counted } from './units.ts';

/** A push of a branch together with the commit it brought, null where that cannot be read. */
export interface PushedBundle {
  readonly n: number;
  readonly event: BranchEvent;
  readonly commit: CommitFacts | null;
}

/** A ref as shown: whole ids are cut, names are not. */
export const shortRef = (ref: string): string =>
  /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(ref) ? shortId(ref) : ref;

export const bundleLink = (repo: RepoName, bundle: Digest): Html =>
  html`<a class="mono id" href="${inRepo(repo, 'bundle', bundle)}" title="${bundle}">${shortId(bundle)}</a>`;

export const commitLink = (repo: RepoName, sha: GitSha): Html =>
  html`<a class="mono id" href="${inRepo(repo, 'commit', sha)}" title="${sha}">${shortId(sha)}</a>`;

/** `Ada <ada@acme.io>` without the address, which is in the title. */
export function person(who: string): Html {
  return html`<span title="${who}">${nameOf(who)}</span>`;
}

const nameOf = (who: string): string => who.replace(/\s*<[^<>]*>\s*$/, '').trim() || who;

/** How much of a push was there already: a number and a bar of it. */
export function reuse(event: BranchEvent): Html {
  if (!event.receipt.measured) {
    return html`<span class="dim" title="The push itself was not seen">–</span>`;
  }
  const percent = reusedPercent(event.totals.sizeBytes, event.receipt.newBytes);
  return html`<span class="nowrap"><span class="bar" title="${percent} % reused"><svg viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true"><rect width="${percent}" height="8"/></svg></span>${percent} %</span>`;
}

export function bundleTable(repo: RepoName, rows: readonly PushedBundle[], now: Date): Html {
  if (rows.length === 0) return html`<div class="blank">No bundles yet.</div>`;
  return html`<div class="scroll"><table class="stack">
<thead><tr><th>Bundle</th><th>Commit</th><th class="wide">By</th><th>When</th>
<th class="num wide">Files</th><th class="num">Size</th><th class="num wide">New</th><th>Reused</th></tr></thead>
<tbody>${rows.map((row) => bundleRow(repo, row, now))}</tbody></table></div>`;
}

function bundleRow(repo: RepoName, { event, commit }: PushedBundle, now: Date): Html {
  const { bundle, gitNew, totals, receipt } = event;
  if (bundle === null || gitNew === null) {
    return html`<tr><td class="dim">–</td><td class="subject dim">the branch was deleted</td>
<td class="wide">${person(event.pushedBy)}</td><td class="nowrap">${ago(event.pushedAt, now)}</td><td colspan="4"></td></tr>`;
  }
  return html`<tr><td>${bundleLink(repo, bundle)}</td>
<td class="subject">${commitLink(repo, gitNew)} <a class="words" href="${inRepo(repo, 'commit', gitNew)}">${commit?.subject ?? ''}</a> ${flags(event)}</td>
<td class="wide by">${byWords(event, commit)}</td>
<td class="nowrap">${ago(event.pushedAt, now)}</td><td class="num wide">${count(totals.fileCount)}</td>
<td class="num">${bytes(totals.sizeBytes)}</td><td class="num wide">${receipt.measured ? bytes(receipt.newBytes) : '–'}</td>
<td>${reuse(event)}</td></tr>`;
}

/** Who wrote the commit, and who pushed it where that is somebody else. */
function byWords({ pushedBy }: BranchEvent, commit: CommitFacts | null): Html {
  const author = commit?.author.name || commit?.author.mail || '';
  if (author === '' || nameOf(pushedBy) === author) return person(pushedBy);
  return html`${author} <span class="dim">pushed by ${person(pushedBy)}</span>`;
}

/** What is worth knowing about a push beyond the usual. */
export function flags(event: BranchEvent): Part {
  const words: Array<readonly [word: string, meaning: string]> = [];
  if (event.forced) words.push(['forced', 'This push replaced commits of the branch']);
  if (event.gap) words.push(['gap', 'The branch moved before this without datamon seeing it']);
  if (event.missing.length > 0)
    words.push([`${count(event.missing.length)} missing`, 'Bytes of files that were not stored']);
  if (event.lockViolations.length > 0)
    words.push(['over a lock', 'Somebody else held a lock on a changed file']);
  return words.map(
    ([word, meaning]) => html`<span class="tag warn" title="${meaning}">${word}</span> `,
  );
}

/** Said where a bundle is looked at: not all that it names can be had. */
export function missingNote(push: PushedBundle | null): Html | null {
  const missing = push?.event.missing.length ?? 0;
  if (missing === 0) return null;
  return html`<p class="note">Incomplete: ${counted(missing, 'object')} ${missing === 1 ? 'was' : 'were'} not stored when this was pushed. Pushing again from a clone that has them heals it.</p>`;
}

const FOLDER = 'M1.5 3h4.2l1.5 1.6h7.3v8.9h-13z';
const FILE = 'M3.5 1.5h6l3 3v10h-9zm6 0v3h3';
const LINK = 'M9 3l4 4-4 4V8.6C6 8.6 4 9.6 3 12c0-4 2-6 6-6.6z';

export function icon(kind: 'folder' | 'file' | 'link'): Html {
  const shape = { folder: FOLDER, file: FILE, link: LINK }[kind];
  return html`<svg class="icon ${kind}" viewBox="0 0 16 16" aria-hidden="true"><path d="${shape}"/></svg>`;
}

/** Facts as names and values; those without a value are left out. */
export function facts(rows: ReadonlyArray<readonly [string, Part]>): Html {
  const shown = rows.filter(
    ([, value]) => value !== null && value !== undefined && value !== false,
  );
  return html`<dl class="facts">${shown.map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>`;
}

/** A command to copy; one click selects it whole. */
export const command = (text: string): Html =>
  html`<div class="cmd"><span class="dim">$</span><code>${text}</code></div>`;
