/**
 * Makes a bundle of a commit. Invariant: the descriptor is put only after every page of its tree is durable, and pages that
 * are stored already are neither sent nor asked for below a stored parent.
 */
import { addReceipts, EMPTY_RECEIPT, type Receipt } from '../cas/blob-store.ts';
import { type Digest, EMPTY_DIGEST } from '../digest.ts';
import { DatamonError } from '../errors.ts';
import { isFast } from '../fast-paths.ts';
import type { GitSha } from '../keys.ts';
import { diffTrees } from './diff.ts';
import type {
  BundleDescriptor,
  BundleRules,
  Entry,
  PushReceipt,
  RawPath,
  TreeTotals,
} from './model.ts';
import { fsckProblem } from './path-safety.ts';
import { displayPath } from './raw-path.ts';
import type { Repository } from './repository.ts';
import {
  type BuiltPage,
  type BuiltTree,
  buildTree,
  type EntryChange,
  editTree,
  sortEntries,
} from './tree-builder.ts';
import { entries } from './tree-reader.ts';

/** Pages sent at once; the rest follows, children first. */
const PAGE_BATCH_SIZE_BYTES = 64 * 1024 * 1024;
const OID_BATCH_COUNT = 20_000;

/** All files of a commit, or what changed since a tree that is stored; each path once. */
export type CommitContent =
  | {
      /** In any order. */
      readonly entries: Iterable<Entry> | AsyncIterable<Entry>;
    }
  | {
      /** Root of a tree that some log keeps. */
      readonly base: Digest;
      /** In order of paths. */
      readonly changes: readonly EntryChange[];
    };

export type RecordRequest = CommitContent & {
  readonly commit: GitSha;
  readonly commitObject: Uint8Array;
  readonly rules: BundleRules;
  /** In any order. */
  readonly pointerExtensions: Iterable<string>;
};

export interface RecordedBundle {
  readonly bundle: Digest;
  readonly descriptor: BundleDescriptor;
  readonly totals: TreeTotals;
  /** Pages that were not stored before. */
  readonly newPages: number;
  /** What storing them cost. */
  readonly receipt: Receipt;
}

/**
 * Nothing becomes visible: no log names the bundle yet. Throws INVALID for paths that git's fsck refuses, INCOMPLETE where pages of
 * the base are not stored: then take all entries.
 */
export async function recordBundle(
  repository: Pick<Repository, 'pages' | 'history'>,
  request: RecordRequest,
): Promise<RecordedBundle> {
  const { pages } = repository;
  const tree = await treeOf(pages, request);
  const { newPages, receipt } =
    'base' in request ? await storeEdited(pages, tree, request.base) : await storeTree(pages, tree);
  const descriptor: BundleDescriptor = {
    tree: tree.root,
    totals: tree.totals,
    commit: request.commit,
    commitObject: Buffer.from(request.commitObject).toString('base64'),
    rules: request.rules,
    pointerExtensions: [...new Set(request.pointerExtensions)].sort(),
  };
  const bundle = await repository.history.putBundle(descriptor, { treeIsStored: true });
  return { bundle, descriptor, totals: tree.totals, newPages, receipt };
}

/** Stores the pages of a tree that are not stored yet, children before parents. */
export async function storeTree(
  pages: Repository['pages'],
  tree: BuiltTree,
): Promise<{ readonly newPages: number; readonly receipt: Receipt }> {
  const unstored = await unstoredPages(pages, tree);
  let receipt = EMPTY_RECEIPT;
  for (const batch of batchesBySize(unstored)) {
    receipt = addReceipts(receipt, await pages.putPages(batch.map(({ bytes }) => bytes)));
  }
  return { newPages: unstored.length, receipt };
}

