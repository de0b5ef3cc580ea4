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
  readonly now: Date;
}

export function repoListPage({ origin, repos, now }: RepoListView): string {
  const rows = repos.map(
    ({
      repo,
      info,
    }) => html`<tr><td class="name"><a href="${repoHref(repo)}"><b>${repo}</b></a></td>
<td class="dim">${info.remote === null ? '' : info.remote.replace(/^[a-z+]+:\/\//, '')}</td>
<td>${person(info.createdBy)}</td><td class="nowrap">${ago(info.createdAt, now)}</td></tr>`,
  );
  const table = html`<div class="box"><div class="scroll"><table>
<thead><tr><th>Repo</th><th>Git remote</th><th>Created by</th><th>Created</th></tr></thead>
<tbody>${rows}</tbody></table></div></div>`;
  const empty = html`<div class="box"><div class="blank">No repos yet. The first push makes one:</div></div><p></p>
${command(`git config lfs.url ${origin}/owner/name && git push`)}`;
  const body = html`<h1>Repos</h1><p class="dim">${counted(repos.length, 'repo')} that you may read</p>
${repos.length === 0 ? empty : table}`;
  return layout({ title: 'datamon', repo: null, body, command: 'datamon repo list' });
}
