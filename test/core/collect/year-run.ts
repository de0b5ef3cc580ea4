/**
 * A year of a pool with a clock of its own: pushes that share bytes, branches that come and go, files that no push ever names, and a
 * collection a week. Promise of what is run: nothing that a kept push has is ever lost, and what nobody names is gone in time.
 */
import { condemnPlan, makePlan, setPolicy, sweep } from '../../../core/collect/collector.ts';
import type { Digest } from '../../../core/digest.ts';
import { digestOf } from '../../../core/digest.ts';
import { blobOf } from '../../support/blob-of.ts';
import { type CollectWorld, makeCollectWorld, NAME } from '../../support/collect-world.ts';
import { seededBytes, splitmix64 } from '../../support/splitmix64.ts';
import { containerBytes } from './crash-run.ts';

export interface Year {
  readonly days: number;
  readonly pushes: number;
  readonly collections: number;
  /** Kept pushes of which something did not read. */
  readonly lost: readonly string[];
  /** Bytes at the largest, and at the end. */
  readonly peakBytes: number;
  readonly endBytes: number;
  /** Files no push named that are still there long after the policy and two graces. */
  readonly leaked: number;
}

const UNREFERENCED_DAYS = 14;
const HISTORY_DAYS = 30;

export async function oneYear(options: {
  readonly seed: number;
  readonly spoolDir: string;
  readonly days?: number;
}): Promise<Year> {
  const { days = 365, spoolDir, seed } = options;
  const random = splitmix64(seed);
  const below = (count: number): number => Math.floor(random() * count);
  const world = makeCollectWorld({ spoolDir });
  await world.push('main', { 'data.bin': seededBytes(1, 200_000) });
  await setPolicy(world.options, NAME, {
    ...{ unreferencedDays: UNREFERENCED_DAYS, historyDays: HISTORY_DAYS, by: 'ops' },
  });
  const heads = new Map<string, Digest>();
  const loose: { readonly oid: Digest; readonly day: number }[] = [];
  const lost: string[] = [];
  let pushes = 0;
  let collections = 0;
  let peakBytes = 0;
  for (let day = 0; day < days; day += 1) {
    world.pass(1);
    if (below(3) === 0) {
      const branch = ['main', 'wip', 'trial'][below(3)] ?? 'main';
      const base = seededBytes(1 + below(4), 200_000);
      const bytes = Buffer.concat([
        base.subarray(below(9) * 20_000),
        seededBytes(1000 + day, 60_000),
      ]);
      heads.set(branch, (await world.push(branch, { 'data.bin': bytes })).bundle);
      pushes += 1;
    }
    if (below(20) === 0 && heads.delete('wip')) await world.push('wip', null);
    if (below(10) === 0) loose.push({ oid: await putLoose(world, 50_000 + day), day });
    if (day % 7 === 6) {
      collections += 1;
      lost.push(...(await maintain(world, heads)).map((what) => `day ${day} ${what}`));
    }
    if (day % 30 === 0) peakBytes = Math.max(peakBytes, await containerBytes(world.memory));
  }
  world.pass(2);
  await sweep(world.options);
  const endBytes = await containerBytes(world.memory);
  const leaked = await countLeaked(world, loose, days);
  return { days, pushes, collections, lost, peakBytes, endBytes, leaked };
}

/** Deletes what was condemned last week, condemns anew, and reads every head back. What does not read. */
async function maintain(
  world: CollectWorld,
  heads: ReadonlyMap<string, Digest>,
): Promise<string[]> {
  const { options } = world;
  await sweep(options);
  await condemnPlan(options, await makePlan(options), { by: 'ops', limitPercent: 100 });
  const lost: string[] = [];
  for (const [branch, bundle] of heads) {
    await world.readBack(bundle).catch((error) => lost.push(`${branch}: ${error}`));
  }
  return lost;
}

async function putLoose(world: CollectWorld, seed: number): Promise<Digest> {
  const repository = await world.open();
  const bytes = seededBytes(seed, 30_000);
  await repository.blobs.put(blobOf(bytes));
  await repository.close();
  return digestOf(bytes);
}

/** Copying a record makes it young again, so one may outlive the policy by as much once or twice; never more. */
async function countLeaked(
  world: CollectWorld,
  loose: readonly { readonly oid: Digest; readonly day: number }[],
  days: number,
): Promise<number> {
  const old = loose.filter(({ day }) => days - day > 3 * UNREFERENCED_DAYS + 16);
  const repository = await world.open();
  const held = await repository.blobs.has(
    old.map(({ oid }) => oid),
    { broken: 'listed' },
  );
  await repository.close();
  return held.size;
}
