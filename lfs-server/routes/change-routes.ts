/** Pages about what changed: a commit, and the difference of two refs. */
import type { Digest } from '../../core/digest.ts';
import { DatamonError } from '../../core/errors.ts';
import { type GitSha, isGitSha, parseGitSha } from '../../core/keys.ts';
import { commitOf } from '../../core/meta/bundle.ts';
import type { Repository } from '../../core/meta/repository.ts';
import { changesBetween, findPush, locateRef, recordedOf } from '../browse.ts';
import { commitPage, comparePage } from '../pages/change-pages.ts';
import { sendHtml } from '../reply.ts';
import { type Call, param, repoUrl, rest } from '../route.ts';
import { served } from './served.ts';

export async function showCommit(call: Call): Promise<void> {
  const { repository } = await served(call);
  const { history } = repository;
  const sha = await fullSha(repository, param(call, 'commit'));
  const bundle = await history.bundleOfCommit(sha);
  if (bundle === null) throw noBundle(sha);
  const descriptor = await history.getBundle(bundle);
  const commit = commitOf(descriptor);
  const push = await findPush(repository, (event) => event.gitNew === sha);
  const recorded = await recordedOf(history, commit.parents);
  const before =
    commit.parents.find((parent) => recorded.has(parent)) ?? push?.event.gitOld ?? null;
  const base = before === null ? null : await history.bundleOfCommit(before);
  sendHtml(
    call,
    commitPage({
      repo: call.repo,
      sha,
      bundle,
      commit,
      totals: descriptor.totals,
      push,
      recorded,
      before: base === null ? null : before,
      changes: await changesBetween(repository, base, bundle),
      url: repoUrl(call),
      now: new Date(),
    }),
  );
}

async function fullSha({ history }: Repository, text: string): Promise<GitSha> {
  if (isGitSha(text)) return text;
  if (!/^[0-9a-f]{4,63}$/.test(text)) return parseGitSha(text);
  const [only, second] = await history.findCommits(text, 2);
  if (only !== undefined && second === undefined) return only;
  throw second === undefined
    ? noBundle(text)
    : new DatamonError('NOT_FOUND', `${text} is the beginning of more than one commit`);
}

const noBundle = (sha: string) =>
  new DatamonError('NOT_FOUND', `no bundle was recorded for commit ${sha}`, {
    hint: 'Only the tip of a push becomes a bundle; commits between two tips are in the next one. datamon record makes one of any commit.',
  });

export async function showComparison(call: Call): Promise<void> {
  const { repository } = await served(call);
  const [from = '', to = '', ...more] = rest(call, 'refs').join('/').split('...');
  if (from === '' || to === '' || more.length > 0) {
    throw new DatamonError('NOT_FOUND', 'compare two refs like this: compare/main...v1');
  }
  const bundles = await Promise.all([from, to].map((ref) => wholeRef(repository, ref)));
  const [a, b] = bundles;
  if (a === undefined || b === undefined) return;
  const changes = await changesBetween(repository, a, b);
  sendHtml(call, comparePage({ repo: call.repo, from, to, changes, url: repoUrl(call) }));
}

async function wholeRef(repository: Repository, ref: string): Promise<Digest> {
  return (await locateRef(repository, [ref])).bundle;
}
