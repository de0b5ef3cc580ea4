/** What tests stand on is tested too: seeded bytes, planned faults, the file system that forgets. */
import { readdir, stat } from 'node:fs/promises';
import { expect } from 'chai';
import { createMemoryBackend } from '../../core/backend/memory.ts';
import { collect } from '../../core/bytes.ts';
import { asKey, listed, put, readText } from '../conformance/bodies.ts';
import { codeOf } from './code-of.ts';
import { CrashFs } from './crash-fs.ts';
import { createFaultyBackend, FaultPlan } from './faulty-backend.ts';
import { seededBytes, seededStream, splitmix64 } from './splitmix64.ts';
import { makeTempDir, withTempDir } from './temp-dir.ts';

/** The algorithm as it is published, one number after the other. */
function splitmixBytes(seed: number, sizeBytes: number): Buffer {
  const mask = (1n << 64n) - 1n;
  const bytes = Buffer.alloc(Math.ceil(sizeBytes / 8) * 8);
  let state = BigInt(seed);
  for (let offset = 0; offset < bytes.length; offset += 8) {
    state = (state + 0x9e3779b97f4a7c15n) & mask;
    let mixed = ((state ^ (state >> 30n)) * 0xbf58476d1ce4e5b9n) & mask;
    mixed = ((mixed ^ (mixed >> 27n)) * 0x94d049bb133111ebn) & mask;
    bytes.writeBigUInt64LE(mixed ^ (mixed >> 31n), offset);
  }
  return bytes.subarray(0, sizeBytes);
}

describe('seeded bytes', () => {
  it('are splitmix64', () => {
    // First outputs for seed 1234567, as published with the algorithm.
    const words = [0x599ed017fb08fc85n, 0x2c73f08458540fa5n, 0x883ebce5a3f27c77n];
    const bytes = seededBytes(1_234_567, 24);
    expect([0, 8, 16].map((at) => bytes.readBigUInt64LE(at))).to.deep.equal(words);
    for (const seed of [0, 7, 2 ** 32, 2 ** 52 + 1]) {
      expect(seededBytes(seed, 1003).equals(splitmixBytes(seed, 1003)), `seed ${seed}`).to.equal(
        true,
      );
    }
  });

  it('can be made from anywhere, whole or as a stream', async () => {
    const all = seededBytes(3, 700_000);
    for (const start of [0, 1, 7, 8, 9, 262_143, 262_145]) {
      expect(seededBytes(3, 1000, start).equals(all.subarray(start, start + 1000))).to.equal(true);
      const stream = await collect(seededStream(3, 600_000 - start, start), 700_000);
      expect(stream.equals(all.subarray(start, 600_000))).to.equal(true);
    }
  });

  it('differ by seed, as do numbers', () => {
    expect(seededBytes(1, 8).equals(seededBytes(2, 8))).to.equal(false);
    const [one, again] = [splitmix64(5), splitmix64(5)];
    const numbers = Array.from({ length: 100 }, one);
    expect(numbers).to.deep.equal(Array.from({ length: 100 }, again));
    expect(new Set(numbers).size).to.equal(100);
    for (const number of numbers) expect(number).to.be.within(0, 0.9999999999);
  });
});

