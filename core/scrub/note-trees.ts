/** Notes which trees the logs of a repo name, as far as its policy keeps them: what may go is not missed. */
import { type CollectPolicy, KEEP_ALL } from '../cas/condemned.ts';
import type { Digest } from '../digest.ts';
import type { GitSha } from '../keys.ts';
import { parseBranchRecord, parseCommitRecord, parseLabelRecord } from '../meta/events.ts';
import { keepsCommits, keepsEntry } from '../meta/retention.ts';
import type { NamedTree, RepoSurvey } from './survey.ts';
import type { LogFact } from './survey-logs.ts';

export const policyOf = ({ name, pool: { policies } }: RepoSurvey): CollectPolicy =>
  policies?.[name] ?? KEEP_ALL;

export function noteFact(repo: RepoSurvey, { entry, event, isHead }: LogFact, nowMs: number): void {
  const policy = policyOf(repo);
  if (entry.log === 'commits') {
    const commit = entry.name as GitSha;
    if (keepsCommits(policy)) noteBundle(repo, parseCommitRecord(event).bundle, commit, null);
  } else if (entry.log === 'branches') {
    const { branch, bundle, gitNew, extraOids, missing, pushedAt } = parseBranchRecord(event);
    if (!keepsEntry(policy, nowMs, { at: pushedAt, isHead })) return;
    const name = `${branch} #${entry.n}`;
    if (bundle !== null) noteBundle(repo, bundle, gitNew, name, missing);
    noteExtra(repo, extraOids, gitNew, name);
  } else if (entry.log === 'labels') {
    const { label, bundle, at } = parseLabelRecord(event);
    if (!keepsEntry(policy, nowMs, { at, isHead })) return;
    if (bundle !== null) noteBundle(repo, bundle, null, `label ${label}`);
  }
}

export function noteBundle(
  repo: RepoSurvey,
  bundle: Digest,
  commit: GitSha | null,
  name: string | null,
  missing: readonly Digest[] | null = null,
): void {
  const fresh = { bundle, commit, names: [], tree: null, missing: null };
  const tree: NamedTree = repo.trees.get(bundle) ?? fresh;
  repo.trees.set(bundle, tree);
  tree.commit ??= commit;
  if (missing !== null) {
    const { missing: before } = tree;
    tree.missing = new Set(missing.filter((oid) => before === null || before.has(oid)));
  }
  if (name !== null && !tree.names.includes(name)) tree.names.push(name);
}

export function noteExtra(
  repo: RepoSurvey,
  tree: Digest | null,
  commit: GitSha | null,
  name: string,
): void {
  if (tree === null || repo.trees.has(tree)) return;
  repo.trees.set(tree, {
    bundle: null,
    commit,
    names: [`${name}, commits in between`],
    tree,
    missing: null,
  });
}
