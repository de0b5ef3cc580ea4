/**
 * What differs between two trees, in order of paths. Pages that both trees share are never read, and pages are cut where
 * their paths say, so the cost is that of the change.
 */
import type { Digest } from '../digest.ts';
import type { Entry, RawPath } from './model.ts';
import { isLeaf, type PageReference, type TreePage } from './tree-page.ts';
import { type PageSource, readChild, readRoot } from './tree-reader.ts';

interface Change<Kind extends string, Before, After> {
  readonly path: RawPath;
  readonly change: Kind;
  readonly before: Before;
  readonly after: After;
}

export type TreeChange =
  | Change<'added', null, Entry>
  | Change<'removed', Entry, null>
  | Change<'changed', Entry, Entry>;

/** From tree `a` to tree `b`; null is the tree without entries. */
export async function* diffTrees(
  pages: PageSource,
  a: Digest | null,
  b: Digest | null,
): AsyncGenerator<TreeChange> {
  if (a === b) return;
  const sides: Sides = {
    left: await openCursor(pages, a),
    right: await openCursor(pages, b),
  };
  while (sides.left.head() !== null || sides.right.head() !== null) {
    if (skipShared(sides) || (await openHeads(sides))) continue;
    const change = nextChange(sides);
    if (change !== null) yield change;
  }
}

export function sameEntry(a: Entry, b: Entry): boolean {
  return (
    a.path === b.path &&
    a.kind === b.kind &&
    a.executable === b.executable &&
    a.oid === b.oid &&
    a.sizeBytes === b.sizeBytes &&
    a.reference === b.reference
  );
}

/** What a cursor stands at: an entry, or a page not opened yet. */
type Head =
  | { readonly first: RawPath; readonly entry: Entry; readonly page?: never; readonly level: -1 }
  | {
      readonly first: RawPath;
      readonly page: PageReference;
      readonly entry?: never;
      readonly level: number;
    };

interface Cursor {
  head(): Head | null;
  skip(): void;
  /** Puts what the page at the head lists in its place. */
  open(): Promise<void>;
}

async function openCursor(pages: PageSource, root: Digest | null): Promise<Cursor> {
  // The next head is the last element.
  const ahead: Head[] = root === null ? [] : headsOf(await readRoot(pages, root));
  return {
    head: () => ahead.at(-1) ?? null,
    skip: () => void ahead.pop(),
    open: async () => {
      const head = ahead.pop();
      if (head?.page) ahead.push(...headsOf(await readChild(pages, head.page, head.level)));
    },
  };
}

function headsOf(page: TreePage): Head[] {
  const heads: Head[] = isLeaf(page)
    ? page.entries.map((entry) => ({ first: entry.path, entry, level: -1 }))
    : page.children.map((child) => ({
        first: child.firstPath,
        page: child,
        level: page.level - 1,
      }));
  return heads.reverse();
}

interface Sides {
  readonly left: Cursor;
  readonly right: Cursor;
}

/** Both stand at the start of the same page, so neither need be read. */
function skipShared({ left, right }: Sides): boolean {
  const page = left.head()?.page;
  if (page === undefined || page.digest !== right.head()?.page?.digest) return false;
  left.skip();
  right.skip();
  return true;
}

/** Opens the pages in the way of the next comparison; false where entries, or nothing, stand on both sides. */
async function openHeads({ left, right }: Sides): Promise<boolean> {
  const [before, after] = [left.head(), right.head()];
  const opening: Promise<void>[] = [];
  if (before?.page && mustOpen(before, after)) opening.push(left.open());
  if (after?.page && mustOpen(after, before)) opening.push(right.open());
  await Promise.all(opening);
  return opening.length > 0;
}

/**
 * The side that starts first has something the other has not, so its page is not shared as a whole. Where both start together
 * the higher page may list the other one.
 */
function mustOpen(page: Head, other: Head | null): boolean {
  if (other === null || page.first < other.first) return true;
  return page.first === other.first && page.level >= other.level;
}

/** Goes past the lesser path, or past both where they are the same; null where nothing differs there. */
function nextChange({ left, right }: Sides): TreeChange | null {
  const [before, after] = [left.head(), right.head()];
  if (before?.entry && (after === null || before.first < after.first)) {
    left.skip();
    return { path: before.first, change: 'removed', before: before.entry, after: null };
  }
  if (after?.entry && (before === null || after.first < before.first)) {
    right.skip();
    return { path: after.first, change: 'added', before: null, after: after.entry };
  }
  if (!before?.entry || !after?.entry) throw new Error('a page stands where entries are compared');
  left.skip();
  right.skip();
  if (sameEntry(before.entry, after.entry)) return null;
  return { path: after.first, change: 'changed', before: before.entry, after: after.entry };
}
