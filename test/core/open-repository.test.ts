/** A repo on a store in memory, joined of its real parts: created, found again, written, read, and refused where it must be. */
import { expect } from 'chai';
import { createMemoryBackend } from '../../core/backend/memory.ts';
import { createMeteredBackend } from '../../core/backend/metered.ts';
import { collect } from '../../core/bytes.ts';
import { condemn } from '../../core/cas/condemned.ts';
import { type Digest, digestOf } from '../../core/digest.ts';
import { parsePoolName, parseRepoName, parseSegmentKey } from '../../core/keys.ts';
import { createSyntheticCommit } from '../../core/meta/commit-object.ts';
import { diffTrees } from '../../core/meta/diff.ts';
import type { Entry } from '../../core/meta/model.ts';
import { type CommitContent, missingOids, recordBundle } from '../../core/meta/record.ts';
import { resolveRef } from '../../core/meta/resolve.ts';
import { entries, listFolder } from '../../core/meta/tree-reader.ts';
import { type DirectRepository, openRepository } from '../../core/open-repository.ts';
import { secureRandom } from '../../core/random.ts';
import { codeOf, errorOf } from '../support/code-of.ts';
import { useFastPaths } from '../support/fast-paths.ts';
import { entryOf, FREE_RECEIPT, listAll, pushIdOf, REMOTE } from '../support/meta-world.ts';
import { makeTempDir } from '../support/temp-dir.ts';

const NAME = parseRepoName('acme/weather');
const create = { by: 'ada', remote: REMOTE };

async function record(
  repository: DirectRepository,
  content: readonly Entry[] | Extract<CommitContent, { base: Digest }>,
) {
  const synthetic = createSyntheticCommit({
    message: 'a version',
    author: { name: 'Ada', mail: 'ada@example.org' },
    at: new Date(0),
    parents: [],
    treeLabel: digestOf(JSON.stringify(content)),
  });
  return await recordBundle(repository, {
    ...synthetic,
    ...('base' in content ? content : { entries: content }),
    rules: { recorder: 1, config: null },
    pointerExtensions: [],
  });
}

async function push(
  repository: DirectRepository,
  content: Parameters<typeof record>[1],
  ref = 'refs/heads/main',
) {
  const { bundle, descriptor, totals } = await record(repository, content);
  const [head] = await listAll(repository.history.branchLog('main'));
  await repository.history.recordMove({
    pushId: pushIdOf(bundle),
    remote: REMOTE,
    ref,
    gitOld: head?.event.gitNew ?? null,
    gitNew: descriptor.commit,
    bundle,
    totals,
    extraOids: null,
    missing: [],
    forced: false,
    pushedBy: 'Ada <ada@example.org>',
    receipt: FREE_RECEIPT,
  });
  return { bundle, tree: descriptor.tree };
}

