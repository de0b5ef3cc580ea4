/** Client and server together: what goes in through one door comes out of the other, whatever the wire does. */
import { expect } from 'chai';
import { listRepositories } from '../../client/open.ts';
import { mintActionToken } from '../../client/tokens.ts';
import { collect } from '../../core/bytes.ts';
import { addReceipts, type BlobSource, EMPTY_RECEIPT } from '../../core/cas/blob-store.ts';
import { type Digest, digestOf } from '../../core/digest.ts';
import { FAST_PATHS_OFF, switchOffFastPaths } from '../../core/fast-paths.ts';
import { parseRepoName } from '../../core/keys.ts';
import { createSyntheticCommit } from '../../core/meta/commit-object.ts';
import { recordBundle } from '../../core/meta/record.ts';
import type { Repository } from '../../core/meta/repository.ts';
import { openRepository } from '../../core/open-repository.ts';
import { createShortPace, openQuick, type QuickOptions, sourceOf } from '../support/api-world.ts';
import { codeOf, errorOf } from '../support/code-of.ts';
import { entryOf, FREE_RECEIPT, pushIdOf, REMOTE } from '../support/meta-world.ts';
import { type RealServer, startRealServer, startRelay } from '../support/real-server.ts';
import { seededBytes, seededStream } from '../support/splitmix64.ts';
import { makeTempDir } from '../support/temp-dir.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const REPO = parseRepoName('acme/weather');
const CREATE = { by: 'ada', remote: null };

async function direct({ backend }: RealServer): Promise<Repository> {
  return await openRepository(backend, REPO, { create: CREATE, spoolDir: await makeTempDir() });
}

const remote = (origin: string, options: QuickOptions = {}): Promise<Repository> =>
  openQuick(`${origin}/${REPO}`, { create: CREATE, ...options });

const read = (repository: Repository, oid: Digest, sizeBytes: number): Promise<Buffer> =>
  collect(repository.blobs.get(oid), sizeBytes);

async function collectAll<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const each of stream) all.push(each);
  return all;
}

