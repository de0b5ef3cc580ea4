/**
 * Builds the pages of a tree, anew or from another tree and what changed. Invariant: the pages are a function of the entries
 * alone, and where a page ends depends on the paths near that end only, so an edit reads and rewrites the pages around it and
 * their ancestors.
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
import { type PageSource, readAhead, readChild, readRoot } from './tree-reader.ts';

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
  /** Children before parents; the root is last. Of an edited tree those pages that were made for it. */
  readonly pages: readonly BuiltPage[];
}

/** What a path holds from now on; null: nothing. */
export interface EntryChange {
  readonly path: RawPath;
  readonly entry: Entry | null;
}

/** Throws INVALID unless the entries come in ascending bytewise order of paths, each once. */
export async function buildTree(
  entries: Iterable<Entry> | AsyncIterable<Entry>,
): Promise<BuiltTree> {
  return new Builder(NO_PAGES).build(entriesAsPieces(entries));
}

/**
 * The tree that `buildTree` makes of the entries of the tree `root` with the changes made, at the cost of the changes. Removing
 * what is not there changes nothing. Throws INVALID unless the changes are in ascending order of paths, each once.
 */
export async function editTree(
  pages: PageSource,
  root: Digest,
  changes: readonly EntryChange[],
): Promise<BuiltTree> {
  for (const [index, { path }] of changes.entries()) {
    const before = changes[index - 1]?.path;
    if (before !== undefined && before >= path) throw disorder(before, path);
  }
  const page = await readRoot(pages, root);
  if (changes.length === 0) return { root, totals: pageTotals(page), pages: [] };
  return new Builder(pages).build(edited(pages, page, changes));
}

/** A copy in the order that `buildTree` takes. */
export function sortEntries(entries: readonly Entry[]): Entry[] {
  return entries.toSorted((a, b) => comparePaths(a.path, b.path));
}

/** A whole page of a tree, not opened yet. */
interface WholePage {
  readonly level: number;
  readonly reference: PageReference;
  readonly entry?: never;
}

/** What a tree is put together from, in order of paths: entries (below all levels) and whole pages of another tree. */
type Piece = EntryPiece | WholePage;

interface EntryPiece {
  readonly level: -1;
  readonly entry: Entry;
  readonly reference?: never;
}

const NO_PAGES: PageSource = {
  getPage: async (digest) => {
    throw new DatamonError('NOT_FOUND', `no tree to read the page ${digest} of`);
  },
};

async function* entriesAsPieces(
  entries: Iterable<Entry> | AsyncIterable<Entry>,
): AsyncGenerator<Piece> {
  for await (const entry of entries) yield { level: -1, entry };
}

const entriesOf = (changes: readonly EntryChange[]): readonly Entry[] =>
  changes.map(({ entry }) => entry).filter((entry) => entry !== null);

/** A page with its changes made: itself where there are none, else what its parts come to. */
async function* edited(
  pages: PageSource,
  page: TreePage,
  changes: readonly EntryChange[],
): AsyncGenerator<Piece> {
  if (isLeaf(page)) {
    yield* mergeEntries(page.entries, changes);
    return;
  }
  const level = page.level - 1;
  const read = async ({ child, own }: Share) => ({
    own,
    whole: { level, reference: child },
    page: own.length === 0 ? null : await readChild(pages, child, level),
  });
  for await (const part of readAhead(shareOut(page.children, changes), read)) {
    if (part.page === null) yield part.whole;
    else yield* edited(pages, part.page, part.own);
  }
}

interface Share {
  readonly child: PageReference;
  readonly own: readonly EntryChange[];
}

/** Each child with the changes that fall before the next one begins; what comes before all of them is the first one's. */
function shareOut(
  children: readonly PageReference[],
  changes: readonly EntryChange[],
): readonly Share[] {
  let taken = 0;
  return children.map((child, index) => {
    const next = children[index + 1]?.firstPath;
    const from = taken;
    while (taken < changes.length && isBefore(changes[taken], next)) taken += 1;
    return { child, own: changes.slice(from, taken) };
  });
}

const isBefore = (change: EntryChange | undefined, end: RawPath | undefined): boolean =>
  change !== undefined && (end === undefined || change.path < end);

