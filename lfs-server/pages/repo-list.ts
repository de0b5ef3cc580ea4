/** `/`: the repos one may read. */
import type { RepoName } from '../../core/keys.ts';
import type { RepoInfo } from '../../core/meta/model.ts';
import { html } from './html.ts';
import { layout, repoHref } from './layout.ts';
import { ago, counted } from './units.ts';
import { command, person } from './views.ts';

export interface RepoListView {
  readonly origin: string;
  readonly repos: ReadonlyArray<{ readonly repo: RepoName; readonly info: RepoInfo }>;
  /** Repos before those shown. */
  readonly skip: number;
  readonly now: Date;
}

export const REPO_ROWS_MAX = 200;

export function repoListPage({ origin, repos, skip, now }: RepoListView): string {
  const end = skip + REPO_ROWS_MAX;
  const rows = repos.slice(skip, end).map(
    ({
      repo,
      info,
    }) => html`<tr><td class="name"><a href="${repoHref(repo)}"><b>${repo}</b></a></td>
<td class="dim wide">${info.remote === null ? '' : info.remote.replace(/^[a-z+]+:\/\//, '')}</td>
<td class="wide">${person(info.createdBy)}</td><td class="nowrap">${ago(info.createdAt, now)}</td></tr>`,
  );
  const table = html`<div class="box"><div class="scroll"><table>
<thead><tr><th>Repo</th><th class="wide">Git remote</th><th class="wide">Created by</th><th>Created</th></tr></thead>
<tbody>${rows}</tbody></table></div>${end < repos.length ? html`<div class="more"><a href="/?skip=${end}">More</a></div>` : null}</div>`;
  const empty = html`<div class="box"><div class="blank">No repos yet. The first push makes one:</div></div><p></p>
${command(`git config lfs.url ${origin}/owner/name && git push`)}`;
  const body = html`<h1>Repos</h1><p class="dim">${counted(repos.length, 'repo')} that you may read</p>
${repos.length === 0 ? empty : table}`;
  return layout({ title: 'datamon', repo: null, body, command: 'datamon repo list' });
}
