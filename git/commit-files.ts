/** The files of a commit that its bundle lists: all of them, or what changed since a commit whose tree is known. Read from git alone. */
import type { Digest } from '../core/digest.ts';
import { hasCode } from '../core/errors.ts';
import { isFast } from '../core/fast-paths.ts';
import type { GitSha } from '../core/keys.ts';
import { POINTER_SIZE_MAX_BYTES } from '../core/lfs/pointer.ts';
import type { Entry, RawPath } from '../core/meta/model.ts';
import type { EntryChange } from '../core/meta/tree-builder.ts';
import { readCommit } from './commit.ts';
import { type KnownTree, knownTree } from './known-trees.ts';
import { type BlobCache, pointersAt, pointersOfCommit } from './pointers.ts';
import type { GitRepository } from './repository.ts';
import { type ContentRules, isRootDocument, rulesOfCommit } from './rules.ts';
import {
  blobSizes,
  type ChangedPath,
  changedPaths,
  isFileMode,
  MODE_SUBMODULE,
  type TreeLine,
  type TreeObject,
} from './tree.ts';

/** Version of what decides which files a bundle lists. */
export const RECORDER_VERSION = 1;

/** Where more changed, reading everything costs little more. */
const CHANGED_COUNT_MAX = 20_000;

/** All a bundle needs, read from git alone: no store was asked yet. */
export interface CommitFiles {
  readonly commit: GitSha;
  readonly commitObject: Buffer;
  /** All of them, or of those that changed `since` what is there now. */
  readonly entries: readonly Entry[];
  readonly since: Since | null;
  readonly lfsCount: number;
  readonly config: Digest | null;
  readonly pointerExtensions: ReadonlySet<string>;
  readonly gitBlobs: ReadonlyMap<Digest, string>;
}

export interface Since {
  /** Root page of the tree before; a store need not have it. */
  readonly tree: Digest;
  readonly changes: readonly EntryChange[];
  /** For a store that does not. */
  readonly all: () => Promise<CommitFiles>;
}

export async function filesOf(
  repo: GitRepository,
  commit: GitSha,
  cache: BlobCache = new Map(),
): Promise<CommitFiles> {
  const content = await pointersOfCommit(repo, commit, cache);
  const entries: Entry[] = [];
  for await (const entry of content.entries) entries.push(entry);
  return {
    commit,
    commitObject: await readCommit(repo.git, commit),
    entries,
    since: null,
    lfsCount: lfsCountOf(entries),
    config: content.rules.config,
    pointerExtensions: content.pointerExtensions,
    gitBlobs: content.gitBlobs,
  };
}

/** As `filesOf`, by what changed since `start` where this clone knows the tree of that. */
export async function filesSince(
  repo: GitRepository,
  commit: GitSha,
  start: GitSha | null,
  cache: BlobCache = new Map(),
): Promise<CommitFiles> {
  const known = start === null || !isFast('tree-edit') ? null : await knownTree(repo, start);
  const files = known === null ? null : await tellChanged(repo, commit, known, cache);
  return files ?? (await filesOf(repo, commit, cache));
}

/** Null, too, where the clone lacks what was there before: it is not needed to read what is there now. */
async function tellChanged(
  ...request: Parameters<typeof changedFilesOf>
): Promise<CommitFiles | null> {
  try {
    return await changedFilesOf(...request);
  } catch (error) {
    if (hasCode(error, 'INCOMPLETE')) return null;
    throw error;
  }
}

/** Null where what changed decides more than itself: the rules, or which empty files are LFS files. */
async function changedFilesOf(
  repo: GitRepository,
  commit: GitSha,
  known: KnownTree,
  cache: BlobCache,
): Promise<CommitFiles | null> {
  const rules = await rulesOfCommit(repo.git, commit);
  if (known.recorder !== RECORDER_VERSION || known.config !== rules.config) return null;
  const changed: ChangedPath[] = [];
  for await (const each of changedPaths(repo.git, known.commit, commit)) {
    if (isAttributes(each.path) || changed.length >= CHANGED_COUNT_MAX) return null;
    changed.push(each);
  }
  const sizes = await sizesOf(repo, changed);
  const options = { rules, cache };
  const before = await pointersAt(repo, commit, smallBefore(changed, sizes), options);
  const after = await pointersAt(
    repo,
    commit,
    changed.flatMap((each) => lineOf(each.path, each.after, sizes)),
    options,
  );
  // Which extensions the rest of the tree has is not known here.
  if (before.pointerExtensions.size + after.pointerExtensions.size > 0) return null;
  let all: Promise<CommitFiles> | null = null;
  return {
    commit,
    commitObject: await readCommit(repo.git, commit),
    entries: after.entries,
    since: {
      tree: known.tree,
      changes: changesOf(changed, { before: before.entries, after: after.entries, rules }),
      all: () => {
        all ??= filesOf(repo, commit, cache);
        return all;
      },
    },
    lfsCount: known.lfsCount + lfsCountOf(after.entries) - lfsCountOf(before.entries),
    config: rules.config,
    pointerExtensions: after.pointerExtensions,
    gitBlobs: after.gitBlobs,
  };
}

/** Of what may be asked for: a submodule's commit is nowhere here, and a partial clone would go and look for it. */
function sizesOf(repo: GitRepository, changed: readonly ChangedPath[]) {
  const objects = changed.flatMap(({ before, after }) => [before, after]);
  const blobs = objects.filter((object) => object !== null && object.mode !== MODE_SUBMODULE);
  return blobSizes(
    repo.git,
    blobs.map((object) => object?.sha ?? ''),
  );
}

/** What may have been an LFS file: nothing else of what is gone has to be read. */
function smallBefore(
  changed: readonly ChangedPath[],
  sizes: ReadonlyMap<string, number>,
): readonly TreeLine[] {
  const lines = changed.flatMap(({ path, before }) => lineOf(path, before, sizes));
  return lines.filter(
    ({ mode, sizeBytes }) =>
      isFileMode(mode) && sizeBytes !== null && sizeBytes <= POINTER_SIZE_MAX_BYTES,
  );
}

/** Paths that the bundle lists, or may have listed before; the code beside them is none of its business. */
function changesOf(
  changed: readonly ChangedPath[],
  told: {
    readonly before: readonly Entry[];
    readonly after: readonly Entry[];
    readonly rules: ContentRules;
  },
): readonly EntryChange[] {
  const after = new Map(told.after.map((entry) => [entry.path, entry]));
  const before = new Set(told.before.map(({ path }) => path));
  const isListed = (path: RawPath): boolean =>
    told.rules.record === 'all' || after.has(path) || before.has(path) || isRootDocument(path);
  return changed
    .filter(({ path }) => isListed(path))
    .map(({ path }) => ({ path, entry: after.get(path) ?? null }));
}

const isAttributes = (path: string): boolean => /(?:^|\/)\.gitattributes$/.test(path);

const lfsCountOf = (entries: readonly Entry[]): number =>
  entries.filter(({ kind }) => kind === 'lfs').length;

function lineOf(
  path: TreeLine['path'],
  object: TreeObject | null,
  sizes: ReadonlyMap<string, number>,
): TreeLine[] {
  if (object === null) return [];
  return [{ path, ...object, sizeBytes: sizes.get(object.sha) ?? null }];
}