describe('client and server', () => {
  it('what was pushed through the server is read straight from the store', async () => {
    const server = await startRealServer();
    const bytes = seededBytes(1, 3 * MIB);
    await (await remote(server.origin)).blobs.put(sourceOf(bytes));
    const back = await read(await direct(server), digestOf(bytes), bytes.length);
    expect(back.equals(bytes)).to.equal(true);
  });

  it('what was put straight into the store is read through the server', async () => {
    const server = await startRealServer();
    const bytes = seededBytes(2, 3 * MIB);
    await (await direct(server)).blobs.put(sourceOf(bytes));
    const repository = await remote(server.origin);
    expect((await read(repository, digestOf(bytes), bytes.length)).equals(bytes)).to.equal(true);
    const range = await collect(
      repository.blobs.get(digestOf(bytes), { start: MIB, end: MIB + 9 }),
      9,
    );
    expect(range.equals(bytes.subarray(MIB, MIB + 9))).to.equal(true);
  });

  it('a chunk stored straight is not sent again through the server', async () => {
    const server = await startRealServer();
    const bytes = seededBytes(3, 4 * MIB);
    await (await direct(server)).blobs.put(sourceOf(bytes));
    const edited = Buffer.concat([bytes, Buffer.from('one more line')]);
    const receipt = await (await remote(server.origin)).blobs.put(sourceOf(edited));
    expect(receipt.newBytes).to.be.at.most(256 * KIB + 13);
  });

  it('an insertion in the middle grows the store by little more than itself, and the receipt says so', async () => {
    const server = await startRealServer();
    const sizeBytes = 24 * MIB;
    const insert = 256 * KIB;
    const plain: BlobSource = sourceOf(await collect(seededStream(4, sizeBytes), sizeBytes));
    const bytes = await collect(plain.open(), sizeBytes);
    const edited = Buffer.concat([
      bytes.subarray(0, sizeBytes / 2),
      seededBytes(5, insert),
      bytes.subarray(sizeBytes / 2),
    ]);
    const { blobs } = await remote(server.origin);
    await blobs.put(plain);
    const before = await server.storedBytes();
    const receipt = await blobs.put(sourceOf(edited));
    const grown = (await server.storedBytes()) - before;
    expect(receipt.newBytes).to.be.within(insert, insert + 2 * 256 * KIB);
    expect(grown).to.be.at.most(receipt.newBytes + 64 * KIB);
    // What containers add around frames is the server's to count and differs by a little.
    expect(receipt.storedBytes).to.be.within(grown - 16 * KIB, grown + 16 * KIB);
  }).timeout(20_000);

  for (const off of ['', 'recipe-copies']) {
    it(`an edited file is told by its previous version, or in full (off: ${off || 'nothing'})`, async () => {
      const server = await startRealServer();
      const bytes = seededBytes(10, 17 * MIB);
      const edited = Buffer.concat([bytes.subarray(MIB), seededBytes(11, 300 * KIB), bytes]);
      await (await remote(server.origin)).blobs.put(sourceOf(bytes));
      switchOffFastPaths({ [FAST_PATHS_OFF]: off });
      try {
        const { blobs } = await remote(server.origin);
        const before = server.requests.length;
        await blobs.put({ ...sourceOf(edited), basis: [digestOf(bytes)] });
        const asked = server.requests.slice(before);
        const count = (end: string): number => asked.filter((each) => each.endsWith(end)).length;
        expect([count('/recipe'), count('/objects')]).to.deep.equal([off === '' ? 1 : 0, 1]);
        expect(count('/chunks/has')).to.be.within(
          ...((off === '' ? [1, 1] : [3, 12]) as [number, number]),
        );
      } finally {
        switchOffFastPaths(process.env);
      }
      const back = await read(await direct(server), digestOf(edited), edited.length);
      expect(back.equals(edited)).to.equal(true);
    }).timeout(20_000);
  }

  it('another server of the same store takes copies too', async () => {
    const server = await startRealServer();
    const bytes = seededBytes(12, 17 * MIB);
    const repository = await remote(server.origin, { pace: createShortPace() });
    await repository.blobs.put(sourceOf(bytes));
    const edited = Buffer.concat([bytes.subarray(0, 9 * MIB), bytes]);
    let restarting: Promise<void> | null = null;
    const onProgress = (): void => {
      restarting ??= server.restart();
    };
    const receipt = await repository.blobs.put(
      { ...sourceOf(edited), basis: [digestOf(bytes)] },
      { onProgress },
    );
    await restarting;
    // What lies across the seam, until cuts fall together again: how much that is depends on the pool's seed.
    expect(receipt.newBytes).to.be.at.most(MIB);
    const back = await read(await direct(server), digestOf(edited), edited.length);
    expect(back.equals(edited)).to.equal(true);
  }).timeout(20_000);

  it('the same file under another name stores nothing', async () => {
    const server = await startRealServer();
    const { blobs } = await remote(server.origin);
    const bytes = seededBytes(6, 2 * MIB);
    await blobs.put(sourceOf(bytes, 'a.bin'));
    const before = await server.storedBytes();
    const receipt = await blobs.put(sourceOf(bytes, 'b.bin'));
    expect(receipt.newBytes).to.equal(0);
    expect(await server.storedBytes()).to.equal(before);
  });

  for (const sizeBytes of [0, 1, 16 * KIB, 16 * KIB + 1, 64 * KIB, 256 * KIB, 256 * KIB + 1]) {
    it(`${sizeBytes} bytes come back as they were`, async () => {
      const server = await startRealServer();
      const repository = await remote(server.origin);
      const bytes = seededBytes(7, sizeBytes);
      await repository.blobs.put(sourceOf(bytes));
      expect((await read(repository, digestOf(bytes), sizeBytes)).equals(bytes)).to.equal(true);
      expect(await repository.blobs.has([digestOf(bytes)])).to.deep.equal(
        new Map([[digestOf(bytes), sizeBytes]]),
      );
    });
  }

  it('hundreds of small files take a handful of requests', async () => {
    const server = await startRealServer();
    const { blobs } = await remote(server.origin);
    const sources = Array.from({ length: 300 }, (_, index) =>
      sourceOf(seededBytes(1000 + index, 5 * KIB)),
    );
    let receipt = EMPTY_RECEIPT;
    for await (const outcome of blobs.putMany(sources)) {
      if ('error' in outcome) throw outcome.error;
      receipt = addReceipts(receipt, outcome.receipt);
    }
    expect(receipt.fileCount).to.equal(300);
    expect(receipt.newBytes).to.equal(300 * 5 * KIB);
    expect(receipt.packCount).to.equal(1);
    expect(receipt.requestCount).to.be.at.most(5);
  });

  it('a server that is replaced in the middle of a push is not noticed', async () => {
    const server = await startRealServer();
    const { blobs } = await remote(server.origin, {
      packSizeMaxBytes: MIB,
      pace: createShortPace(),
    });
    const bytes = seededBytes(8, 6 * MIB);
    let restarting: Promise<void> | null = null;
    await blobs.put(sourceOf(bytes), {
      onProgress: (_oid, doneBytes) => {
        if (doneBytes > 2 * MIB) restarting ??= server.restart();
      },
    });
    await restarting;
    expect(restarting).not.to.equal(null);
    const back = await read(await direct(server), digestOf(bytes), bytes.length);
    expect(back.equals(bytes)).to.equal(true);
  });

  for (const cutAfter of [300, 5_000, 100_000, 1_000_000]) {
    it(`uploads although connections are cut after ${cutAfter} bytes, downloads too`, async () => {
      const server = await startRealServer();
      const relay = await startRelay(server.origin, (connection) =>
        connection % 3 === 2 ? null : { up: cutAfter, down: cutAfter },
      );
      const repository = await remote(relay.origin);
      const bytes = seededBytes(9, 3 * MIB);
      await repository.blobs.put(sourceOf(bytes));
      const back = await read(repository, digestOf(bytes), bytes.length);
      expect(back.equals(bytes)).to.equal(true);
      expect(relay.cutCount).to.be.greaterThan(0);
    });
  }

  it('a whole push is recorded through the server and read straight from the store', async () => {
    const server = await startRealServer();
    const repository = await remote(server.origin);
    const entries = Array.from({ length: 2_000 }, (_, index) => entryOf(`data/${index}.csv`));
    const commit = createSyntheticCommit({
      message: 'March readings',
      author: { name: 'Ada', mail: 'ada@acme.io' },
      at: new Date('2026-03-01T00:00:00Z'),
      parents: [],
      treeLabel: '00',
    });
    const request = {
      ...commit,
      entries,
      rules: { recorder: 1, config: null },
      pointerExtensions: [],
    };
    const recorded = await recordBundle(repository, request);
    expect(recorded.newPages).to.be.greaterThan(0);
    const ref = {
      ref: 'refs/heads/main',
      gitOld: null,
      gitNew: recorded.descriptor.commit,
      bundle: recorded.bundle,
      totals: recorded.totals,
      extraOids: null,
      missing: [],
      forced: false,
    };
    const push = { pushId: pushIdOf('1'), remote: REMOTE, pushedBy: 'Ada', receipt: FREE_RECEIPT };
    const { history } = repository;
    await history.announce({ ...push, refs: [ref] });
    expect((await collectAll(history.pending())).map(({ pushId }) => pushId)).to.deep.equal([
      push.pushId,
    ]);
    expect(await history.recordMove({ ...push, ...ref })).to.equal('recorded');
    expect(await history.recordMove({ ...push, ...ref })).to.equal('already');
    await history.settle(push.pushId, 'confirmed');
    await history.setLabel('v1', recorded.bundle, 'ada');
    expect(await collectAll(history.pending())).to.deep.equal([]);

    const { history: near, pages } = await direct(server);
    expect(await near.getBundle(recorded.bundle)).to.deep.equal(recorded.descriptor);
    expect(await near.bundleOfCommit(ref.gitNew)).to.equal(recorded.bundle);
    expect(await history.bundleOfCommit(ref.gitNew)).to.equal(recorded.bundle);
    for (const list of ['branches', 'labels'] as const) {
      const here: unknown = await collectAll<unknown>(near[list]());
      expect(here).to.have.lengthOf(1);
      expect(await collectAll<unknown>(history[list]())).to.deep.equal(here);
    }
    const [branch] = await collectAll(history.branches());
    const name = branch?.event.branch ?? '';
    expect(await collectAll(history.branchLog(name))).to.deep.equal(
      await collectAll(near.branchLog(name)),
    );
    expect(await collectAll(history.branchLog('no such branch'))).to.deep.equal([]);
    expect(await history.findBundles(recorded.bundle.slice(0, 6), 5)).to.deep.equal([
      recorded.bundle,
    ]);
    expect(await history.findCommits(ref.gitNew.slice(0, 6), 5)).to.deep.equal([ref.gitNew]);
    const { tree } = recorded.descriptor;
    const page = await repository.pages.getPage(tree);
    expect(Buffer.from(page).equals(Buffer.from(await pages.getPage(tree)))).to.equal(true);
    expect((await recordBundle(repository, request)).newPages).to.equal(0);
  });

  it('asks once about pages, sends them in one pack and records them by one call', async () => {
    const server = await startRealServer();
    const repository = await remote(server.origin);
    const { receipt } = await recordBundle(repository, {
      ...createSyntheticCommit({
        message: 'one file',
        author: { name: 'Ada', mail: 'ada@acme.io' },
        at: new Date('2026-03-01T00:00:00Z'),
        parents: [],
        treeLabel: '00',
      }),
      entries: [entryOf('a.csv')],
      rules: { recorder: 1, config: null },
      pointerExtensions: [],
    });
    expect([receipt.packCount, receipt.requestCount]).to.deep.equal([1, 2]);
  });

  it('the token of a batch is enough to make the repo and fill it, and for nothing else', async () => {
    const server = await startRealServer({ anonymous: 'none' });
    const batch = {
      kind: 'datamon',
      subject: 'ada',
      repo: REPO,
      operation: 'upload',
      batch: 'b1',
    } as const;
    const token = mintActionToken(server.signing, batch, 60);
    const tokens = { get: async () => token, reject: async () => undefined };
    const repository = await remote(server.origin, { token: tokens });
    const bytes = seededBytes(10, 50 * KIB);
    await repository.blobs.put(sourceOf(bytes));
    const back = await read(await direct(server), digestOf(bytes), bytes.length);
    expect(back.equals(bytes)).to.equal(true);
    expect(await codeOf(collectAll(repository.history.branches()))).to.equal('FORBIDDEN');
  });

  it('without a token a server that asks for one is left alone, with the command to run', async () => {
    const server = await startRealServer({ anonymous: 'none' });
    const error = await errorOf(remote(server.origin));
    expect(error.code).to.equal('UNAUTHENTICATED');
    expect(error.hint).to.equal(`Run: datamon login ${server.origin}/${REPO}`);
  });

  it('locks and labels are the same through both doors', async () => {
    const server = await startRealServer();
    const repository = await remote(server.origin);
    const lock = await repository.locks.lock({ path: 'a.bin', owner: 'ada', ref: null });
    expect(await (await direct(server)).locks.list()).to.deep.equal([lock]);
    expect(await repository.locks.list()).to.deep.equal([lock]);
    const again = repository.locks.lock({ path: 'a.bin', owner: 'bob', ref: null });
    expect(await codeOf(again)).to.equal('LOCKED');
    await repository.locks.unlock({ id: lock.id, owner: lock.owner, force: false });
    expect(await repository.locks.list()).to.deep.equal([]);
  });

  it('lists the repos it holds', async () => {
    const server = await startRealServer();
    await remote(server.origin);
    const repos = await listRepositories(server.origin);
    expect(repos.map(({ repo }) => repo)).to.deep.equal([REPO]);
  });
});
