/** Recording: what is sent, what is asked for, what is missing, what it must have cost. */
import { expect } from 'chai';
import { digestOf, EMPTY_DIGEST } from '../../../core/digest.ts';
import { FAST_PATHS_OFF, switchOffFastPaths } from '../../../core/fast-paths.ts';
import type { Entry, RawPath } from '../../../core/meta/model.ts';
import {
  estimateReceipt,
  missingOids,
  type RecordedBundle,
  recordBundle,
  storeExtraOids,
} from '../../../core/meta/record.ts';
import { entries } from '../../../core/meta/tree-reader.ts';
import { codeOf, errorOf } from '../../support/code-of.ts';
import { useFastPaths } from '../../support/fast-paths.ts';
import { createWorld, entryOf, listAll, type World } from '../../support/meta-world.ts';

const many = (count: number): Entry[] =>
  Array.from({ length: count }, (_, index) => entryOf(`f${String(index).padStart(6, '0')}`));

const putBlob = async (world: World, content: string) =>
  await world.blobs.put({
    oid: digestOf(content),
    sizeBytes: content.length,
    async *open() {
      yield Buffer.from(content);
    },
  });

const commitOf = ({ descriptor }: RecordedBundle) => ({
  commit: descriptor.commit,
  commitObject: Buffer.from(descriptor.commitObject, 'base64'),
  rules: descriptor.rules,
  pointerExtensions: [],
});