/** The pages of an edited tree, none of which the tree `base` has. */
async function storeEdited(
  pages: Repository['pages'],
  tree: BuiltTree,
  base: Digest,
): Promise<{ readonly newPages: number; readonly receipt: Receipt }> {
  let receipt = EMPTY_RECEIPT;
  const made = [...batchesBySize(tree.pages)];
  for (const batch of made.length > 0 ? made : [[]]) {
    const bytes = batch.map((page) => page.bytes);
    receipt = addReceipts(receipt, await pages.putPages(bytes, { keeps: base }));
  }
  return { newPages: tree.pages.length, receipt };
}

/** A tree of oids that no path of a tip names any more, for a branch log's `extraOids`; null where there are none. */
export async function storeExtraOids(
  pages: Repository['pages'],
  extra: ReadonlyMap<Digest, number>,
): Promise<Digest | null> {
  if (extra.size === 0) return null;
  const entries = [...extra].map(
    ([oid, sizeBytes]): Entry => ({
      path: oid as string as Entry['path'],
      kind: 'lfs',
      executable: false,
      oid,
      sizeBytes,
    }),
  );
  const tree = await buildTree(sortEntries(entries));
  await storeTree(pages, tree);
  return tree.root;
}

/**
 * Oids that a tree lists and the repo does not hold, in order of their paths. With `base` only what changed since that tree is
 * asked for: what a recorded bundle lists was there when it was recorded.
 */
export async function missingOids(
  { pages, blobs }: Pick<Repository, 'pages' | 'blobs'>,
  tree: Digest,
  base: Digest | null = null,
): Promise<readonly Digest[]> {
  return await absentBlobs(blobs, entriesAfter(diffTrees(pages, base, tree)));
}

async function* entriesAfter(changes: ReturnType<typeof diffTrees>): AsyncIterable<Entry> {
  for await (const { after } of changes) if (after !== null) yield after;
}

/** Blobs that entries need and the repo does not hold, each once, in the order of the entries; so many are asked about at a time. */
export async function absentBlobs(
  blobs: Repository['blobs'],
  entries: Iterable<Entry> | AsyncIterable<Entry>,
): Promise<readonly Digest[]> {
  const missing: Digest[] = [];
  const asked = new Set<Digest>();
  let batch: Digest[] = [];
  const ask = async (): Promise<void> => {
    const held = await blobs.has(batch);
    missing.push(...batch.filter((oid) => !held.has(oid)));
    batch = [];
  };
  for await (const entry of entries) {
    const oid = storedOid(entry);
    if (oid === null || asked.has(oid)) continue;
    asked.add(oid);
    batch.push(oid);
    if (batch.length >= OID_BATCH_COUNT) await ask();
  }
  if (batch.length > 0) await ask();
  return missing;
}

/** The blob an entry needs to be stored, or null: empty files, links whose target stands in the entry, submodules and data elsewhere need none. */
export function storedOid(entry: Entry): Digest | null {
  const { kind, oid, reference } = entry;
  const isStored =
    kind === 'lfs' || kind === 'git' || (kind === 'symlink' && reference === undefined);
  return isStored && oid !== EMPTY_DIGEST ? oid : null;
}

/** Chunks of a blob by digest and size, where that is known. */
export type RecipeOf = (
  oid: Digest,
) => Promise<readonly { readonly digest: Digest; readonly sizeBytes: number }[] | null>;

/**
 * What a push nobody measured must have cost: the chunks of changed files that no file they replace has; whole files where
 * their recipes are not known. Bytes as stored cannot be told any more and are given as the new ones.
 */
