/**
 * Reads trees lazily: every question costs the pages it touches, never the tree. Each page is checked against what its
 * parent says of it; one that lies is CORRUPT.
 */
import type { PageStore } from '../cas/blob-store.ts';
import type { Digest } from '../digest.ts';
import { DatamonError } from '../errors.ts';
import type { Entry, RawPath, TreeTotals } from './model.ts';
import {
  addTotals,
  decodePage,
  entryTotals,
  firstPathOf,
  isLeaf,
  NO_TOTALS,
  type PageReference,
  pageTotals,
  type TreePage,
} from './tree-page.ts';

/** What reading needs of a page store. */
export type PageSource = Pick<PageStore, 'getPage'>;

/** Pages fetched before they are needed, so that a distant store is not asked one page at a time. */
const READ_AHEAD_PAGE_COUNT = 4;

export interface TreeRange {
  /** Only paths that start with these bytes; `data/` for a folder. */
  readonly prefix?: RawPath | '';
  /** Only paths after this one. */
  readonly after?: RawPath | '';
}

/** A folder of a folder, with everything below it. */
export interface FolderSummary extends TreeTotals {
  /** Its last part alone. */
  readonly name: RawPath;
  readonly path: RawPath;
}

export interface FolderListing {
  readonly folders: readonly FolderSummary[];
  /** Entries directly in the folder that are no folders; submodules too. */
  readonly files: readonly Entry[];
}

export async function readRoot(pages: PageSource, root: Digest): Promise<TreePage> {
  return decodePage(await pages.getPage(root));
}

/** A page as its parent, of level `level + 1`, lists it. */
export async function readChild(
  pages: PageSource,
  child: PageReference,
  level: number,
): Promise<TreePage> {
  const page = decodePage(await pages.getPage(child.digest));
  const totals = pageTotals(page);
  if (
    page.level === level &&
    firstPathOf(page) === child.firstPath &&
    totals.fileCount === child.fileCount &&
    totals.sizeBytes === child.sizeBytes
  ) {
    return page;
  }
  throw new DatamonError('CORRUPT', `the tree page ${child.digest} is not what its parent says`);
}

/** Entries in order. Pages outside the range are not read. */
export async function* entries(
  pages: PageSource,
  root: Digest,
  range: TreeRange = {},
): AsyncGenerator<Entry> {
  for await (const leaf of leavesOf(pages, await readRoot(pages, root), range)) yield* leaf;
}

/** The entry at a path, or null: one page of each level is read. */
export async function findEntry(
  pages: PageSource,
  root: Digest,
  path: RawPath,
): Promise<Entry | null> {
  let page = await readRoot(pages, root);
  while (!isLeaf(page)) {
    const child = page.children.findLast(({ firstPath }) => firstPath <= path);
    if (child === undefined) return null;
    page = await readChild(pages, child, page.level - 1);
  }
  return page.entries.find((entry) => entry.path === path) ?? null;
}

/** What stands directly in a folder (`''`: the root), or null where the tree has no such folder. */
export async function listFolder(
  pages: PageSource,
  root: Digest,
  folder: RawPath | '',
): Promise<FolderListing | null> {
  const prefix = (folder === '' ? '' : `${folder}/`) as RawPath | '';
  const listing = new ListingBuilder(prefix);
  await collectFolder(pages, { page: await readRoot(pages, root), next: null }, listing);
  const found = listing.finish();
  if (folder === '' || found.files.length + found.folders.length > 0) return found;
  const self = await findEntry(pages, root, folder);
  return self?.kind === 'directory' ? found : null;
}

async function* leavesOf(
  pages: PageSource,
  page: TreePage,
  range: TreeRange,
): AsyncGenerator<readonly Entry[]> {
  if (isLeaf(page)) {
    yield page.entries.filter(({ path }) => holds(range, path));
    return;
  }
  const level = page.level - 1;
  const children = page.children.filter((child, index) =>
    mayHold(range, child.firstPath, page.children[index + 1]?.firstPath ?? null),
  );
  for await (const child of readAhead(children, (each) => readChild(pages, each, level))) {
    yield* leavesOf(pages, child, range);
  }
}

