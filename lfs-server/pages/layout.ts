/** The frame of every page: where one is, where one can go, and the command that shows the same in a terminal. */
import type { RepoName } from '../../core/keys.ts';
import { type Html, html, type Part } from './html.ts';
import { ICON_PATH } from './icon.ts';
import { STYLE_VERSION } from './style.ts';

export type Tab = 'overview' | 'files' | 'bundles';

export interface PageFrame {
  readonly title: string;
  readonly repo: RepoName | null;
  /** Ref that the tabs lead to. */
  readonly ref?: string;
  readonly tab?: Tab;
  readonly body: Part;
  /** The same in a terminal. */
  readonly command?: string;
}

const MARK = html`<svg viewBox="0 0 16 16" aria-hidden="true"><path d="${ICON_PATH}"/></svg>`;

export function layout(frame: PageFrame): string {
  const { title, repo, body, command } = frame;
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<link rel="stylesheet" href="/assets/style-${STYLE_VERSION}.css">
<link rel="icon" href="/assets/icon.svg" type="image/svg+xml">
</head>
<body>
<header class="top"><div class="in">
<a class="brand" href="/">${MARK}datamon</a>
${repo === null ? null : repoPath(repo)}
</div>${repo === null ? null : tabs(repo, frame)}</header>
<main class="in">${body}</main>
<footer><div class="in">${command === undefined ? 'datamon' : html`In a terminal: <code>${command}</code>`}</div></footer>
</body>
</html>
`;
  return page.text;
}

export const repoHref = (repo: RepoName): string =>
  `/${repo.split('/').map(encodeURIComponent).join('/')}`;

/** The address of something of a repo; each segment is escaped. */
export const inRepo = (repo: RepoName, ...segments: readonly string[]): string =>
  [repoHref(repo), ...segments.map(encodeURIComponent)].join('/');

function repoPath(repo: RepoName): Html {
  const parts = repo.split('/');
  const name = parts.at(-1) ?? repo;
  const owner = parts.length > 1 ? html`${parts[0]}<span class="sep">/</span>` : null;
  return html`<span class="where">${owner}<a href="${repoHref(repo)}"><b>${name}</b></a></span>`;
}

function tabs(repo: RepoName, frame: PageFrame): Html {
  const { ref } = frame;
  const rows: ReadonlyArray<readonly [Tab, string, string]> = [
    ['overview', 'Overview', repoHref(repo)],
    ...(ref === undefined
      ? []
      : ([
          ['files', 'Files', inRepo(repo, 'tree', ref)],
          ['bundles', 'Bundles', inRepo(repo, 'commits', ref)],
        ] as const)),
  ];
  const links = rows.map(
    ([tab, word, href]) =>
      html`<a href="${href}" class="${tab === frame.tab ? 'on' : ''}">${word}</a>`,
  );
  return html`<nav class="in tabs">${links}</nav>`;
}
