/** `/<repo>/commits/<branch>` and `/<repo>/bundle/<id>`: bundles next to the commits they belong to. */
import { shortId } from '../../client/format.ts';
import type { Digest } from '../../core/digest.ts';
import type { RepoName } from '../../core/keys.ts';
import type { CommitFacts } from '../../core/meta/commit-object.ts';
import type { BundleDescriptor } from '../../core/meta/model.ts';
import { type Html, html } from './html.ts';
import { inRepo, layout } from './layout.ts';
import { datamonCommand } from './shell.ts';
import { type FolderView, folderTable } from './tree-pages.ts';
import { ago, bytes, counted } from './units.ts';
import {
  bundleTable,
  command,
  commitLink,
  facts,
  missingNote,
  type PushedBundle,
  person,
} from './views.ts';

export interface BranchLogView {
  readonly repo: RepoName;
  readonly branch: string;
  readonly rows: readonly PushedBundle[];
  /** Number to go on before, null at the end. */
  readonly before: number | null;
  readonly url: string;
  readonly now: Date;
}

export function branchLogPage(view: BranchLogView): string {
  const { repo, branch, rows, before, now } = view;
  const older =
    before === null
      ? null
      : html`<div class="more"><a href="${inRepo(repo, 'commits', branch)}?before=${before}">Older</a></div>`;
  const body = html`<h1>Bundles of ${branch}</h1><p class="dim">Every push of this branch, newest first.</p>
<div class="box">${bundleTable(repo, rows, now)}${older}</div>`;
  return layout({
    title: `${branch} · ${repo}`,
    repo,
    ref: branch,
    tab: 'bundles',
    body,
    command: datamonCommand('log', view.url, branch),
  });
}

export interface BundleView {
  readonly repo: RepoName;
  readonly bundle: Digest;
  readonly descriptor: BundleDescriptor;
  readonly commit: CommitFacts;
  readonly isSynthetic: boolean;
  /** The push that brought it, where it was found. */
  readonly push: PushedBundle | null;
  /** Null for a store with one place. */
  readonly copies: { readonly have: number; readonly of: number } | null;
  readonly folder: FolderView;
  readonly url: string;
  readonly now: Date;
}

export function bundlePage(view: BundleView): string {
  const { repo, bundle, descriptor, commit, push, now } = view;
  const { totals, rules } = descriptor;
  const body = html`<h1>Bundle <span class="mono">${shortId(bundle)}</span></h1><p>${commit.subject}</p>
${missingNote(push)}
<div class="box">${facts([
    ['Id', html`<code>${bundle}</code>`],
    [
      'Commit',
      view.isSynthetic
        ? 'made without git'
        : html`${commitLink(repo, descriptor.commit)} by ${authorOf(commit)}`,
    ],
    ['Holds', `${counted(totals.fileCount, 'file')}, ${bytes(totals.sizeBytes)}`],
    ['Pushed', push === null ? null : pushWords(repo, push, now)],
    ['Copies', copyWords(view.copies)],
    ['Made from', commit.inputs.length === 0 ? null : commit.inputs.join(', ')],
    [
      'Rules',
      `recorder ${rules.recorder}${rules.config === null ? '' : `, .datamon.yaml ${shortId(rules.config)}`}`,
    ],
    [
      'Pointer extensions',
      descriptor.pointerExtensions.length === 0 ? null : descriptor.pointerExtensions.join(', '),
    ],
  ])}</div>
<h2>Get it</h2>${command(datamonCommand('get', view.url, shortId(bundle)))}
<h2>Files</h2>${folderTable(view.folder)}`;
  return layout({
    title: `bundle ${shortId(bundle)} · ${repo}`,
    repo,
    ref: bundle,
    body,
    command: datamonCommand('show', view.url, shortId(bundle)),
  });
}

const copyWords = (copies: BundleView['copies']): string | null =>
  copies && `${copies.have} of ${copies.of}${copies.have < copies.of ? ' (the rest is owed)' : ''}`;

export const authorOf = (commit: CommitFacts): Html =>
  person(
    commit.author.mail === ''
      ? commit.author.name
      : `${commit.author.name} <${commit.author.mail}>`,
  );

export function pushWords(repo: RepoName, push: PushedBundle, now: Date): Html {
  const { event } = push;
  const { receipt, totals } = event;
  const cost = receipt.measured
    ? html`: ${bytes(receipt.newBytes)} new of ${bytes(totals.sizeBytes)}, ${bytes(receipt.storedBytes)} stored`
    : null;
  return html`${ago(event.pushedAt, now)} by ${person(event.pushedBy)} to <a class="tag" href="${inRepo(repo, 'commits', event.branch)}">${event.branch}</a>${cost}`;
}
