/**
 * Runs the model under seeded schedules: writers, two collectors, merging, refs, a clock that jumps and a replica, each of which may
 * pause for ever between any two requests. `runModel` tells which schedule broke it; a million of them take minutes.
 */
import { collect } from './model-collector.ts';
import { type Replica, replicate } from './model-replica.ts';
import { Broken, CHUNKS_OF, GRACE, ModelStore, UNREFERENCED } from './model-store.ts';
import type { Variant } from './model-variants.ts';
import {
  type Actor,
  deleteBranch,
  label,
  type ModelRandom,
  merge,
  push,
  type World,
} from './model-writers.ts';

export interface ModelOptions {
  readonly seed: number;
  readonly schedules: number;
  /** The first of them; 0 without it. */
  readonly first?: number;
  readonly variant?: Variant;
}

/** One schedule alone, to be looked into. */
export function runOne(seed: number, schedule: number, variant: Variant = 'right'): number {
  return runSchedule(createDice(seed, schedule), variant);
}

export interface ModelResult {
  readonly schedules: number;
  readonly steps: number;
  /** Null: nothing was lost. */
  readonly broken: { readonly schedule: number; readonly why: string } | null;
}

const STEP_COUNT_MAX = 300;

/** Schedule `k` of seed `s` is the same whatever came before it. */
export function runModel(options: ModelOptions): ModelResult {
  const { seed, schedules, first = 0, variant = 'right' } = options;
  let steps = 0;
  for (let schedule = first; schedule < first + schedules; schedule += 1) {
    try {
      steps += runSchedule(createDice(seed, schedule), variant);
    } catch (error) {
      if (!(error instanceof Broken)) throw error;
      return { schedules: schedule + 1 - first, steps, broken: { schedule, why: error.message } };
    }
  }
  return { schedules, steps, broken: null };
}

interface Player {
  readonly actor: Actor;
  weight: number;
}

function runSchedule(random: ModelRandom, variant: Variant): number {
  const store = new ModelStore();
  const world: World = { store, random, variant };
  seedStore(world);
  const replica: Replica = { store: new ModelStore(), safe: new Map() };
  const players = cast(world, replica).map((actor) => ({ actor, weight: weightOf(random) }));
  let steps = 0;
  // The clock never ends; a schedule does once nobody else is left, or everybody had many turns.
  for (; players.length > 1 && steps < STEP_COUNT_MAX; steps += 1) {
    const at = pick(players, random);
    const player = players[at] as Player;
    if (player.actor.next().done === true) players.splice(at, 1);
    // Now and then somebody falls asleep or wakes up.
    else if (random.below(16) === 0) player.weight = weightOf(random);
  }
  store.judge();
  judgeReplica(world, replica);
  return steps;
}

/** An old pack and segment with files that no ref names, and one that a branch has. */
function seedStore({ store, random }: World): void {
  for (let oid = 0; oid < CHUNKS_OF.length; oid += 1) {
    if (random.below(3) === 0) continue;
    const chunks = CHUNKS_OF[oid] ?? [];
    const inline = random.below(2) === 0;
    const segment = store.newId();
    const home = inline ? segment : store.newId();
    if (!inline) store.create({ id: home, kind: 'pack', chunks, records: [], replaces: [] });
    const runs = chunks.map((chunk) => ({ container: home, chunk }));
    const records = [{ oid, runs }];
    store.create({
      id: segment,
      kind: 'segment',
      chunks: inline ? chunks : [],
      records,
      replaces: [],
    });
    if (random.below(2) === 0) {
      store.lastAck.set(oid, 0);
      const root = { kind: 'branch' as const, name: oid % 2, oids: [oid], covered: [oid] };
      store.addRoot({ ...root, at: 0, done: true });
    }
  }
  if (random.below(3) > 0) store.policySince = 0;
  store.now += random.below(3) * (UNREFERENCED / 2 + 30);
}

function cast(world: World, replica: Replica): Actor[] {
  const { random } = world;
  const some = (): number[] => CHUNKS_OF.map((_, oid) => oid).filter(() => random.below(2) === 0);
  const actors: Actor[] = [
    collect(world),
    collect(world),
    clock(world),
    push(world, some(), 0),
    push(world, [random.below(CHUNKS_OF.length)], 1),
  ];
  if (random.below(2) === 0) actors.push(merge(world), merge(world));
  if (random.below(2) === 0) actors.push(push(world, some(), 0));
  if (random.below(3) === 0) actors.push(deleteBranch(world, random.below(2)));
  if (random.below(3) === 0) actors.push(label(world, 7));
  if (random.below(4) === 0) actors.push(collect(world));
  if (random.below(4) === 0 || world.variant === 'replica deletes first') {
    actors.push(replicate(world, replica));
  }
  return actors;
}

/** Hours, days; also the policy being switched on. */
function* clock({ store, random }: World): Actor {
  for (;;) {
    store.now += [1, GRACE / 2, GRACE + 1, UNREFERENCED / 2 + 1][random.below(4)] ?? 1;
    if (store.policySince === null && random.below(8) === 0) store.policySince = store.now;
    yield;
  }
}

/** The home is gone: what was acknowledged before a whole round of copying began has to read from the replica. */
function judgeReplica({ store }: World, replica: Replica): void {
  for (const [oid, at] of replica.safe) {
    // What may go at home may go here; what was acknowledged anew since is not promised to be here yet.
    if (!store.mustKeep(oid) || store.lastAck.get(oid) !== at || replica.store.reads(oid)) continue;
    throw new Broken(`${oid} is lost with the home: the replica does not have it`);
  }
}

const weightOf = (random: ModelRandom): number => [1, 12, 60][random.below(3)] ?? 1;

function pick(players: readonly Player[], random: ModelRandom): number {
  let sum = 0;
  for (const { weight } of players) sum += weight;
  let left = random.below(sum);
  for (let at = 0; at < players.length; at += 1) {
    left -= players[at]?.weight ?? 0;
    if (left < 0) return at;
  }
  return players.length - 1;
}

/** mulberry32: small, and good enough to roll dice with. */
function createDice(seed: number, schedule: number): ModelRandom {
  let state = (Math.imul(seed, 0x9e3779b1) ^ Math.imul(schedule + 1, 0x85ebca6b)) >>> 0;
  return {
    below(count) {
      state = (state + 0x6d2b79f5) >>> 0;
      let mixed = Math.imul(state ^ (state >>> 15), state | 1);
      mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
      return ((mixed ^ (mixed >>> 14)) >>> 0) % count;
    },
  };
}
