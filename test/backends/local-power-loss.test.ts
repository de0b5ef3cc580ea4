/** Power loss at every call a local store makes: what was acknowledged is there and whole, everything else is whole or absent. */
import { expect } from 'chai';
import { openLocalBackend } from '../../backends/local.ts';
import { type Backend, bytesBody } from '../../core/backend/backend.ts';
import type { LocalHost } from '../../core/local-host.ts';
import { asKey, listed, read } from '../conformance/bodies.ts';
import { CrashFs, type Survival } from '../support/crash-fs.ts';
import { seededBytes, splitmix64 } from '../support/splitmix64.ts';

const ROOT = '/data/store';
const RANDOM_LOSSES = 6;
const bytesOf = (key: string): Buffer => seededBytes(key.length, 10_000 + key.length);
const KEYS = ['repos/x/repo.json', 'repos/x/segments/0-a', 'repos/x/segments/0-b', 'format/1'];

/** A process that is dead once another one asks. */
const host = (pid: number): LocalHost => ({
  id: 'aaaaaaaaaaaa',
  pid,
  isAlive: async (other) => other === pid,
});

const open = (fs: CrashFs, pid: number): Promise<Backend> =>
  openLocalBackend(ROOT, { fs, host: host(pid) });

/** Puts all keys, one after another; returns those acknowledged before the power went. */
async function putAll(fs: CrashFs, keys: readonly string[]): Promise<string[]> {
  const acknowledged: string[] = [];
  try {
    const backend = await open(fs, 1);
    for (const key of keys) {
      await backend.putIfAbsent(asKey(key), bytesBody(bytesOf(key)));
      acknowledged.push(key);
    }
  } catch {
    // The power went.
  }
  return acknowledged;
}

function* survivals(seed: number): Iterable<readonly [string, Survival]> {
  yield ['synced', 'synced'];
  yield ['all', 'all'];
  for (let n = 0; n < RANDOM_LOSSES; n += 1) {
    yield [`random, seed ${seed * 1000 + n}`, splitmix64(seed * 1000 + n)];
  }
}

async function checkAfterLoss(fs: CrashFs, acknowledged: readonly string[]): Promise<void> {
  const backend = await open(fs, 9);
  const found = await listed(backend, '');
  expect(found).to.include.members([...acknowledged]);
  for (const key of found) {
    expect((await read(backend, key)).equals(bytesOf(key)), `${key} is whole`).to.equal(true);
  }
  const left = await fs.readFolder(`${ROOT}/tmp`).catch(() => []);
  expect(left, 'unfinished files are swept').to.deep.equal([]);
}

async function stepsOf(work: (fs: CrashFs) => Promise<unknown>): Promise<number> {
  const fs = new CrashFs('/data');
  await work(fs);
  return fs.steps.length;
}

const crashAt = (at: number) => (_step: string, index: number) =>
  index === at ? 'crash' : undefined;

describe('local backend, power loss', () => {
  it('keeps what was acknowledged, at every call of several puts', async () => {
    const total = await stepsOf((fs) => putAll(fs, KEYS));
    expect(total).to.be.greaterThan(40);
    for (let at = 0; at <= total; at += 1) {
      const fs = new CrashFs('/data');
      fs.fault = crashAt(at);
      const acknowledged = await putAll(fs, KEYS);
      for (const [name, survival] of survivals(at)) {
        try {
          await checkAfterLoss(fs.crashed(survival), acknowledged);
        } catch (error) {
          throw new Error(`lost before call ${at} (${fs.steps.at(-1)}), ${name}`, { cause: error });
        }
      }
    }
  });

  it('keeps what a second writer was told exists already', async () => {
    // The first writer has linked its file and goes no further; then the second puts the same key and is acknowledged.
    const fs = new CrashFs('/data');
    const outcomes: { created: boolean }[] = [];
    fs.afterStep = async (step) => {
      if (!step.startsWith('link') || outcomes.length > 0) return;
      fs.afterStep = async () => {};
      const second = await open(fs, 3);
      outcomes.push(await second.putIfAbsent(asKey('a/b/c'), bytesBody(bytesOf('a/b/c'))));
      fs.fault = () => 'crash';
    };
    await putAll(fs, ['a/b/c']);
    expect(outcomes).to.deep.equal([{ created: false }]);
    for (const [, survival] of survivals(1)) {
      await checkAfterLoss(fs.crashed(survival), ['a/b/c']);
    }
  });

  it('keeps what stands in folders that another writer made and has not fsynced', async () => {
    const fs = new CrashFs('/data');
    let acknowledged = false;
    fs.afterStep = async (step) => {
      if (step !== `mkdir ${ROOT}/a/b`) return;
      fs.afterStep = async () => {};
      const second = await open(fs, 3);
      await second.putIfAbsent(asKey('a/b/other'), bytesBody(bytesOf('a/b/other')));
      acknowledged = true;
      fs.fault = () => 'crash';
    };
    await putAll(fs, ['a/b/c']);
    expect(acknowledged).to.equal(true);
    await checkAfterLoss(fs.crashed('synced'), ['a/b/other']);
  });

  it('survives a power loss at every call of the opening that follows a power loss', async () => {
    const before = new CrashFs('/data');
    before.fault = (step) =>
      step.startsWith('link') && step.endsWith('0-b') ? 'crash' : undefined;
    const acknowledged = await putAll(before, KEYS);
    expect(acknowledged).to.have.length(2);
    const survivor = before.crashed('all');
    await open(survivor, 2);
    for (let at = 0; at <= survivor.steps.length; at += 1) {
      const fs = before.crashed('all');
      fs.fault = crashAt(at);
      await open(fs, 2).catch(() => {});
      await checkAfterLoss(fs.crashed('all'), acknowledged);
      await checkAfterLoss(fs.crashed('synced'), acknowledged);
    }
  });

  it('stores again what was not acknowledged, whatever the power loss left of it', async () => {
    const total = await stepsOf((fs) => putAll(fs, ['a/b/c']));
    for (let at = 0; at < total; at += 1) {
      const fs = new CrashFs('/data');
      fs.fault = crashAt(at);
      await putAll(fs, ['a/b/c']);
      for (const [, survival] of survivals(at)) {
        const after = fs.crashed(survival);
        expect(await putAll(after, ['a/b/c'])).to.deep.equal(['a/b/c']);
        await checkAfterLoss(after.crashed('synced'), ['a/b/c']);
      }
    }
  });

  it('does not bring back what was removed', async () => {
    const fs = new CrashFs('/data');
    await putAll(fs, KEYS);
    const backend = await open(fs, 1);
    await backend.remove(asKey('format/1'));
    const after = await open(fs.crashed('synced'), 2);
    expect(await listed(after, 'format/')).to.deep.equal([]);
  });
});
