/**
 * What a reference means: a bundle, and how it was found. Invariants: a full id means that bundle or commit, whatever branches
 * and labels are called; a name goes before an id's first digits; any other text that could mean two bundles is refused with both
 * named, since a guess would be read as an answer.
 */
import type { Digest } from '../digest.ts';
import { DatamonError } from '../errors.ts';
import type { GitSha } from '../keys.ts';
import type { BranchEvent, LabelEvent, Numbered } from './model.ts';
import { branchName, HEADS, isFullId } from './ref-names.ts';
import { LATEST, type Position, parseRefText } from './ref-text.ts';
import type { History, Repository } from './repository.ts';

const CANDIDATE_COUNT_MAX = 10;
const SHOWN_DIGIT_COUNT = 12;

export interface Resolution {
  readonly bundle: Digest;
  readonly how: 'bundle' | 'branch' | 'label' | 'commit';
  /** The branch, label, commit or bundle in full. */
  readonly name: string;
  /** The push, where a branch was named. */
  readonly event: Numbered<BranchEvent> | null;
}

export interface ResolveOptions {
  /** Asks the clone, last, what commit a text means: HEAD, `HEAD^`, an abbreviated sha. */
  readonly git?: (text: string) => Promise<GitSha | null>;
  /** What `@{yesterday}` counts from. */
  readonly now?: Date;
}

type Where = Pick<Repository, 'history' | 'name'>;

/**
 * A bundle's id or unique prefix (from 4 digits), a branch, a label, a commit or its prefix, `latest`, `branch~N` (N pushes
 * back), `branch@{time}`, `@{time}`; `refs/heads/x` and `refs/tags/x` where a branch and a label share a name. INVALID where
 * it could be several, NOT_FOUND where it is nothing.
 */
export async function resolveRef(
  repository: Where,
  text: string,
  options: ResolveOptions = {},
): Promise<Resolution> {
  if (text.trim() === '') throw new DatamonError('INVALID', 'an empty reference');
  const { base, position } = parseRefText(text, options.now);
  const found =
    position === null
      ? await resolvePlain(repository, text)
      : await resolvePosition(repository, text, base, position);
  return (
    found ??
    (await resolveGit(repository, text, options.git)) ??
    (await failUnknown(repository, text))
  );
}

async function resolvePlain(repository: Where, text: string): Promise<Resolution | null> {
  const byId = isFullId(text) ? await resolveId(repository.history, text) : null;
  return (
    byId ?? (await resolveName(repository, text)) ?? (await resolveId(repository.history, text))
  );
}

async function resolveName({ history, name }: Where, text: string): Promise<Resolution | null> {
  if (text === LATEST) return branchResolution(await latest(history, name));
  const { branch, label } = await newestOf(history, text);
  const candidates = [branch && branchResolution(branch), label && labelResolution(label)].filter(
    (each) => each !== null,
  );
  return onlyOne(text, candidates);
}

/** Heads of the branch and of the label of a name, where they stand for a bundle. */
async function newestOf(history: History, text: string) {
  const labelName = withoutPrefix(text, 'refs/tags/');
  const branch = await firstOf(history.branchLog(branchName(text)));
  const label = text.startsWith(HEADS) ? null : await firstOf(history.labelLog(labelName));
  return {
    branch: branch?.event.bundle ? branch : null,
    label: label?.event.bundle ? label : null,
  };
}

async function resolveId(history: History, text: string): Promise<Resolution | null> {
  if (!/^[0-9a-f]{4,64}$/.test(text)) return null;
  const candidates: Resolution[] = [];
  for (const bundle of await history.findBundles(text, CANDIDATE_COUNT_MAX)) {
    candidates.push({ bundle, how: 'bundle', name: bundle, event: null });
  }
  for (const commit of await history.findCommits(text, CANDIDATE_COUNT_MAX)) {
    const found = await commitResolution(history, commit);
    if (found !== null) candidates.push(found);
  }
  return onlyOne(text, candidates);
}

async function resolvePosition(
  { history, name }: Where,
  text: string,
  base: string,
  position: Position,
): Promise<Resolution | null> {
  if (base === '' && 'at' in position) return await latestAt(history, text, position.at);
  const branch =
    base === '' || base === LATEST ? (await latest(history, name)).event.branch : branchName(base);
  const events = history.branchLog(branch);
  let index = 0;
  for await (const numbered of events) {
    const { event } = numbered;
    const isIt =
      'at' in position
        ? Date.parse(event.pushedAt) <= position.at.getTime()
        : index === position.back;
    if (isIt) return branchResolution(numbered);
    index += 1;
  }
  if (index === 0) return await labelAt(history, withoutPrefix(base, 'refs/tags/'), position);
  throw new DatamonError(
    'NOT_FOUND',
    `${text}: the branch ${branch} has ${index} pushes, none that old`,
    {
      hint: `See them: datamon log ${branch}`,
    },
  );
}

