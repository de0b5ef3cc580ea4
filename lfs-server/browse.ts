/** What pages read: refs resolved, pushes with their commits, folders, previews. Everything is bounded; a page never walks a whole repo. */
import { collect } from '../core/bytes.ts';
import { type Digest, isDigest } from '../core/digest.ts';
import { DatamonError, hasCode } from '../core/errors.ts';
import type { GitSha } from '../core/keys.ts';
import { commitOf } from '../core/meta/bundle.ts';
import type { CommitFacts } from '../core/meta/commit-object.ts';
import { diffTrees } from '../core/meta/diff.ts';
import type { BranchEvent, Entry, Numbered } from '../core/meta/model.ts';
import { rawPathToText } from '../core/meta/raw-path.ts';
import type { History, Repository } from '../core/meta/repository.ts';
import { resolveRef } from '../core/meta/resolve.ts';
import { asOfNow } from '../core/meta/still-missing.ts';
import type { FolderListing } from '../core/meta/tree-reader.ts';
import type { Changes } from './pages/change-pages.ts';
import type { Preview } from './pages/tree-pages.ts';
import type { PushedBundle } from './pages/views.ts';
import { take } from './routes/listing.ts';

/** Branch names may hold slashes; so deep they are looked for. */
const REF_SEGMENTS_MAX = 8;
/** Pushes looked through to find the one that brought a commit. */
const SEARCHED_PUSHES_MAX = 200;
const SEARCHED_BRANCHES_MAX = 20;
export const CHANGES_MAX = 1000;
const PREVIEW_MAX_BYTES = 64 * 1024;
const README_MAX_BYTES = 256 * 1024;

export interface Resolved {
  /** As the address has it. */
  readonly ref: string;
  readonly bundle: Digest;
  /** Segments behind the ref. */
  readonly rest: readonly string[];
}

/** Finds the ref that the segments begin with: the shortest that means something. */
export async function locateRef(
  repository: Repository,
  segments: readonly string[],
): Promise<Resolved> {
  let failure: unknown;
  for (let length = 1; length <= Math.min(segments.length, REF_SEGMENTS_MAX); length += 1) {
    const ref = segments.slice(0, length).join('/');
    try {
      const { bundle } = await resolveRef(repository, ref, { now: new Date() });
      return { ref, bundle, rest: segments.slice(length) };
    } catch (error) {
      if (!hasCode(error, 'NOT_FOUND') && !hasCode(error, 'INVALID')) throw error;
      failure ??= error;
    }
  }
  throw failure ?? new DatamonError('NOT_FOUND', 'the address names no branch, label or bundle');
}

/** A push with its commit; pages show what can be read even where the descriptor cannot. */
export async function withCommit(
  { history, blobs }: Repository,
  { n, event }: Numbered<BranchEvent>,
): Promise<PushedBundle> {
  return {
    n,
    event: await asOfNow(blobs, event),
    commit: event.bundle === null ? null : await commitOfBundle(history, event.bundle),
  };
}

async function commitOfBundle(history: History, bundle: Digest): Promise<CommitFacts | null> {
  try {
    return commitOf(await history.getBundle(bundle));
  } catch (error) {
    if (error instanceof DatamonError && !hasCode(error, 'UNAVAILABLE')) return null;
    throw error;
  }
}

/** The newest push found that brought this bundle, or this commit. */
export async function findPush(
  repository: Repository,
  wanted: (event: BranchEvent) => boolean,
): Promise<PushedBundle | null> {
  const { history } = repository;
  const heads = await take(history.branches(), SEARCHED_BRANCHES_MAX);
  for (const head of heads) {
    if (wanted(head.event)) return await withCommit(repository, head);
  }
  for (const { event } of heads) {
    const pushes = await take(history.branchLog(event.branch), SEARCHED_PUSHES_MAX);
    const found = pushes.find((push) => wanted(push.event));
    if (found !== undefined) return await withCommit(repository, found);
  }
  return null;
}

export async function changesBetween(
  repository: Repository,
  from: Digest | null,
  to: Digest,
): Promise<Changes> {
  const { history, pages } = repository;
  const before = from === null ? null : (await history.getBundle(from)).tree;
  const after = (await history.getBundle(to)).tree;
  const rows = await take(diffTrees(pages, before, after), CHANGES_MAX + 1);
  return { rows: rows.slice(0, CHANGES_MAX), isCut: rows.length > CHANGES_MAX };
}

/** Commits among `shas` that have a bundle. */
export async function recordedOf(history: History, shas: readonly GitSha[]): Promise<Set<GitSha>> {
  const found = await Promise.all(
    shas
      .slice(0, 16)
      .map(async (sha) => ((await history.bundleOfCommit(sha)) === null ? [] : [sha])),
  );
  return new Set(found.flat());
}

/** The text of a README of the folder, or null. A damaged one does not take the page with it. */
export async function readmeOf(
  repository: Repository,
  listing: FolderListing,
): Promise<{ readonly name: string; readonly text: string } | null> {
  for (const entry of listing.files) {
    const name = rawPathToText(entry.path)?.split('/').at(-1) ?? '';
    if (!/^readme(?:\.(?:md|txt|rst))?$/i.test(name) || !isDigest(entry.oid)) continue;
    if (entry.sizeBytes > README_MAX_BYTES) return null;
    const preview = await previewOf(repository, entry, README_MAX_BYTES);
    return preview.kind === 'text' ? { name, text: preview.text } : null;
  }
  return null;
}

export async function previewOf(
  repository: Repository,
  entry: Entry,
  limitBytes = PREVIEW_MAX_BYTES,
): Promise<Preview> {
  const { oid, sizeBytes, kind } = entry;
  if (oid === null || (kind !== 'lfs' && kind !== 'git'))
    return none('There are no bytes to show.');
  if (sizeBytes === 0) return none('The file is empty.');
  try {
    const end = Math.min(sizeBytes, limitBytes);
    const bytes = await collect(repository.blobs.get(oid, { start: 0, end }), limitBytes);
    return textOf(bytes, end < sizeBytes) ?? none('A binary file. Download it to look inside.');
  } catch (error) {
    if (hasCode(error, 'NOT_FOUND'))
      return none('This file was not stored here; the bundle only names it.');
    if (hasCode(error, 'CORRUPT'))
      return none('The stored bytes are damaged. Pushing the file again heals it.');
    throw error;
  }
}

const none = (why: string): Preview => ({ kind: 'none', why });

function textOf(bytes: Buffer, isCut: boolean): Preview | null {
  if (bytes.includes(0)) return null;
  try {
    // A cut may fall inside a character; `stream` leaves that one out.
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: isCut });
    return { kind: 'text', text, isCut };
  } catch {
    return null;
  }
}
