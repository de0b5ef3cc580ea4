/** Collection when things go wrong: killed anywhere, a store that fails, lists wrongly or is damaged. It fails, and deletes nothing that lives. */
import { expect } from 'chai';
import { type Backend, bytesBody } from '../../../core/backend/backend.ts';
import { collect } from '../../../core/bytes.ts';
import { condemnPlan, makePlan, sweep } from '../../../core/collect/collector.ts';
import type { Key } from '../../../core/keys.ts';
import { codeOf } from '../../support/code-of.ts';
import { makeTempDir } from '../../support/temp-dir.ts';
import {
  disturbEverywhere,
  mustRead,
  optionsOf,
  type Scene,
  type Stage,
  setScene,
  stageOf,
} from './crash-run.ts';

const ALL = { by: 'ops', limitPercent: 100 };

describe('collection, disturbed', function () {
  this.timeout(120_000);
  let scene: Scene;
  let stage: Stage;

  beforeEach(async () => {
    scene = await setScene(await makeTempDir());
    stage = await stageOf(scene);
  });

  it('killed or failing at its calls, it loses nothing and the next run ends the same (F40 F41)', async () => {
    const { ways, leftoverBytes } = await disturbEverywhere(scene, 9);
    expect(ways).greaterThan(20);
    // Segments of runs that began again have other ids, records and padding; packs of data would be far larger.
    expect(leftoverBytes).lessThan(20_000);
  });

  const damage = async (pick: (key: string) => boolean): Promise<Key> => {
    for await (const { key, sizeBytes } of stage.backend.list('')) {
      if (!pick(key)) continue;
      const bytes = await collect(stage.backend.get(key), sizeBytes);
      const at = Math.max(0, bytes.length - 100);
      bytes[at] = (bytes[at] ?? 0) ^ 1;
      await stage.backend.remove(key);
      await stage.backend.putIfAbsent(key, bytesBody(bytes));
      return key;
    }
    throw new Error('nothing to damage');
  };

  const objectCount = async (backend: Backend): Promise<number> => {
    let count = 0;
    for await (const _ of backend.list('')) count += 1;
    return count;
  };

  for (const [what, part] of [
    ['a branch entry', '/branches/'],
    ['a bundle', '/bundles/'],
    ['a segment', '/segments/'],
    ['a commit’s entry', '/commits/'],
    ['the log of condemned containers', '/gc/'],
    ['the description of a repo', 'repo.json'],
  ] as const) {
    it(`with ${what} damaged nothing is condemned or deleted (F40)`, async () => {
      const plan = await makePlan(optionsOf(stage.backend, scene));
      await damage((key) => key.includes(part));
      const before = await objectCount(stage.backend);
      const options = optionsOf(stage.backend, scene);
      expect(await codeOf(makePlan(options))).equal('CORRUPT');
      expect(await codeOf(condemnPlan(options, plan, ALL))).equal('CORRUPT');
      expect(await objectCount(stage.backend)).equal(before);
    });
  }

  it('damaged between condemning and deleting, nothing is deleted (F40)', async () => {
    const options = optionsOf(stage.backend, scene);
    await condemnPlan(options, await makePlan(options), ALL);
    stage.clock.now = new Date(stage.clock.now.getTime() + 2 * 24 * 60 * 60 * 1000);
    await damage((key) => key.includes('/branches/'));
    const before = await objectCount(stage.backend);
    expect(await codeOf(sweep(options))).equal('CORRUPT');
    expect(await objectCount(stage.backend)).equal(before);
  });

  const listing = (
    change: (keys: AsyncIterable<{ key: Key }>) => AsyncIterable<never>,
  ): Backend => ({
    ...stage.backend,
    list: (prefix, after) =>
      /segments|packs/.test(prefix)
        ? change(stage.backend.list(prefix, after))
        : stage.backend.list(prefix, after),
  });

  it('a listing that repeats itself is not believed (F40)', async () => {
    const backend = listing(async function* (keys) {
      for await (const each of keys) {
        yield each as never;
        yield each as never;
      }
    });
    expect(await codeOf(makePlan(optionsOf(backend, scene)))).equal('CORRUPT');
  });

  it('a listing that shows a segment once and then no more is not believed (F40)', async () => {
    let calls = 0;
    const backend = listing(async function* (keys) {
      calls += 1;
      let first = true;
      for await (const each of keys) {
        if (!(first && calls % 3 === 0)) yield each as never;
        first = false;
      }
    });
    expect(await codeOf(makePlan(optionsOf(backend, scene)))).equal('UNAVAILABLE');
  });

  it('undisturbed, it frees what nothing names and keeps the rest', async () => {
    const options = optionsOf(stage.backend, scene);
    const plan = await makePlan(options);
    expect(plan.dropped.recordCount).equal(3);
    await condemnPlan(options, plan, ALL);
    stage.clock.now = new Date(stage.clock.now.getTime() + 2 * 24 * 60 * 60 * 1000);
    expect((await sweep(options)).deletedCount).greaterThan(0);
    await mustRead(scene, stage.backend);
  });
});