/** Where a label stood at a time; labels are not counted back. */
async function labelAt(
  history: History,
  label: string,
  position: Position,
): Promise<Resolution | null> {
  if (!('at' in position)) return null;
  for await (const numbered of history.labelLog(label)) {
    if (Date.parse(numbered.event.at) > position.at.getTime()) continue;
    return numbered.event.bundle === null ? null : labelResolution(numbered);
  }
  return null;
}

async function resolveGit(
  { history, name }: Where,
  text: string,
  git: ResolveOptions['git'],
): Promise<Resolution | null> {
  const commit = (await git?.(text)) ?? null;
  if (commit === null) return null;
  const found = await commitResolution(history, commit);
  if (found !== null) return found;
  throw new DatamonError('NOT_FOUND', `the commit ${commit} has no bundle in ${name}`, {
    hint: `Make one, if it was pushed: datamon record ${text}`,
  });
}

async function failUnknown({ history, name }: Where, text: string): Promise<never> {
  const gone = await firstOf(history.branchLog(branchName(text)));
  if (gone !== null) {
    throw new DatamonError('NOT_FOUND', `the branch ${text} was deleted ${gone.event.pushedAt}`, {
      hint: `What it held last: datamon show ${text}~1`,
    });
  }
  throw new DatamonError(
    'NOT_FOUND',
    `${JSON.stringify(text)} is no bundle, branch, label or commit of ${name}`,
    {
      hint: 'See what there is: datamon log; datamon label list',
    },
  );
}

/** The newest push of any branch that still exists. */
async function latest(history: History, name: string): Promise<Numbered<BranchEvent>> {
  let newest: Numbered<BranchEvent> | null = null;
  for await (const head of history.branches()) {
    if (head.event.bundle === null) continue;
    if (newest === null || timeOf(head) > timeOf(newest)) newest = head;
  }
  if (newest !== null) return newest;
  throw new DatamonError('NOT_FOUND', `${name} has no bundles yet`, {
    hint: 'A push makes one: git push; or: datamon record',
  });
}

async function latestAt(history: History, text: string, at: Date): Promise<Resolution> {
  let newest: Numbered<BranchEvent> | null = null;
  for await (const { event: head } of history.branches()) {
    for await (const numbered of history.branchLog(head.branch)) {
      if (timeOf(numbered) > at.getTime()) continue;
      const isNewer = newest === null || timeOf(numbered) > timeOf(newest);
      if (isNewer && numbered.event.bundle !== null) newest = numbered;
      break;
    }
  }
  if (newest !== null) return branchResolution(newest);
  throw new DatamonError('NOT_FOUND', `${text}: nothing had been pushed by ${at.toISOString()}`, {
    hint: 'See the first pushes at the end of: datamon log',
  });
}

function branchResolution(numbered: Numbered<BranchEvent>): Resolution {
  const { branch, bundle, pushedAt } = numbered.event;
  if (bundle !== null) return { bundle, how: 'branch', name: branch, event: numbered };
  throw new DatamonError(
    'NOT_FOUND',
    `the branch ${branch} was deleted by the push of ${pushedAt}`,
    {
      hint: `See the pushes before: datamon log ${branch}`,
    },
  );
}

function labelResolution({ event }: Numbered<LabelEvent>): Resolution | null {
  const { bundle, label } = event;
  return bundle === null ? null : { bundle, how: 'label', name: label, event: null };
}

async function commitResolution(history: History, commit: GitSha): Promise<Resolution | null> {
  const bundle = await history.bundleOfCommit(commit);
  return bundle === null ? null : { bundle, how: 'commit', name: commit, event: null };
}

/** The one candidate; several ways to one bundle are one. */
function onlyOne(text: string, candidates: readonly Resolution[]): Resolution | null {
  const bundles = new Set(candidates.map(({ bundle }) => bundle));
  if (bundles.size <= 1) return candidates[0] ?? null;
  const shown = candidates
    .slice(0, CANDIDATE_COUNT_MAX)
    .map(
      ({ how, name, bundle }) =>
        `${how} ${how === 'bundle' ? '' : `${name} → `}${bundle.slice(0, SHOWN_DIGIT_COUNT)}`,
    );
  throw new DatamonError('INVALID', `${JSON.stringify(text)} could be: ${shown.join(', ')}`, {
    hint: 'Give more digits, or refs/heads/… for the branch and refs/tags/… for the label.',
  });
}

const withoutPrefix = (text: string, prefix: string): string =>
  text.startsWith(prefix) && text !== prefix ? text.slice(prefix.length) : text;

const timeOf = ({ event }: Numbered<BranchEvent>): number => Date.parse(event.pushedAt);

async function firstOf<T>(source: AsyncIterable<T>): Promise<T | null> {
  for await (const each of source) return each;
  return null;
}
