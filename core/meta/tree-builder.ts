/**
 * Builds the pages of a tree. Invariant: the pages are a function of the entries alone, and where a page ends depends on the
 * paths near that end only, so an edit rewrites the pages around it and their ancestors.
 */
import { hash } from 'node:crypto';
import { type Digest, digestOf } from '../digest.ts';
import { DatamonError } from '../errors.ts';
import type { Entry, RawPath, TreeTotals } from './model.ts';
import { comparePaths, displayPath } from './raw-path.ts';
import {
  encodePage,
  firstPathOf,
  isLeaf,
  PAGE_ENTRY_COUNT_MAX,
  type PageReference,
  pageTotals,
  type TreePage,
} from './tree-page.ts';

export const PAGE_ENTRY_COUNT_MIN = 64;
/** One path in 512 ends a page. */
const CUT_BIT_COUNT = 9;

export interface BuiltPage {
  readonly digest: Digest;
  readonly bytes: Buffer;
  readonly children: readonly Digest[];
}

export interface BuiltTree {
  readonly root: Digest;
  readonly totals: TreeTotals;
  /** Children before parents; the root is last. */
  readonly pages: readonly BuiltPage[];
}

/** Throws INVALID unless the entries come in ascending bytewise order of paths, each once. */
export async function buildTree(
  entries: Iterable<Entry> | AsyncIterable<Entry>,
): Promise<BuiltTree> {
  const leaves = new Level<Entry>(
    (entry) => entry.path,
    (members) => ({ level: 0, entries: members }),
  );
  for await (const entry of entries) leaves.add(entry);
  const pages = leaves.finish();
  let { references } = leaves;
  for (let level = 1; references.length > 1; level += 1) {
    const above = new Level<PageReference>(
      (child) => child.firstPath,
      (children) => ({ level, children }),
    );
    for (const child of references) above.add(child);
    pages.push(...above.finish());
    references = above.references;
  }
  const root = references[0] ?? leaves.cut();
  const { fileCount, sizeBytes } = root;
  return { root: root.digest, totals: { fileCount, sizeBytes }, pages };
}

/** A copy in the order that `buildTree` takes. */
export function sortEntries(entries: readonly Entry[]): Entry[] {
  return entries.toSorted((a, b) => comparePaths(a.path, b.path));
}

/** The pages of one level, cut as their members arrive. */
class Level<T> {
  readonly references: PageReference[] = [];
  readonly #pages: BuiltPage[] = [];
  readonly #pathOf: (member: T) => RawPath;
  readonly #pageOf: (members: readonly T[]) => TreePage;
  #members: T[] = [];
  #previous: RawPath | null = null;

  constructor(pathOf: (member: T) => RawPath, pageOf: (members: readonly T[]) => TreePage) {
    this.#pathOf = pathOf;
    this.#pageOf = pageOf;
  }

  add(member: T): void {
    const path = this.#pathOf(member);
    // The page's own codec sees no farther than one page.
    if (this.#previous !== null && this.#previous >= path) throw disorder(this.#previous, path);
    this.#previous = path;
    this.#members.push(member);
    if (endsPage(path, this.#members.length)) this.cut();
  }

  finish(): BuiltPage[] {
    if (this.#members.length > 0) this.cut();
    return this.#pages;
  }

  cut(): PageReference {
    const page = this.#pageOf(this.#members);
    this.#members = [];
    const bytes = encodePage(page);
    const digest = digestOf(bytes);
    const children = isLeaf(page) ? [] : page.children.map((child) => child.digest);
    this.#pages.push({ digest, bytes, children });
    const firstPath = firstPathOf(page) ?? ('' as RawPath);
    const reference = { digest, firstPath, ...pageTotals(page) };
    this.references.push(reference);
    return reference;
  }
}

function endsPage(path: RawPath, count: number): boolean {
  if (count >= PAGE_ENTRY_COUNT_MAX) return true;
  if (count < PAGE_ENTRY_COUNT_MIN) return false;
  const digest = hash('sha256', Buffer.from(path, 'latin1'), 'buffer');
  return digest.readUInt16BE(0) >>> (16 - CUT_BIT_COUNT) === 0;
}

function disorder(before: RawPath, path: RawPath): DatamonError {
  const what =
    before === path ? 'is listed twice' : `comes after ${displayPath(before)}, out of byte order`;
  return new DatamonError('INVALID', `a tree in which ${displayPath(path)} ${what}`);
}
