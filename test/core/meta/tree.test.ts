/** Trees: built, read, listed and compared; whatever the paths are. */
import { expect } from 'chai';
import fc from 'fast-check';
import { type Digest, digestOf } from '../../../core/digest.ts';
import { diffTrees, type TreeChange } from '../../../core/meta/diff.ts';
import type { Entry, RawPath } from '../../../core/meta/model.ts';
import {
  buildTree,
  type EntryChange,
  editTree,
  PAGE_ENTRY_COUNT_MIN,
  sortEntries,
} from '../../../core/meta/tree-builder.ts';
import {
  decodePage,
  encodePage,
  firstPathOf,
  isLeaf,
  PAGE_ENTRY_COUNT_MAX,
  type PageReference,
  pageTotals,
  type TreePage,
} from '../../../core/meta/tree-page.ts';
import { entries, findEntry, listFolder } from '../../../core/meta/tree-reader.ts';
import { codeOf } from '../../support/code-of.ts';
import { createFakePages, type FakePageStore } from '../../support/fake-stores.ts';

const entry = (path: string, content = path): Entry => ({
  path: path as RawPath,
  kind: 'lfs',
  executable: false,
  oid: digestOf(content),
  sizeBytes: content.length,
});

async function stored(pages: FakePageStore, list: readonly Entry[]): Promise<Digest> {
  const tree = await buildTree(sortEntries(list));
  await pages.putPages(tree.pages.map(({ bytes }) => bytes));
  return tree.root;
}

async function all<T>(source: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const each of source) found.push(each);
  return found;
}

const many = (count: number): Entry[] =>
  Array.from({ length: count }, (_, index) =>
    entry(`d${index % 7}/f${String(index).padStart(6, '0')}.csv`, `content ${index}`),
  );

interface Edit {
  /** Where it begins, as a share of the list. */
  readonly from: number;
  readonly count: number;
  readonly change: 'remove' | 'rewrite' | 'add' | 'add others';
}

function changesOf(list: readonly Entry[], edits: readonly Edit[]): EntryChange[] {
  const changes = new Map<RawPath, Entry | null>();
  for (const { from, count, change } of edits) {
    const start = Math.floor(from * list.length);
    for (const { path } of list.slice(start, start + count)) {
      const suffix = {
        remove: '',
        rewrite: '',
        add: '+',
        'add others': digestOf(path).slice(0, 2),
      };
      const at = `${path}${suffix[change]}` as RawPath;
      changes.set(at, change === 'remove' ? null : entry(at, 'changed'));
    }
  }
  return [...changes]
    .map(([path, to]) => ({ path, entry: to }))
    .sort((a, b) => (a.path < b.path ? -1 : 1));
}

function withChanges(list: readonly Entry[], changes: readonly EntryChange[]): Entry[] {
  const after = new Map(list.map((each) => [each.path, each]));
  for (const change of changes) {
    if (change.entry === null) after.delete(change.path);
    else after.set(change.path, change.entry);
  }
  return sortEntries([...after.values()]);
}

/** Short paths over few bytes, high ones among them, so that prefixes and neighbours are common. */
const rawPaths = fc
  .array(fc.constantFrom('a', 'b', '/', '\x01', '\x7f', '\x80', '\xff', '.'), {
    minLength: 1,
    maxLength: 5,
  })
  .map((chars) => chars.join(''));

const manyEntries = fc
  .uniqueArray(fc.tuple(rawPaths, fc.nat(3)), { selector: ([path]) => path, maxLength: 400 })
  .map((list) => list.map(([path, version]) => entry(path, `${path}@${version}`)));