function* mergeEntries(
  entries: readonly Entry[],
  changes: readonly EntryChange[],
): Generator<Piece> {
  let taken = 0;
  for (const entry of entries) {
    const from = taken;
    while (taken < changes.length && isBefore(changes[taken], entry.path)) taken += 1;
    for (const added of entriesOf(changes.slice(from, taken))) yield { level: -1, entry: added };
    if (changes[taken]?.path !== entry.path) yield { level: -1, entry };
  }
  for (const added of entriesOf(changes.slice(taken))) yield { level: -1, entry: added };
}

/** Level by level from the leaves up, until one page is left. */
class Builder {
  readonly #pages: PageSource;
  readonly #made: BuiltPage[] = [];

  constructor(pages: PageSource) {
    this.#pages = pages;
  }

  async build(source: AsyncIterable<Piece>): Promise<BuiltTree> {
    let pieces = await this.#raise(source, 0);
    for (let level = 1; pieces.length > 1; level += 1) pieces = await this.#raise(pieces, level);
    const root = await this.#lowest(pieces[0] ?? this.#make({ level: 0, entries: [] }));
    const { digest, fileCount, sizeBytes } = root.reference;
    return { root: digest, totals: { fileCount, sizeBytes }, pages: this.#made };
  }

  /** Whole pages of `level` and above, made of smaller pieces where there are any. */
  async #raise(
    pieces: Iterable<Piece> | AsyncIterable<Piece>,
    level: number,
  ): Promise<WholePage[]> {
    const raised: WholePage[] = [];
    const cutter = new PageCutter(level);
    const take = async (piece: Piece): Promise<void> => {
      if (piece.entry || piece.level < level) {
        const page = cutter.add(piece);
        if (page !== null) raised.push(this.#make(page));
      } else if (cutter.isBetweenPages) {
        // It began where a page begins and ends where its own paths say, as it did in its tree.
        raised.push(piece);
      } else {
        for (const part of await this.#open(piece)) await take(part);
      }
    };
    for await (const piece of pieces) await take(piece);
    const rest = cutter.end();
    if (rest !== null) raised.push(this.#make(rest));
    return raised;
  }

  async #open({ level, reference }: WholePage): Promise<readonly Piece[]> {
    const page = await readChild(this.#pages, reference, level);
    if (isLeaf(page)) return page.entries.map((entry): EntryPiece => ({ level: -1, entry }));
    return page.children.map((child) => ({ level: level - 1, reference: child }));
  }

  /** What is left of a tree from which much was removed may be a page with one child, which no tree needs. */
  async #lowest(top: WholePage): Promise<WholePage> {
    if (top.level === 0 || this.#made.at(-1)?.digest === top.reference.digest) return top;
    const [only, second] = await this.#open(top);
    return only?.reference && second === undefined ? this.#lowest(only) : top;
  }

  #make(page: TreePage): WholePage {
    const bytes = encodePage(page);
    const digest = digestOf(bytes);
    const children = isLeaf(page) ? [] : page.children.map((child) => child.digest);
    this.#made.push({ digest, bytes, children });
    const firstPath = firstPathOf(page) ?? ('' as RawPath);
    return { level: page.level, reference: { digest, firstPath, ...pageTotals(page) } };
  }
}

/** Collects the parts of one level's pages and tells where each page ends. */
class PageCutter {
  readonly #level: number;
  #parts: Piece[] = [];
  #previous: RawPath | null = null;

  constructor(level: number) {
    this.#level = level;
  }

  get isBetweenPages(): boolean {
    return this.#parts.length === 0;
  }

  /** The page that this part completes, or null. */
  add(part: Piece): TreePage | null {
    const path = part.entry ? part.entry.path : part.reference.firstPath;
    // The page's own codec sees no farther than one page.
    if (this.#previous !== null && this.#previous >= path) throw disorder(this.#previous, path);
    this.#previous = path;
    this.#parts.push(part);
    return endsPage(path, this.#parts.length) ? this.end() : null;
  }

  /** What is left when nothing follows, or null. */
  end(): TreePage | null {
    const parts = this.#parts;
    if (parts.length === 0) return null;
    this.#parts = [];
    const level = this.#level;
    if (level === 0) {
      return {
        level,
        entries: parts.map(({ entry }) => entry).filter((entry) => entry !== undefined),
      };
    }
    const children = parts.map(({ reference }) => reference);
    return { level, children: children.filter((child) => child !== undefined) };
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
