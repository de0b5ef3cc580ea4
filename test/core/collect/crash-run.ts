/**
 * A collector that is killed at each of its calls in turn, or meets a store that fails once, and the next one that goes on. Promise of
 * what is run: nothing kept is lost whenever that happens, and the run after it ends where an undisturbed one does.
 */
import type { Backend, Body } from '../../../core/backend/backend.ts';
import { createMemoryBackend } from '../../../core/backend/memory.ts';
import { collect } from '../../../core/bytes.ts';
import { DAY_MS } from '../../../core/cas/touch.ts';
import { condemnPlan, makePlan, setPolicy, sweep } from '../../../core/collect/collector.ts';
import type { PoolOptions } from '../../../core/collect/pool-survey.ts';
import type { Digest } from '../../../core/digest.ts';
import { DatamonError } from '../../../core/errors.ts';
import type { Key } from '../../../core/keys.ts';
import { secureRandom } from '../../../core/random.ts';
import { blobOf } from '../../support/blob-of.ts';
import { makeCollectWorld, NAME, POOL_NAME, readBundle } from '../../support/collect-world.ts';
import { seededBytes } from '../../support/splitmix64.ts';

export type Disturbance = 'killed before' | 'killed after' | 'fails once';

const BY = { by: 'ops', limitPercent: 100 };

/** A pool with what is kept, what may go, and what two pushes share; as bytes, so that any number of stores can be made of it. */
export interface Scene {
  readonly objects: readonly { readonly key: Key; readonly bytes: Buffer; readonly at: Date }[];
  readonly now: Date;
  readonly kept: readonly Digest[];
  readonly spoolDir: string;
}

export async function setScene(spoolDir: string): Promise<Scene> {
  const world = makeCollectWorld({ spoolDir });
  const shared = seededBytes(7, 400_000);
  const big = seededBytes(8, 4_500_000);
  const first = await world.push('main', { a: shared, b: seededBytes(9, 5000) });
  await world.push('wip', { c: Buffer.concat([shared, seededBytes(10, 9000)]), d: big });
  const second = await world.push('main', {
    a: shared,
    e: Buffer.concat([big.subarray(0, 200_000), shared]),
  });
  await setPolicy(world.options, NAME, { unreferencedDays: 7, historyDays: null, by: 'ops' });
  // Its entries are roots while history is kept; only what no ref ever named may go.
  const loose = await world.open();
  for (let seed = 20; seed < 23; seed += 1) {
    const bytes = seededBytes(seed, 300_000);
    await loose.blobs.put(blobOf(bytes));
  }
  await loose.close();
  world.pass(20);
  const objects: { key: Key; bytes: Buffer; at: Date }[] = [];
  for await (const { key, sizeBytes, createdAt } of world.memory.list('')) {
    const bytes = await collect(world.memory.get(key), sizeBytes);
    objects.push({ key, bytes, at: createdAt });
  }
  const kept = [first.bundle, second.bundle];
  return { objects, now: world.clock.now, kept, spoolDir };
}

export interface Stage {
  readonly backend: Backend;
  readonly clock: { now: Date };
}

export async function stageOf({ objects, now }: Scene): Promise<Stage> {
  const clock = { now };
  const backend = createMemoryBackend({ now: () => clock.now });
  for (const { key, bytes, at } of objects) {
    clock.now = at;
    await backend.putIfAbsent(key, bodyOf(bytes));
  }
  clock.now = now;
  return { backend, clock };
}

const bodyOf = (bytes: Buffer): Body => ({
  sizeBytes: bytes.length,
  async *open() {
    yield bytes;
  },
});

/** Calls are counted from 1; from call `nth` on the store is gone, or call `nth` alone fails. */
export function disturbed(
  backend: Backend,
  how: Disturbance,
  nth: number,
): { readonly backend: Backend; readonly calls: () => number } {
  let calls = 0;
  const gone = (): DatamonError => new DatamonError('UNAVAILABLE', `${how} at call ${nth}`);
  const begin = (): void => {
    calls += 1;
    const isHit =
      how === 'fails once' ? calls === nth : calls >= nth + (how === 'killed after' ? 1 : 0);
    if (isHit) throw gone();
  };
  const end = (): void => {
    if (how === 'killed after' && calls >= nth) throw gone();
  };
  const answer = async <T>(call: () => Promise<T>): Promise<T> => {
    begin();
    const value = await call();
    end();
    return value;
  };
  return {
    calls: () => calls,
    backend: {
      url: backend.url,
      putIfAbsent: (key, body) => answer(() => backend.putIfAbsent(key, body)),
      stat: (key) => answer(() => backend.stat(key)),
      remove: (key) => answer(() => backend.remove(key)),
      now: () => answer(() => backend.now()),
      async *get(key, range) {
        begin();
        yield* backend.get(key, range);
      },
      async *list(prefix, after) {
        begin();
        yield* backend.list(prefix, after);
      },
    },
  };
}