describe('core/meta/record', () => {
  it('makes the same bundle of the same commit, whatever the order of its entries', async () => {
    const world = createWorld();
    const list = many(100);
    const first = await world.bundle(list);
    expect(await world.bundle(list.toReversed())).to.include({ bundle: first.bundle, newPages: 0 });
    expect(first.totals).to.deep.equal({ fileCount: 100, sizeBytes: 700 });
    expect(await listAll(entries(world.pages, first.descriptor.tree))).to.deep.equal(list);
  });

  it('takes entries as a stream', async () => {
    const world = createWorld();
    const stream = async function* () {
      yield* many(3);
    };
    const { totals } = await world.bundle(stream() as unknown as Entry[]);
    expect(totals.fileCount).to.equal(3);
  });

  for (const off of ['', 'ask-once']) {
    describe(`of a few pages${off && `, without ${off}`}`, () => {
      before(() => switchOffFastPaths({ [FAST_PATHS_OFF]: off }));
      after(() => switchOffFastPaths(process.env));

      it('sends those that are new, and asks about all at once, or about none below a stored one', async () => {
        const world = createWorld();
        const list = many(20_000);
        const first = await world.bundle(list);
        expect(first.newPages).to.be.within(20, 128);
        world.pages.asked.length = 0;
        const second = await world.bundle(list.with(500, entryOf('f000500', 'edited')));
        expect(second.newPages).to.equal(2);
        // Level by level: the root alone, then what it lists.
        const asked = off === '' ? [first.newPages] : [1, first.newPages - 1];
        expect(world.pages.asked).to.deep.equal(asked);
        world.pages.asked.length = 0;
        await world.bundle(list, 'the same files by another message');
        expect(world.pages.asked).to.deep.equal([off === '' ? first.newPages : 1]);
      });
    });
  }

  it('asks about many pages level by level', async () => {
    const world = createWorld();
    const list = many(120_000);
    const first = await world.bundle(list);
    expect(first.newPages).to.be.greaterThan(128);
    world.pages.asked.length = 0;
    await world.bundle(list, 'the same files by another message');
    expect(world.pages.asked).to.deep.equal([1]);
  });

  describe('by its changes', () => {
    useFastPaths();

    it('makes the same bundle of what changed since another one, asking and sending as little', async () => {
      const world = createWorld();
      const list = many(20_000);
      const first = await world.bundle(list);
      const entry = entryOf('f000500', 'edited');
      const wanted = await createWorld().bundle(list.with(500, entry));
      world.pages.asked.length = 0;
      world.pages.reads.length = 0;
      const change = { base: first.descriptor.tree, changes: [{ path: entry.path, entry }] };
      const second = await recordBundle(world, { ...commitOf(wanted), ...change });
      expect(second.bundle).to.equal(wanted.bundle);
      expect(second.totals).to.deep.equal(wanted.totals);
      expect(second.newPages).to.equal(2);
      expect(world.pages.asked).to.deep.equal([]);
      expect(world.pages.reads).to.have.length(2);
      const same = await recordBundle(world, { ...commitOf(first), ...change, changes: [] });
      expect(same).to.include({ bundle: first.bundle, newPages: 0 });
    });
  });

  it('refuses changed paths that git fsck refuses, and a base that is not stored', async () => {
    const world = createWorld();
    const first = await world.bundle(many(10));
    const bad = entryOf('a/.git/config');
    const request = { ...commitOf(first), base: first.descriptor.tree };
    const changes = [{ path: bad.path, entry: bad }];
    expect(await codeOf(recordBundle(world, { ...request, changes }))).to.equal('INVALID');
    const { getPage } = world.pages;
    const { tree } = first.descriptor;
    const bytes = await getPage(tree);
    world.pages.stored.delete(tree);
    world.pages.getPage = async (page) => (page === tree ? bytes : await getPage(page));
    const entry = entryOf('f000001', 'edited');
    const edit = recordBundle(world, { ...request, changes: [{ path: entry.path, entry }] });
    expect(await codeOf(edit)).to.equal('INCOMPLETE');
    expect(await codeOf(recordBundle(world, { ...request, changes: [] }))).to.equal('INCOMPLETE');
  });

  it('stores children before their parents where a batch is not enough', async () => {
    const world = createWorld();
    const order: string[][] = [];
    const { putPages } = world.pages;
    world.pages.putPages = async (pages) => {
      order.push(pages.map((page) => digestOf(page)));
      return await putPages(pages);
    };
    const deep = `${'d'.repeat(3800)}/`;
    const list = Array.from({ length: 18_000 }, (_, index) =>
      entryOf(`${deep}${String(index).padStart(5, '0')}`, 'x'),
    );
    const { descriptor } = await world.bundle(list);
    expect(order.length).to.be.greaterThan(1);
    expect(order.at(-1)?.at(-1)).to.equal(descriptor.tree);
  });

  it('refuses paths that git fsck refuses, and paths that come twice', async () => {
    const world = createWorld();
    const { code, message, hint } = await errorOf(world.bundle([entryOf('a/.git/config')]));
    expect(code).to.equal('INVALID');
    expect(message).to.include('a/.git/config');
    expect(hint).to.include('git fsck');
    expect(await codeOf(world.bundle([entryOf('a'), entryOf('a', 'twice')]))).to.equal('INVALID');
    await world.bundle([entryOf('caf\xe9'), entryOf('con'), entryOf('a'), entryOf('A')]);
  });

  it('writes the names of pointer extensions once and in order', async () => {
    const world = createWorld();
    const { descriptor } = await world.commit('a');
    const recorded = await recordBundle(world, {
      commit: descriptor.commit,
      commitObject: Buffer.from(descriptor.commitObject, 'base64'),
      entries: [],
      rules: descriptor.rules,
      pointerExtensions: new Set(['zip', 'crypt', 'Zip']),
    });
    expect(recorded.descriptor.pointerExtensions).to.deep.equal(['Zip', 'crypt', 'zip']);
  });

  it('names the oids that a tree lists and the repo has not, each once, in order of paths', async () => {
    const world = createWorld();
    await putBlob(world, 'here');
    const none = { executable: false, oid: null, sizeBytes: 0 } as const;
    const { descriptor } = await world.bundle([
      entryOf('1', 'gone'),
      entryOf('2', 'here'),
      entryOf('3', 'gone'),
      { ...entryOf('4', 'also gone'), kind: 'git' },
      { ...entryOf('5', ''), oid: EMPTY_DIGEST },
      { ...entryOf('6', 'target'), kind: 'symlink', reference: 'target' },
      { ...entryOf('6b', 'caf\xe9'), kind: 'symlink' },
      { ...entryOf('7', 'elsewhere'), kind: 'external', reference: 'gs://b/k' },
      { path: '8' as RawPath, kind: 'submodule', ...none },
    ]);
    expect(await missingOids(world, descriptor.tree)).to.deep.equal([
      digestOf('gone'),
      digestOf('also gone'),
      digestOf('caf\xe9'),
    ]);
  });

  it('asks only for what changed since a base, in batches', async () => {
    const world = createWorld();
    const list = many(22_000);
    const base = await world.bundle(list);
    const next = await world.bundle([...list.toSpliced(7, 1), entryOf('new')]);
    const batches: number[] = [];
    const { has } = world.blobs;
    world.blobs.has = async (oids) => {
      batches.push(oids.length);
      return await has(oids);
    };
    expect(await missingOids(world, next.descriptor.tree, base.descriptor.tree)).to.deep.equal([
      digestOf('new'),
    ]);
    expect(batches).to.deep.equal([1]);
    batches.length = 0;
    expect(await missingOids(world, base.descriptor.tree)).to.have.length(22_000);
    expect(batches).to.deep.equal([20_000, 2_000]);
    batches.length = 0;
    expect(await missingOids(world, base.descriptor.tree, base.descriptor.tree)).to.deep.equal([]);
    expect(batches).to.deep.equal([]);
  });

  it('keeps oids that no path names any more as a tree of their own', async () => {
    const world = createWorld();
    expect(await storeExtraOids(world.pages, new Map())).to.equal(null);
    const extra = new Map([
      [digestOf('b'), 5],
      [digestOf('a'), 7],
    ]);
    const root = await storeExtraOids(world.pages, extra);
    const stored = root === null ? [] : await listAll(entries(world.pages, root));
    expect(new Map(stored.map(({ oid, sizeBytes }) => [oid, sizeBytes]))).to.deep.equal(extra);
    expect(stored.map(({ path }) => path)).to.deep.equal([digestOf('a'), digestOf('b')].sort());
  });

  it('estimates a push by its changed files where recipes are not known', async () => {
    const world = createWorld();
    const base = await world.bundle([
      entryOf('kept', 'kept'),
      entryOf('edited', 'old'),
      entryOf('moved', 'moved'),
    ]);
    const next = await world.bundle([
      entryOf('kept', 'kept'),
      entryOf('edited', 'newer'),
      entryOf('elsewhere', 'moved'),
      entryOf('copy', 'newer'),
    ]);
    expect(await estimateReceipt(world, next.bundle, base.bundle)).to.deep.include({
      newBytes: 5,
      reusedFrom: base.bundle,
      measured: false,
    });
    expect((await estimateReceipt(world, next.bundle, null)).newBytes).to.equal(4 + 5 + 5);
  });

  it('estimates by chunks where recipes are known', async () => {
    const world = createWorld();
    const base = await world.bundle([entryOf('f', 'ab')]);
    const next = await world.bundle([entryOf('f', 'abc'), entryOf('g', 'cd')]);
    const receipt = await estimateReceipt(world, next.bundle, base.bundle, async (oid) => {
      const content = ['ab', 'abc', 'cd'].find((text) => digestOf(text) === oid) ?? '';
      return [...content].map((char) => ({ digest: digestOf(char), sizeBytes: 10 }));
    });
    expect(receipt.newBytes).to.equal(20);
  });
});