describe('planned faults', () => {
  it('happen at the call they are planned for, once', async () => {
    const plan = new FaultPlan().fail('stat', 2).loseAcknowledgement('remove', 1);
    const memory = createMemoryBackend();
    const backend = createFaultyBackend(memory, plan);
    await put(memory, 'a', 'b');
    expect(plan.describe()).to.equal('stat 2: fail\nremove 1: lose acknowledgement');
    await backend.stat(asKey('a'));
    expect(await codeOf(backend.stat(asKey('a')))).to.equal('UNAVAILABLE');
    await backend.stat(asKey('a'));
    expect(await codeOf(backend.remove(asKey('a')))).to.equal('UNAVAILABLE');
    expect(await listed(memory, '')).to.deep.equal(['b']);
    expect(plan.describe()).to.equal('');
  });

  it('cut reads, flip bits and hide keys', async () => {
    const plan = new FaultPlan()
      .cutRead(1, 2, null)
      .cutRead(2, 2)
      .flipBit(3, 9)
      .staleList(1, (key) => key === 'a');
    const memory = createMemoryBackend();
    const backend = createFaultyBackend(memory, plan);
    await put(memory, 'a', 'b', 'abcd');
    expect(await readText(backend, 'abcd')).to.equal('ab');
    expect(await codeOf(readText(backend, 'abcd'))).to.equal('UNAVAILABLE');
    expect(await readText(backend, 'abcd')).to.equal('a`cd');
    expect(await listed(backend, '')).to.deep.equal(['abcd', 'b']);
    expect(await listed(backend, '')).to.deep.equal(['a', 'abcd', 'b']);
  });

  it('end lists early or repeat them', async () => {
    const memory = createMemoryBackend();
    await put(memory, 'a', 'b', 'c');
    const plan = new FaultPlan().partialList(1, 2).repeatingList(2).partialList(3, 0);
    const backend = createFaultyBackend(memory, plan);
    expect(await listed(backend, '')).to.deep.equal(['a', 'b']);
    expect(await listed(backend, '')).to.deep.equal(['a', 'a', 'b', 'b', 'c', 'c']);
    expect(await listed(backend, '')).to.deep.equal([]);
  });

  it('befall every kth call, or a share of them by seed, and tell the line that replays them', async () => {
    const run = async (plan: FaultPlan): Promise<number[]> => {
      const backend = createFaultyBackend(createMemoryBackend(), plan);
      const failed: number[] = [];
      for (let nth = 1; nth <= 400; nth += 1) {
        await backend.stat(asKey('a')).catch(() => failed.push(nth));
        await backend.now();
      }
      return failed;
    };
    const every = new FaultPlan().failEvery(100);
    expect(await run(every)).to.deep.equal([100, 200, 300, 400]);
    expect(every.replay()).to.match(/^stat 100: fail; stat 200: fail; /);
    const half = await run(new FaultPlan().failShare(0.5, 3));
    expect(half).to.have.length.within(160, 240);
    expect(await run(new FaultPlan().failShare(0.5, 3))).to.deep.equal(half);
    expect(await run(new FaultPlan().failShare(0.5, 4))).to.not.deep.equal(half);
    expect(await run(new FaultPlan().failShare(0.99, 3))).to.have.length.within(385, 400);
    expect(new FaultPlan().failShare(0.5, 3).describe()).to.contain('50 %').and.contain('seed 3');
  });

  it('of a share fail calls before and after they were done', async () => {
    const memory = createMemoryBackend();
    const backend = createFaultyBackend(memory, new FaultPlan().failShare(1, 1));
    for (let n = 0; n < 40; n += 1) await codeOf(put(backend, `k/${n}`));
    expect((await listed(memory, '')).length).to.be.within(10, 30);
  });

  it('delay a call until they are let', async () => {
    let openGate = (): void => {};
    const gate = new Promise<void>((resolve) => {
      openGate = resolve;
    });
    const backend = createFaultyBackend(
      createMemoryBackend(),
      new FaultPlan().delay('now', 1, gate),
    );
    let done = false;
    const work = backend.now().then(() => {
      done = true;
    });
    await backend.stat(asKey('a'));
    expect(done).to.equal(false);
    openGate();
    await work;
    expect(done).to.equal(true);
  });
});

describe('the file system that forgets', () => {
  async function written(sync: boolean, syncFolder: boolean): Promise<CrashFs> {
    const fs = new CrashFs('/d');
    const file = await fs.open('/d/f', 'create');
    await file.write(Buffer.from('xxxx'));
    await file.write(Buffer.from('yyyy'));
    if (sync) await file.sync();
    const folder = await fs.open('/d', 'folder');
    if (syncFolder) await folder.sync();
    return fs;
  }

  it('forgets a name whose folder was not fsynced, and bytes that were not', async () => {
    const names = async (fs: CrashFs) => (await fs.crashed('synced').readFolder('/d')).length;
    const size = async (fs: CrashFs) => (await fs.crashed('synced').stat('/d/f')).sizeBytes;
    expect(await names(await written(true, false))).to.equal(0);
    expect(await size(await written(false, true))).to.equal(0);
    expect(await size(await written(true, true))).to.equal(4);
    expect((await (await written(false, false)).crashed('all').stat('/d/f')).sizeBytes).to.equal(4);
  });

  it('leaves a random part of the rest', async () => {
    const fs = await written(false, false);
    const random = splitmix64(1);
    const lengths = new Set<number>();
    for (let n = 0; n < 50; n += 1) lengths.add((await fs.crashed(random).readFolder('/d')).length);
    expect([...lengths].toSorted()).to.deep.equal([0, 1]);
  });
});

describe('temporary folders', () => {
  let kept = '';

  it('exist while the test runs', async () => {
    kept = await makeTempDir();
    expect(await readdir(kept)).to.deep.equal([]);
  });

  it('are gone when the next one does, or the work is done', async () => {
    const used = await withTempDir(async (path) => path);
    for (const path of [kept, used]) {
      const error = await stat(path).catch((caught) => caught);
      expect(error).to.have.property('code', 'ENOENT');
    }
  });
});