describe('core/open-repository', () => {
  it('knows no store and no repo that were not made, and says so', async () => {
    const backend = createMemoryBackend();
    expect(await codeOf(openRepository(backend, NAME))).to.equal('NOT_FOUND');
    const other = await openRepository(backend, parseRepoName('acme/other'), { create });
    await other.close();
    const { code, message, hint } = await errorOf(openRepository(backend, NAME));
    expect(code).to.equal('NOT_FOUND');
    expect(message).to.include('acme/weather');
    expect(hint).to.be.a('string');
  });

  it('makes a repo once, and finds it as it was made', async () => {
    const backend = createMemoryBackend();
    const options = { create, pool: parsePoolName('shared'), webUrl: 'http://x/acme/weather' };
    const first = await openRepository(backend, NAME, options);
    const second = await openRepository(backend, NAME, { create: { by: 'bob', remote: null } });
    expect(first.webUrl).to.equal('http://x/acme/weather');
    expect(second.webUrl).to.equal(null);
    expect(await second.history.info()).to.deep.equal(await first.history.info());
    expect(await second.history.info()).to.include({
      pool: 'shared',
      createdBy: 'ada',
      remote: REMOTE,
    });
    expect(second.pool).to.deep.equal(first.pool);
    await Promise.all([first.close(), second.close()]);
  });

  it('keeps blobs, pages, bundles and logs for whoever opens it next', async () => {
    const backend = createMemoryBackend();

    const writer = await openRepository(backend, NAME, { create, spoolDir: await makeTempDir() });
    const content = Buffer.from('hello, weather');
    const source = {
      oid: digestOf(content),
      sizeBytes: content.length,
      async *open() {
        yield content;
      },
    };
    await writer.blobs.put(source);
    const list = Array.from({ length: 3000 }, (_, index) => entryOf(`d${index % 3}/f${index}`));
    const a = await push(writer, list);
    const b = await push(writer, [...list, entryOf('hello.txt', 'hello, weather')]);
    await writer.close();

    const reader = await openRepository(backend, NAME);
    expect((await resolveRef(reader, 'main')).bundle).to.equal(b.bundle);
    expect((await resolveRef(reader, 'main~1')).bundle).to.equal(a.bundle);
    const changes = await listAll(diffTrees(reader.pages, a.tree, b.tree));
    expect(changes.map(({ path, change }) => [path, change])).to.deep.equal([
      ['hello.txt', 'added'],
    ]);
    expect(await listAll(entries(reader.pages, b.tree))).to.have.length(3001);
    expect(
      (await listFolder(reader.pages, b.tree, ''))?.folders.map(({ fileCount }) => fileCount),
    ).to.deep.equal([1000, 1000, 1000]);
    expect(await missingOids(reader, b.tree, a.tree)).to.deep.equal([]);
    expect(await missingOids(reader, a.tree)).to.have.length(3000);
    expect(await collect(reader.blobs.get(source.oid), 1000)).to.deep.equal(content);
    await reader.close();
  });

  describe('by its changes', () => {
    useFastPaths();

    it('records one changed file of many from cold in a few requests, whatever the count of files', async () => {
      const memory = createMemoryBackend();
      const list = Array.from({ length: 20_000 }, (_, index) => entryOf(`f${index}`));
      const writer = await openRepository(memory, NAME, { create });
      const first = await push(writer, list);
      await writer.close();
      const { backend, counts } = createMeteredBackend(memory);
      const repository = await openRepository(backend, NAME);
      const before = counts();
      const entry = entryOf('f777', 'edited');
      const change = { base: first.tree, changes: [{ path: entry.path, entry }] };
      const second = await push(repository, change);
      // List of segments, tables of one, two pages; look, segment, look, bundle; the commit's log and entry; the branch's head (two),
      // whether its push was confirmed, locks, time, entry.
      expect(counts().requestCount - before.requestCount).to.be.at.most(16);
      expect(counts().createdBytes - before.createdBytes).to.be.lessThan(100_000);
      const changed = await listAll(diffTrees(repository.pages, first.tree, second.tree));
      expect(changed.map(({ path }) => path)).to.deep.equal(['f777']);
      await repository.close();
    });
  });

  it('leans on no tree that is condemned', async () => {
    const backend = createMemoryBackend();
    const list = Array.from({ length: 3000 }, (_, index) => entryOf(`f${index}`));
    const writer = await openRepository(backend, NAME, { create });
    const first = await push(writer, list);
    const keys = await listAll(backend.list('repos/'));
    const segments = keys.map(({ key }) => parseSegmentKey(NAME, key));
    const ids = segments.filter((name) => name !== null).map(({ id }) => id);
    const sentence = { ids, by: 'ada', plan: null };
    await condemn(backend, parsePoolName('acme'), secureRandom, sentence);
    const entry = entryOf('f777', 'edited');
    const change = { base: first.tree, changes: [{ path: entry.path, entry }] };
    const before = await listAll(backend.list(''));
    expect(await codeOf(push(writer, change))).to.equal('INCOMPLETE');
    expect(await listAll(backend.list('')), 'what was published').to.deep.equal(before);
    const whole = await push(
      writer,
      list.map((each) => (each.path === entry.path ? entry : each)),
    );
    expect(await listAll(entries(writer.pages, whole.tree))).to.have.length(3000);
    await writer.close();
  });

  it('marks a push over the lock of somebody else', async () => {
    const repository = await openRepository(createMemoryBackend(), NAME, { create });
    await push(repository, [entryOf('a.csv', '1'), entryOf('b.csv', '1')]);
    await repository.locks.lock({ path: 'a.csv', owner: 'bob', ref: null });
    await repository.locks.lock({ path: 'b.csv', owner: 'Ada', ref: null });
    await push(repository, [entryOf('a.csv', '2'), entryOf('b.csv', '2')]);
    const [head, first] = await listAll(repository.history.branchLog('main'));
    expect(head?.event.lockViolations).to.deep.equal(['a.csv (bob)']);
    expect(first?.event.lockViolations).to.deep.equal([]);
    await repository.close();
  });

  it('puts no bundle whose pages are not stored', async () => {
    const backend = createMemoryBackend();
    const repository = await openRepository(backend, NAME, { create });
    const { descriptor } = await record(repository, [entryOf('a')]);
    const forged = { ...descriptor, tree: digestOf('nowhere') };
    expect(await codeOf(repository.history.putBundle(forged))).to.equal('INCOMPLETE');
    await repository.close();
  });
});