describe('core/meta tree', () => {
  it('reads back exactly what was built, in byte order', async () => {
    await fc.assert(
      fc.asyncProperty(manyEntries, async (list) => {
        const pages = createFakePages();
        const root = await stored(pages, list);
        const expected = list.toSorted((a, b) =>
          Buffer.compare(Buffer.from(a.path, 'latin1'), Buffer.from(b.path, 'latin1')),
        );
        expect(await all(entries(pages, root))).to.deep.equal(expected);
      }),
      { numRuns: 40 },
    );
  });

  it('has one empty page for no entries', async () => {
    const tree = await buildTree([]);
    expect(tree.pages).to.have.length(1);
    expect(tree.totals).to.deep.equal({ fileCount: 0, sizeBytes: 0 });
    const pages = createFakePages();
    await pages.putPages(tree.pages.map(({ bytes }) => bytes));
    expect(await all(entries(pages, tree.root))).to.deep.equal([]);
    expect(await listFolder(pages, tree.root, '')).to.deep.equal({ folders: [], files: [] });
  });

  it('counts files and bytes, but no submodules and empty directories as files', async () => {
    const bare = { executable: false, oid: null, sizeBytes: 0 } as const;
    const tree = await buildTree(
      sortEntries([
        entry('a', '12345'),
        { path: 'empty' as RawPath, kind: 'directory', ...bare },
        { path: 'lib' as RawPath, kind: 'submodule', ...bare, reference: '0'.repeat(40) },
        { path: 'url' as RawPath, kind: 'external', ...bare, sizeBytes: 7, reference: 'gs://b/k' },
      ]),
    );
    expect(tree.totals).to.deep.equal({ fileCount: 2, sizeBytes: 12 });
  });

  it('keeps the size of pages within bounds on every level', async () => {
    const tree = await buildTree(sortEntries(many(60_000)));
    const counts = tree.pages.map(({ bytes }) => {
      const page = decodePage(bytes);
      return {
        level: page.level,
        count: isLeaf(page) ? page.entries.length : page.children.length,
      };
    });
    const leaves = counts.filter(({ level }) => level === 0);
    expect(leaves.slice(0, -1).every(({ count }) => count >= PAGE_ENTRY_COUNT_MIN)).to.equal(true);
    expect(counts.every(({ count }) => count <= PAGE_ENTRY_COUNT_MAX)).to.equal(true);
    // Mean of 512 beyond the least, so about 104 pages.
    expect(leaves.length).to.be.within(70, 150);
    expect(counts.at(-1)?.level).to.be.greaterThan(0);
  });

  it('cuts by force where no path ends a page', async () => {
    const tree = await buildTree(uncut(9000));
    expect(tree.pages.map(({ children }) => children.length)).to.deep.equal([0, 0, 0, 3]);
  });

  it('refuses the last path of a page again as the first of the next', async () => {
    const list = uncut(PAGE_ENTRY_COUNT_MAX);
    expect(await codeOf(buildTree([...list, list.at(-1) ?? entry('x')]))).to.equal('INVALID');
  });

  it('rewrites few pages for one change among 20,000 entries', async () => {
    const list = many(20_000);
    const before = await buildTree(sortEntries(list));
    const known = new Set(before.pages.map(({ digest }) => digest));
    const fresh = async (edited: Entry[]) =>
      (await buildTree(sortEntries(edited))).pages.filter(({ digest }) => !known.has(digest));
    const changed = list.with(9_999, entry(list[9_999]?.path ?? '', 'other'));
    expect((await fresh(changed)).length).to.be.within(2, 3);
    expect((await fresh([...list, entry('d3/f000000-new', 'x')])).length).to.be.within(2, 4);
    expect((await fresh(list.toSpliced(12_345, 1))).length).to.be.within(2, 4);
    expect((await fresh(list)).length).to.equal(0);
  });

  it('edits to the very tree that is built anew, whatever changed', async () => {
    const small = alwaysCut(4_500);
    expect((await buildTree(small)).pages.at(-1)?.children).to.have.lengthOf(2);
    const trees = fc.oneof(
      fc.nat(9_000).map(many),
      fc.nat(9_000).map(uncut),
      fc.integer({ min: 4_000, max: 4_500 }).map((count) => small.slice(0, count)),
    );
    const spans = fc.array(
      fc.record({
        from: fc.double({ min: 0, max: 1, noNaN: true }),
        count: fc.oneof(fc.nat(3), fc.nat(6000)),
        change: fc.constantFrom<Edit['change'][]>('remove', 'rewrite', 'add', 'add others'),
      }),
      { maxLength: 4 },
    );
    await fc.assert(
      fc.asyncProperty(trees, spans, async (unsorted, edits) => {
        const list = sortEntries(unsorted);
        const changes = changesOf(list, edits);
        const after = withChanges(list, changes);
        const pages = createFakePages();
        const before = await stored(pages, list);
        const wanted = await buildTree(after);
        const edited = await editTree(pages, before, changes);
        expect(edited.root).to.equal(wanted.root);
        expect(edited.totals).to.deep.equal(wanted.totals);
        await pages.putPages(edited.pages.map(({ bytes }) => bytes));
        expect(await all(entries(pages, edited.root))).to.have.lengthOf(after.length);
      }),
      { numRuns: 40 },
    );
  });

  it('edits one of 20,000 entries, or a hundred side by side, reading and making few pages', async () => {
    const list = sortEntries(many(20_000));
    const pages = createFakePages();
    const root = await stored(pages, list);
    const cost = async (changes: readonly EntryChange[]) => {
      let reads = 0;
      const getPage = (digest: Digest) => {
        reads += 1;
        return pages.getPage(digest);
      };
      const { pages: made } = await editTree({ getPage }, root, changes);
      return { reads, made: made.length };
    };
    const rewrites = (from: number, count: number) =>
      list.slice(from, from + count).map(({ path }) => ({ path, entry: entry(path, 'new') }));
    expect(await cost([])).to.deep.equal({ reads: 1, made: 0 });
    expect(await cost(rewrites(9_999, 1))).to.deep.equal({ reads: 2, made: 2 });
    const hundred = await cost(rewrites(9_999, 100));
    expect(hundred.reads).to.be.at.most(5);
    expect(hundred.made).to.be.at.most(5);
    const removal = await cost([{ path: list[12_345]?.path ?? ('' as RawPath), entry: null }]);
    expect(removal.reads).to.be.at.most(4);
  });

  it('refuses changes out of order, and does nothing where what is to go is not there', async () => {
    const pages = createFakePages();
    const root = await stored(pages, [entry('a'), entry('c')]);
    const gone = (path: string): EntryChange => ({ path: path as RawPath, entry: null });
    expect(await codeOf(editTree(pages, root, [gone('b'), gone('a')]))).to.equal('INVALID');
    expect(await codeOf(editTree(pages, root, [gone('b'), gone('b')]))).to.equal('INVALID');
    expect((await editTree(pages, root, [gone('b')])).root).to.equal(root);
    const none = await editTree(pages, root, [gone('a'), gone('c')]);
    expect(none.root).to.equal((await buildTree([])).root);
    await pages.putPages(none.pages.map(({ bytes }) => bytes));
    const again = await editTree(pages, none.root, [{ path: 'c' as RawPath, entry: entry('c') }]);
    expect(again.root).to.equal((await buildTree([entry('c')])).root);
  });

  it('refuses paths out of order and paths that come twice, also across pages', async () => {
    expect(await codeOf(buildTree([entry('b'), entry('a')]))).to.equal('INVALID');
    expect(await codeOf(buildTree([entry('a'), entry('a')]))).to.equal('INVALID');
    const long = sortEntries(many(6_000));
    expect(await codeOf(buildTree([...long, long[0] ?? entry('x')]))).to.equal('INVALID');
    expect(await codeOf(buildTree([...long, long.at(-1) ?? entry('x')]))).to.equal('INVALID');
  });

  it('reads ranges by prefix and by last path', async () => {
    await fc.assert(
      fc.asyncProperty(
        manyEntries,
        fc.option(rawPaths, { nil: '' }),
        fc.option(rawPaths, { nil: '' }),
        async (list, prefix, after) => {
          const pages = createFakePages();
          const root = await stored(pages, list);
          const range = { prefix: prefix as RawPath, after: after as RawPath };
          const found = (await all(entries(pages, root, range))).map(({ path }) => path);
          const expected = sortEntries(list)
            .map(({ path }) => path)
            .filter((path) => path.startsWith(prefix) && path > after);
          expect(found).to.deep.equal(expected);
        },
      ),
      { numRuns: 100 },
    );
  });

  it('reads only the pages that a range touches', async () => {
    const pages = createFakePages();
    const list = sortEntries(many(40_000));
    const root = await stored(pages, list);
    pages.reads.length = 0;
    const one = list[20_000]?.path ?? ('' as RawPath);
    expect(await all(entries(pages, root, { prefix: one }))).to.have.length(1);
    expect(pages.reads.length).to.be.at.most(3);
    pages.reads.length = 0;
    const last = list.at(-2)?.path ?? ('' as RawPath);
    expect(await all(entries(pages, root, { after: last }))).to.have.length(1);
    expect(pages.reads.length).to.be.at.most(3);
  });

  it('finds an entry by reading one page of each level', async () => {
    const pages = createFakePages();
    const list = many(40_000);
    const root = await stored(pages, list);
    pages.reads.length = 0;
    expect(await findEntry(pages, root, list[31_415]?.path ?? ('' as RawPath))).to.deep.equal(
      list[31_415],
    );
    expect(pages.reads).to.have.length(2);
    for (const path of ['', 'd', 'd3', 'zzz', 'd3/f000003.csv0', 'a']) {
      expect(await findEntry(pages, root, path as RawPath)).to.equal(null);
    }
  });

  it('lists folders with counts and bytes like a walk over all entries would', async () => {
    await fc.assert(
      fc.asyncProperty(manyEntries, async (made) => {
        const list = made.filter(({ path }) => !/^\/|\/\/|\/$/.test(path));
        const pages = createFakePages();
        const root = await stored(pages, list);
        for (const folder of ['', 'a', 'a/b'] as (RawPath | '')[]) {
          expect(await listFolder(pages, root, folder)).to.deep.equal(naiveListing(list, folder));
        }
      }),
      { numRuns: 40 },
    );
  });

  it('lists a big tree without reading what lies inside its folders', async () => {
    const pages = createFakePages();
    const list = many(40_000);
    const root = await stored(pages, list);
    pages.reads.length = 0;
    expect(await listFolder(pages, root, '')).to.deep.equal(naiveListing(list, ''));
    // The root, and per border between two of the seven folders at most one leaf; the last leaf has no known end.
    expect(pages.reads.length).to.be.at.most(9);
    expect(await listFolder(pages, root, 'nowhere' as RawPath)).to.equal(null);
  });

  it('knows an empty directory as a folder', async () => {
    const pages = createFakePages();
    const empty: Entry = {
      path: 'a/empty' as RawPath,
      kind: 'directory',
      executable: false,
      oid: null,
      sizeBytes: 0,
    };
    const root = await stored(pages, [entry('a/f'), empty]);
    const listing = await listFolder(pages, root, 'a' as RawPath);
    expect(listing?.folders).to.deep.equal([
      { name: 'empty', path: 'a/empty', fileCount: 0, sizeBytes: 0 },
    ]);
    expect(await listFolder(pages, root, 'a/empty' as RawPath)).to.deep.equal({
      folders: [],
      files: [],
    });
  });

  it('says the same differences as a naive comparison', async () => {
    await fc.assert(
      fc.asyncProperty(manyEntries, manyEntries, async (a, b) => {
        const pages = createFakePages();
        const [left, right] = [await stored(pages, a), await stored(pages, b)];
        expect(await all(diffTrees(pages, left, right))).to.deep.equal(naiveDiff(a, b));
      }),
      { numRuns: 100 },
    );
  });

  it('says the same differences after edits of a tree of many pages, also against nothing', async () => {
    const base = many(4_000);
    const original = createFakePages();
    const left = await stored(original, base);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(3_999), fc.constantFrom('drop', 'edit', 'add')), {
          maxLength: 9,
        }),
        async (edits) => {
          const pages = copyOf(original);
          const edited = new Map(base.map((each) => [each.path, each]));
          for (const [index, edit] of edits) {
            const path = base[index]?.path ?? ('' as RawPath);
            if (edit === 'drop') edited.delete(path);
            else if (edit === 'edit') edited.set(path, entry(path, 'edited'));
            else edited.set(`${path}.new` as RawPath, entry(`${path}.new`));
          }
          const list = [...edited.values()];
          const right = await stored(pages, list);
          expect(await all(diffTrees(pages, left, right))).to.deep.equal(naiveDiff(base, list));
        },
      ),
      { numRuns: 8 },
    );
    expect(await all(diffTrees(original, null, left))).to.have.length(4_000);
    expect(
      (await all(diffTrees(original, left, null))).every((c) => c.change === 'removed'),
    ).to.equal(true);
  });

  it('reads only the pages that differ', async () => {
    const pages = createFakePages();
    const base = many(40_000);
    const edited = base.toSpliced(17_000, 1).with(30_000, entry(base[30_001]?.path ?? '', 'x'));
    const [left, right] = [await stored(pages, base), await stored(pages, edited)];
    pages.reads.length = 0;
    expect(await all(diffTrees(pages, left, right))).to.have.length(2);
    expect(pages.reads.length).to.be.at.most(2 * 3 + 4);
    pages.reads.length = 0;
    expect(await all(diffTrees(pages, left, left))).to.have.length(0);
    expect(pages.reads).to.have.length(0);
  });

  it('calls a page that is not what its parent says CORRUPT', async () => {
    const bytes = encodePage({ level: 0, entries: [entry('a', '12'), entry('b', '345')] });
    const honest = {
      digest: digestOf(bytes),
      fileCount: 2,
      sizeBytes: 5,
      firstPath: 'a' as RawPath,
    };
    const under = async (child: PageReference, level = 1) => {
      const pages = createFakePages();
      const root = encodePage({ level, children: [child] });
      await pages.putPages([bytes, root]);
      return await all(entries(pages, digestOf(root)));
    };
    expect(await under(honest)).to.have.length(2);
    expect(await codeOf(under({ ...honest, fileCount: 1 }))).to.equal('CORRUPT');
    expect(await codeOf(under({ ...honest, sizeBytes: 6 }))).to.equal('CORRUPT');
    expect(await codeOf(under({ ...honest, firstPath: 'aa' as RawPath }))).to.equal('CORRUPT');
    expect(await codeOf(under(honest, 2))).to.equal('CORRUPT');
  });

  it('compares trees of different heights without reading the pages they share', async () => {
    const pages = createFakePages();
    const page = async (made: TreePage): Promise<PageReference> => {
      const bytes = encodePage(made);
      await pages.putPages([bytes]);
      return {
        digest: digestOf(bytes),
        firstPath: firstPathOf(made) ?? ('' as RawPath),
        ...pageTotals(made),
      };
    };
    const leaf = (...names: string[]) =>
      page({ level: 0, entries: names.map((name) => entry(name)) });
    const [ab, cd, ef] = [await leaf('a', 'b'), await leaf('c', 'd'), await leaf('e', 'f')];
    const low = await page({ level: 1, children: [ab, cd] });
    const high = await page({
      level: 2,
      children: [low, await page({ level: 1, children: [ef] })],
    });
    const found = await all(diffTrees(pages, low.digest, high.digest));
    expect(found.map(({ path, change }) => [path, change])).to.deep.equal([
      ['e', 'added'],
      ['f', 'added'],
    ]);
    expect(pages.reads).not.to.include(ab.digest).and.not.to.include(cd.digest);
    const back = await all(diffTrees(pages, high.digest, low.digest));
    expect(back.every(({ change }) => change === 'removed')).to.equal(true);
    expect(pages.reads).not.to.include(ab.digest).and.not.to.include(cd.digest);
  });
});