export const optionsOf = (
  backend: Backend,
  { spoolDir }: Pick<Scene, 'spoolDir'>,
): PoolOptions => ({
  ...{ backend, pool: POOL_NAME, spoolDir },
  random: secureRandom,
});

/** Plan, condemn, wait, sweep. `phase` gets the disturbed store, the others the true one. */
export async function collectOnce(
  scene: Scene,
  stage: Stage,
  phase: 'plan and condemn' | 'sweep' | null,
  disturbance: { readonly how: Disturbance; readonly nth: number },
): Promise<number> {
  const bad = disturbed(stage.backend, disturbance.how, disturbance.nth);
  const good = optionsOf(stage.backend, scene);
  const first = phase === 'plan and condemn' ? optionsOf(bad.backend, scene) : good;
  await quietly(async () => condemnPlan(first, await makePlan(first), BY));
  if (phase === 'plan and condemn') {
    await mustRead(scene, stage.backend);
    await condemnPlan(good, await makePlan(good), BY);
  }
  stage.clock.now = new Date(stage.clock.now.getTime() + 1.01 * DAY_MS);
  const second = phase === 'sweep' ? optionsOf(bad.backend, scene) : good;
  await quietly(() => sweep(second));
  if (phase === 'sweep') {
    await mustRead(scene, stage.backend);
    await sweep(good);
  }
  await mustRead(scene, stage.backend);
  return bad.calls();
}

async function quietly(work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof DatamonError)) throw error;
  }
}

export async function mustRead({ kept, spoolDir }: Scene, backend: Backend): Promise<void> {
  for (const bundle of kept) await readBundle({ backend, spoolDir }, bundle);
}

/** Bytes of packs and segments. */
export async function containerBytes(backend: Backend): Promise<number> {
  let sum = 0;
  for await (const { key, sizeBytes } of backend.list('')) {
    if (/\/(packs|segments)\//.test(key)) sum += sizeBytes;
  }
  return sum;
}

/** Kills, or fails, at every `stride`th call of both phases. How many ways that were, and the largest leftover beyond an undisturbed run. */
export async function disturbEverywhere(
  scene: Scene,
  stride: number,
): Promise<{ readonly ways: number; readonly leftoverBytes: number }> {
  const calm = await stageOf(scene);
  await collectOnce(scene, calm, null, { how: 'fails once', nth: 0 });
  const calmBytes = await containerBytes(calm.backend);
  let ways = 0;
  let leftoverBytes = 0;
  for (const phase of ['plan and condemn', 'sweep'] as const) {
    const probe = await collectOnce(scene, await stageOf(scene), phase, {
      how: 'fails once',
      nth: 0,
    });
    for (const how of ['killed before', 'killed after', 'fails once'] as const) {
      for (let nth = 1; nth <= probe; nth += stride) {
        const stage = await stageOf(scene);
        await collectOnce(scene, stage, phase, { how, nth });
        // What a killed run copied and never named is an orphan until the next cycle.
        const options = optionsOf(stage.backend, scene);
        for (let cycle = 0; cycle < 2; cycle += 1) {
          stage.clock.now = new Date(stage.clock.now.getTime() + 1.01 * DAY_MS);
          await condemnPlan(options, await makePlan(options), BY);
          stage.clock.now = new Date(stage.clock.now.getTime() + 1.01 * DAY_MS);
          await sweep(options);
        }
        await mustRead(scene, stage.backend);
        ways += 1;
        leftoverBytes = Math.max(leftoverBytes, (await containerBytes(stage.backend)) - calmBytes);
      }
    }
  }
  return { ways, leftoverBytes };
}
