/** `/<repo>`: what a stranger wants to know first: what is in it, how to get it, what happened last. */
import type { RepoName } from '../../core/keys.ts';
import type { LabelEvent, RepoInfo } from '../../core/meta/model.ts';
import { type Html, html } from './html.ts';
import { inRepo, layout } from './layout.ts';
import { datamonCommand } from './shell.ts';
import { ago, bytes, counted } from './units.ts';
import {
  bundleLink,
  bundleTable,
  command,
  commitLink,
  type PushedBundle,
  person,
} from './views.ts';

export interface OverviewView {
  readonly repo: RepoName;
  readonly info: RepoInfo;
  readonly url: string;
  /** The branch shown first, or null without any. */
  readonly main: string | null;
  /** The newest push of every branch that is not deleted. */
  readonly branches: readonly PushedBundle[];
  readonly labels: readonly LabelEvent[];
  /** So many branches and labels were asked for at most. */
  readonly listMax: number;
  /** The newest pushes of the main branch. */
  readonly newest: readonly PushedBundle[];
  readonly readme: { readonly name: string; readonly text: string } | null;
  readonly now: Date;
}

export function overviewPage(view: OverviewView): string {
  const { repo, main, newest, now } = view;
  const head = newest[0]?.event;
  const body = html`<h1>${repo}</h1>
<p class="dim">${head === undefined ? 'Nothing was pushed yet.' : html`${counted(head.totals.fileCount, 'file')}, ${bytes(head.totals.sizeBytes)} on <b>${main}</b> · pushed ${ago(head.pushedAt, now)} by ${person(head.pushedBy)}`}</p>
${cloneBox(view)}
${
  main === null
    ? null
    : html`<h2>Newest bundles <span class="dim">of ${main}</span></h2><div class="box">${bundleTable(repo, newest, now)}
<div class="more"><a href="${inRepo(repo, 'commits', main)}">All bundles of ${main}</a></div></div>`
}
<div class="cols"><section>${branchList(view)}</section><section>${labelList(view)}</section></div>
${readmeBox(view.readme)}`;
  return layout({
    title: `${repo} · datamon`,
    repo,
    ...(main === null ? {} : { ref: main }),
    tab: 'overview',
    body,
    command: datamonCommand('log', view.url),
  });
}

function cloneBox({ info, url, main }: OverviewView): Html {
  const remote = cloneable(info.remote);
  const clone =
    remote === null
      ? `git config -f .lfsconfig lfs.url ${url}`
      : `git clone -c lfs.url=${url} ${remote}`;
  const get =
    main === null
      ? null
      : html`${command(datamonCommand('get', url, main))}<p class="dim">Without git: the files of ${main} alone, into a folder.</p>`;
  return html`<h2>${remote === null ? 'Push to it' : 'Get it'}</h2>${command(clone)}
<p class="dim">${remote === null ? 'In a clone that tracks files with Git LFS; the next git push stores them here.' : 'Works with plain Git LFS too, datamon or not.'}</p>${get}`;
}

/**
 * The remote as an address to clone from. Kept is `host/path` or `file:///path`; anything that is more than that is not shown
 * as a command, since what a client said is never trusted to be harmless in a shell.
 */
function cloneable(remote: string | null): string | null {
  if (remote === null || !/^(?:file:\/\/)?[\w/][\w.~:/@%+-]*$/.test(remote)) return null;
  return remote.startsWith('file://') ? remote : `https://${remote}`;
}

const manyWords = (count: number, max: number): string =>
  count < max ? String(count) : `the first ${max}`;

function branchList({ repo, branches, listMax, now }: OverviewView): Html {
  const rows = branches.map(
    ({
      event,
      commit,
    }) => html`<tr><td class="name"><a class="tag" href="${inRepo(repo, 'tree', event.branch)}">${event.branch}</a></td>
<td class="subject">${event.gitNew === null ? '' : commitLink(repo, event.gitNew)} ${commit?.subject ?? ''}</td>
<td class="nowrap dim">${ago(event.pushedAt, now)}</td></tr>`,
  );
  return html`<h2>Branches <span class="dim">${manyWords(branches.length, listMax)}</span></h2>
<div class="box">${rows.length === 0 ? html`<div class="blank">No branches yet.</div>` : html`<div class="scroll"><table class="stack"><tbody>${rows}</tbody></table></div>`}</div>`;
}

function labelList({ repo, labels, listMax, now }: OverviewView): Html {
  const rows = labels.map(
    ({
      label,
      bundle,
      by,
      at,
    }) => html`<tr><td class="name"><a class="tag" href="${inRepo(repo, 'tree', label)}">${label}</a></td>
<td>${bundle === null ? '' : bundleLink(repo, bundle)}</td><td>${person(by)}</td><td class="nowrap dim">${ago(at, now)}</td></tr>`,
  );
  return html`<h2>Labels <span class="dim">${manyWords(labels.length, listMax)}</span></h2>
<div class="box">${rows.length === 0 ? html`<div class="blank">No labels yet.</div>` : html`<div class="scroll"><table class="stack"><tbody>${rows}</tbody></table></div>`}</div>`;
}

function readmeBox(readme: OverviewView['readme']): Html | null {
  if (readme === null) return null;
  return html`<h2>${readme.name}</h2><div class="box"><pre class="text">${readme.text}</pre></div>`;
}