function holds({ prefix = '', after = '' }: TreeRange, path: RawPath): boolean {
  return path.startsWith(prefix) && path > after;
}

/** False where no path from `first` on and before `next` (null: to the end) is in the range. */
function mayHold({ prefix = '', after = '' }: TreeRange, first: RawPath, next: RawPath | null) {
  if (next !== null && (next <= prefix || next <= after)) return false;
  return first <= prefix || first.startsWith(prefix);
}

/** Reads in order, a few ahead. */
export async function* readAhead<T, R>(
  sources: readonly T[],
  read: (source: T) => Promise<R>,
): AsyncGenerator<R> {
  const reading: Promise<R>[] = [];
  let started = 0;
  for (let done = 0; done < sources.length; done += 1) {
    for (const source of sources.slice(started, done + READ_AHEAD_PAGE_COUNT)) {
      const result = read(source);
      // Whoever stops early never looks at the rest; a failure there is nobody's.
      result.catch(() => {});
      reading.push(result);
      started += 1;
    }
    const next = reading.shift();
    if (next !== undefined) yield await next;
  }
}

/** A page and the first path behind it (null: none). */
interface Span {
  readonly page: TreePage;
  readonly next: RawPath | null;
}

async function collectFolder(
  pages: PageSource,
  { page, next }: Span,
  listing: ListingBuilder,
): Promise<void> {
  if (isLeaf(page)) {
    for (const entry of page.entries) listing.addEntry(entry);
    return;
  }
  const unread = page.children
    .map((child, index) => ({ child, next: page.children[index + 1]?.firstPath ?? next }))
    .filter(({ child, next: end }) => mayHold({ prefix: listing.prefix }, child.firstPath, end))
    .filter(({ child, next: end }) => !listing.addWhole(child, end));
  const level = page.level - 1;
  const read = async ({ child, next: end }: (typeof unread)[number]): Promise<Span> => ({
    page: await readChild(pages, child, level),
    next: end,
  });
  for await (const span of readAhead(unread, read)) await collectFolder(pages, span, listing);
}

class ListingBuilder {
  readonly prefix: RawPath | '';
  readonly #files: Entry[] = [];
  readonly #folders = new Map<RawPath, TreeTotals>();

  constructor(prefix: RawPath | '') {
    this.prefix = prefix;
  }

  addEntry(entry: Entry): void {
    if (!entry.path.startsWith(this.prefix)) return;
    const folder = this.#folderOf(entry.path);
    if (folder !== null) this.#add(folder, entryTotals(entry));
    else if (entry.kind === 'directory') {
      this.#add(entry.path.slice(this.prefix.length) as RawPath, NO_TOTALS);
    } else this.#files.push(entry);
  }

  /** True where all paths of the page lie in one folder: then its totals are enough. */
  addWhole(child: PageReference, next: RawPath | null): boolean {
    if (!child.firstPath.startsWith(this.prefix) || next === null) return false;
    const folder = this.#folderOf(child.firstPath);
    if (folder === null || !next.startsWith(`${this.prefix}${folder}/`)) return false;
    this.#add(folder, child);
    return true;
  }

  finish(): FolderListing {
    const folders = [...this.#folders].map(([name, totals]) => ({
      name,
      path: `${this.prefix}${name}` as RawPath,
      fileCount: totals.fileCount,
      sizeBytes: totals.sizeBytes,
    }));
    folders.sort((a, b) => (a.name < b.name ? -1 : 1));
    return { folders, files: this.#files };
  }

  /** The folder below the prefix that `path` lies in, or null where it lies in none. */
  #folderOf(path: RawPath): RawPath | null {
    const end = path.indexOf('/', this.prefix.length);
    return end < 0 ? null : (path.slice(this.prefix.length, end) as RawPath);
  }

  #add(folder: RawPath, totals: TreeTotals): void {
    this.#folders.set(folder, addTotals(this.#folders.get(folder) ?? NO_TOTALS, totals));
  }
}
