/** `datamon show`: one bundle with its commit, its push, its names and what it was made from. */
import { formatBytes, formatCount, formatReused, shortId } from '../../client/format.ts';
import type { Digest } from '../../core/digest.ts';
import { type Person, parseCommit } from '../../core/meta/commit-object.ts';
import type { BranchEvent } from '../../core/meta/model.ts';
import type { History } from '../../core/meta/repository.ts';
import { asOfNow } from '../../core/meta/still-missing.ts';
import type { Options } from '../args.ts';
import { type Command, type Outcome, rowsOf } from '../command.ts';
import type { Context } from '../context.ts';
import type { Style } from '../output.ts';
import { type BundleRow, bundleRow, formatTime, harmless } from '../rows.ts';
import { Snapshots } from '../snapshot.ts';
import { allBranches } from './log.ts';

export interface ShowRow {
  /** Null for a commit of this clone that no bundle was made of. */
  readonly bundle: string | null;
  readonly commit: string;
  readonly tree: string;
  readonly files: number;
  readonly bytes: number;
  readonly author: Person;
  readonly committer: Person;
  readonly message: string;
  readonly parents: readonly { readonly commit: string; readonly bundle: string | null }[];
  /** Values of `Datamon-Input:` trailers. */
  readonly inputs: readonly string[];
  readonly labels: readonly string[];
  /** The push it came with first, where the logs still tell. */
  readonly push: BundleRow | null;
  /** Places of the store that have it, and places there are; null for a store with one place, or behind a server. */
  readonly copies: { readonly have: number; readonly of: number } | null;
  readonly url: string | null;
}

/** Events looked at to find the push of a bundle; older ones stay in the log. */
const EVENTS_SEARCHED_MAX = 2_000;

export const show: Command<ShowRow> = {
  usage: ['show [REF]'],
  about:
    'shows one bundle: its commit, author and message, what its push cost, and the data it was made from (Datamon-Input: trailers). Without REF: HEAD in a clone, else the newest push.',
  examples: [
    ['show', 'HEAD'],
    ['show 5c81f0d', 'by the first digits of a bundle or commit'],
    ['show v1.0 --json', 'a label, for scripts'],
  ],
  options: {},
  operands: { names: ['REF'], min: 0, max: 1 },
  settlesPushes: true,
  run: runShow,
  view: { lines: showLines, id: (row) => row.bundle },
};

async function runShow(context: Context, options: Options): Promise<Outcome<ShowRow>> {
  const snapshots = await Snapshots.open(context);
  const { history, blobs, webUrl, copies } = snapshots.repository;
  const [ref] = options.operands;
  const snapshot = ref === undefined ? await snapshots.byDefault() : await snapshots.at(ref);
  const { bundle } = snapshot;
  const facts = parseCommit(snapshot.commitObject);
  const push = bundle === null ? null : await firstPush(history, bundle);
  return rowsOf([
    {
      bundle,
      commit: snapshot.commit,
      tree: snapshot.root,
      files: snapshot.totals.fileCount,
      bytes: snapshot.totals.sizeBytes,
      author: facts.author,
      committer: facts.committer,
      message: facts.message,
      parents: await Promise.all(
        facts.parents.map(async (commit) => ({
          commit,
          bundle: await history.bundleOfCommit(commit),
        })),
      ),
      inputs: facts.inputs,
      labels: bundle === null ? [] : await labelsOf(history, bundle),
      push: push === null ? null : bundleRow(await asOfNow(blobs, push)),
      copies: bundle === null ? null : ((await copies?.(bundle, snapshot.commit)) ?? null),
      url: webUrl === null || bundle === null ? null : `${webUrl}/bundle/${bundle}`,
    },
  ]);
}

/** The earliest event that names the bundle: the push that paid for it. */
async function firstPush(history: History, bundle: Digest): Promise<BranchEvent | null> {
  let first: BranchEvent | null = null;
  let left = EVENTS_SEARCHED_MAX;
  for await (const { event } of allBranches(history)) {
    if (event.bundle === bundle) first = event;
    left -= 1;
    if (left === 0) break;
  }
  return first;
}

async function labelsOf(history: History, bundle: Digest): Promise<string[]> {
  const names: string[] = [];
  for await (const { event } of history.labels()) {
    if (event.bundle === bundle) names.push(event.label);
  }
  return names;
}

function showLines(row: ShowRow, style: Style): string[] {
  const field = (name: string, value: string): string => `${name.padEnd(9)}${value}`;
  const id = row.bundle === null ? 'none: no push ended at this commit' : style.yellow(row.bundle);
  return [
    field('bundle', id),
    field('commit', row.commit),
    ...row.parents.map(({ commit, bundle }) =>
      field('parent', `${commit}${bundle === null ? '' : `  bundle ${shortId(bundle)}`}`),
    ),
    field('author', personWords(row.author)),
    field('content', `${formatCount(row.files, 'file')}, ${formatBytes(row.bytes)}`),
    ...(row.push === null ? [] : pushLines(row.push, field)),
    ...(row.copies === null ? [] : [field('copies', copyWords(row.copies))]),
    ...row.labels.map((label) => field('label', style.green(harmless(label)))),
    ...row.inputs.map((input) => field('input', harmless(input))),
    ...(row.url === null ? [] : [field('page', row.url)]),
    '',
    ...row.message.split('\n').map((line) => `    ${harmless(line)}`.trimEnd()),
  ];
}

const copyWords = ({ have, of }: { readonly have: number; readonly of: number }): string =>
  `${have} of ${of}${have < of ? ' (the rest is owed)' : ''}`;

function pushLines(push: BundleRow, field: (name: string, value: string) => string): string[] {
  const cost = push.measured ? '' : ' (worked out afterwards)';
  return [
    field(
      'pushed',
      `${formatTime(push.pushedAt)} UTC to ${push.branch} by ${harmless(push.pushedBy)}${push.forced ? ', forced' : ''}`,
    ),
    field(
      'receipt',
      `${formatBytes(push.newBytes)} new, stored as ${formatBytes(push.storedBytes)} · ${formatReused(push.bytes, push.newBytes)}${push.reusedFrom === null ? '' : ` from ${shortId(push.reusedFrom)}`}${cost}`,
    ),
    ...(push.missing === 0
      ? []
      : [field('missing', `${formatCount(push.missing, 'object')} of it are not in the store`)]),
  ];
}

const personWords = ({ name, mail, at }: Person): string =>
  `${harmless(name)} <${harmless(mail)}>${at === null ? '' : `, ${at}`}`;