export async function estimateReceipt(
  repository: Pick<Repository, 'pages' | 'history'>,
  bundle: Digest,
  baseBundle: Digest | null,
  recipeOf: RecipeOf = async () => null,
): Promise<PushReceipt> {
  const { tree } = await repository.history.getBundle(bundle);
  const base = baseBundle === null ? null : (await repository.history.getBundle(baseBundle)).tree;
  const before = new Map<Digest, number>();
  const after = new Map<Digest, number>();
  for await (const change of diffTrees(repository.pages, base, tree)) {
    addBlob(before, change.before);
    addBlob(after, change.after);
  }
  const known = new Set<Digest>();
  for (const oid of before.keys()) {
    for (const { digest } of (await recipeOf(oid)) ?? []) known.add(digest);
  }
  let newBytes = 0;
  for (const [oid, sizeBytes] of after) {
    if (before.has(oid)) continue;
    for (const chunk of (await recipeOf(oid)) ?? [{ digest: oid, sizeBytes }]) {
      if (!known.has(chunk.digest)) newBytes += chunk.sizeBytes;
      known.add(chunk.digest);
    }
  }
  return {
    newBytes,
    resumedBytes: 0,
    storedBytes: newBytes,
    packCount: 0,
    requestCount: 0,
    durationMs: 0,
    reusedFrom: baseBundle,
    measured: false,
  };
}

function addBlob(sizes: Map<Digest, number>, entry: Entry | null): void {
  const oid = entry === null ? null : storedOid(entry);
  if (oid !== null && entry !== null) sizes.set(oid, entry.sizeBytes);
}

async function treeOf(pages: Repository['pages'], content: CommitContent): Promise<BuiltTree> {
  if ('base' in content) {
    for (const { path, entry } of content.changes) if (entry !== null) checkPath(path);
    return isFast('tree-edit')
      ? editTree(pages, content.base, content.changes)
      : rebuiltTree(pages, content.base, content.changes);
  }
  const list: Entry[] = [];
  for await (const entry of content.entries) {
    checkPath(entry.path);
    list.push(entry);
  }
  return buildTree(sortEntries(list));
}

/** The plain way, which reads the whole tree. */
async function rebuiltTree(
  pages: Repository['pages'],
  base: Digest,
  changes: readonly EntryChange[],
): Promise<BuiltTree> {
  const after = new Map<RawPath, Entry>();
  for await (const entry of entries(pages, base)) after.set(entry.path, entry);
  for (const { path, entry } of changes) {
    if (entry === null) after.delete(path);
    else after.set(path, entry);
  }
  return buildTree(sortEntries([...after.values()]));
}

function checkPath(path: RawPath): void {
  const problem = fsckProblem(path);
  if (problem === null) return;
  throw new DatamonError('INVALID', `the path ${displayPath(path)} is refused: ${problem}`, {
    hint: 'git fsck refuses it too. Rename the file and commit again.',
  });
}

/** Pages that are all asked about at once. Of a larger tree most are stored, as a rule, and a level tells of all below. */
const ASKED_AT_ONCE_COUNT_MAX = 128;

/** Asked level by level from the root, or all at once where they are few: what lies below a stored page is stored. */
async function unstoredPages(
  pages: Repository['pages'],
  tree: BuiltTree,
): Promise<readonly BuiltPage[]> {
  const byDigest = new Map(tree.pages.map((page) => [page.digest, page]));
  const unstored = new Set<Digest>();
  const isSmall = byDigest.size <= ASKED_AT_ONCE_COUNT_MAX && isFast('ask-once');
  const all = isSmall ? await pages.hasPages([...byDigest.keys()]) : null;
  for (let level: readonly Digest[] = [tree.root]; level.length > 0; ) {
    const stored = all ?? (await pages.hasPages(level));
    const fresh = level.filter((digest) => !stored.has(digest));
    for (const digest of fresh) unstored.add(digest);
    level = fresh.flatMap((digest) => byDigest.get(digest)?.children ?? []);
  }
  // The order of `tree.pages`, children first, is the order they must be stored in.
  return tree.pages.filter(({ digest }) => unstored.has(digest));
}

function* batchesBySize(pages: readonly BuiltPage[]): Generator<readonly BuiltPage[]> {
  let batch: BuiltPage[] = [];
  let sizeBytes = 0;
  for (const page of pages) {
    if (batch.length > 0 && sizeBytes + page.bytes.length > PAGE_BATCH_SIZE_BYTES) {
      yield batch;
      batch = [];
      sizeBytes = 0;
    }
    batch.push(page);
    sizeBytes += page.bytes.length;
  }
  if (batch.length > 0) yield batch;
}