function copyOf(pages: FakePageStore): FakePageStore {
  const copy = createFakePages();
  for (const [digest, page] of pages.stored) copy.stored.set(digest, page);
  return copy;
}

/** Entries none of whose paths ends a page. */
const uncut = (count: number): Entry[] => entriesThatCut(count, false);

/** Entries each of whose paths ends a page where it may, so that the pages are as small as can be and stand on more levels. */
const alwaysCut = (count: number): Entry[] => entriesThatCut(count, true);

function entriesThatCut(count: number, cuts: boolean): Entry[] {
  const list: Entry[] = [];
  for (let index = 0; list.length < count; index += 1) {
    const path = `n${String(index).padStart(7, '0')}`;
    const ends = Number.parseInt(digestOf(path).slice(0, 3), 16) >>> 3 === 0;
    if (ends === cuts) list.push(entry(path, ''));
  }
  return list;
}

function naiveListing(list: readonly Entry[], folder: string) {
  const prefix = folder === '' ? '' : `${folder}/`;
  const files: Entry[] = [];
  const folders = new Map<string, { fileCount: number; sizeBytes: number }>();
  for (const each of sortEntries(list)) {
    if (!each.path.startsWith(prefix)) continue;
    const [name = '', ...rest] = each.path.slice(prefix.length).split('/');
    if (rest.length === 0) files.push(each);
    else {
      const sum = folders.get(name) ?? { fileCount: 0, sizeBytes: 0 };
      folders.set(name, {
        fileCount: sum.fileCount + 1,
        sizeBytes: sum.sizeBytes + each.sizeBytes,
      });
    }
  }
  if (folder !== '' && files.length + folders.size === 0) return null;
  const sorted = [...folders].sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    folders: sorted.map(([name, totals]) => ({ name, path: `${prefix}${name}`, ...totals })),
    files,
  };
}

function naiveDiff(a: readonly Entry[], b: readonly Entry[]): TreeChange[] {
  const before = new Map(a.map((each) => [each.path, each]));
  const after = new Map(b.map((each) => [each.path, each]));
  const paths = [...new Set([...before.keys(), ...after.keys()])].sort((x, y) => (x < y ? -1 : 1));
  return paths.flatMap((path): TreeChange[] => {
    const [was, is] = [before.get(path), after.get(path)];
    if (was === undefined && is !== undefined) {
      return [{ path, change: 'added', before: null, after: is }];
    }
    if (was !== undefined && is === undefined) {
      return [{ path, change: 'removed', before: was, after: null }];
    }
    if (was === undefined || is === undefined || was.oid === is.oid) return [];
    return [{ path, change: 'changed', before: was, after: is }];
  });
}
