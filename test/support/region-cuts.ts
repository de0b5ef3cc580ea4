/**
 * Cuts a region off at moments that a seed picks, and holds the store to its promise: what was acknowledged with mode `sync` is in the
 * replica, is there after promotion, and all places are equal once the old home is back. For tests and for the soak.
 */
import type { Backend } from '../../core/backend/backend.ts';
import { bytesBody } from '../../core/backend/backend.ts';
import type { ReplicationMode } from '../../core/backend/replicated.ts';
import { collect } from '../../core/bytes.ts';
import { digestOf } from '../../core/digest.ts';
import { DatamonError } from '../../core/errors.ts';
import { bundleKey, type Key, type LogPrefix, parseRepoName } from '../../core/keys.ts';
import { openLog } from '../../core/log.ts';
import type { Random } from '../../core/random.ts';
import { rejoin } from '../../core/replication/membership.ts';
import { promote } from '../../core/replication/promote.ts';
import { text } from '../../core/shape.ts';
import { contents, ReplicaWorld } from './replica-world.ts';
import { seededBytes, splitmix64 } from './splitmix64.ts';

/** Logs and bundles of no meaning, so that the store's own code is all that runs. */
const LOG = 'things/' as LogPrefix;
const REPO = parseRepoName('team/data');
const WRITERS = 2;
const WRITES_EACH = 4;
/** About as many calls as the writers make. */
const CALLS_MAX = 300;
const LATENCY_MAX_TURNS = 6;

export interface CutOutcome {
  readonly seed: number;
  readonly acknowledged: number;
  readonly unknown: number;
}

/** What a broken promise is thrown as: its message is the line that replays it. */
export async function cutOnce(seed: number, mode: ReplicationMode = 'sync'): Promise<CutOutcome> {
  const chance = splitmix64(seed);
  const world = new ReplicaWorld({ random: seededRandom(seed) });
  world.prove = async (backend, key) => ((await backend.stat(key)) === null ? 'missing' : 'sound');
  const hasThird = chance() < 0.5;
  await world.pair(mode, hasThird ? ['b', 'c'] : ['b']);
  const acknowledged: string[] = [];
  const unknown: string[] = [];
  const work = { world, acknowledged, unknown };
  const cut = new Cut(work, {
    name: `${seed}-new`,
    chance,
    at: 1 + Math.floor(chance() * CALLS_MAX),
    // Either home is gone for everybody, or only for who promotes, while its writers reach some replica still.
    isPartition: chance() < 0.5,
    hasThird,
  });
  await Promise.all(
    Array.from({ length: WRITERS }, (_, n) => writeSome(work, `${seed}-${n}`, 'memory:a')),
  );
  await cut.over();
  await holdsAll(world, 'memory:b', acknowledged, `seed ${seed}: after promotion`);
  const before = acknowledged.length;
  await writeSome(work, `${seed}-after`, 'memory:b');
  if (acknowledged.length !== before + WRITES_EACH) {
    throw new Error(`seed ${seed}: the new home does not take writes`);
  }
  cut.heal();
  const names = hasThird ? ['home', 'c'] : ['home'];
  for (const name of names) {
    const { report } = await rejoin(world.membership, 'memory:b', name);
    if (!report.isEqual) throw new Error(`seed ${seed}: ${name} is not equal after the resync`);
  }
  await holdsAll(world, 'memory:b', acknowledged, `seed ${seed}: after the resync`);
  // What came home from the last one is not in the first yet.
  await rejoin(world.membership, 'memory:b', 'home');
  const [a, b] = await Promise.all([
    contents(world.place('memory:a')),
    contents(world.place('memory:b')),
  ]);
  if (JSON.stringify([...a]) !== JSON.stringify([...b])) {
    throw new Error(`seed ${seed}: bytes differ`);
  }
  return { seed, acknowledged: acknowledged.length, unknown: unknown.length };
}

/** So many turns of the loop pass, so that calls overtake each other. */
async function turns(count: number): Promise<void> {
  for (let n = 0; n < count; n += 1) await new Promise((next) => setImmediate(next));
}

interface Work {
  readonly world: ReplicaWorld;
  readonly acknowledged: string[];
  readonly unknown: string[];
}

/** The moment a region goes away and another is promoted; from then on somebody writes there. */
class Cut {
  readonly #world: ReplicaWorld;
  readonly #newWrites: () => Promise<void>;
  readonly #isPartition: boolean;
  readonly #hasThird: boolean;
  readonly #at: number;
  #calls = 0;
  #promotion: Promise<void> | null = null;

  constructor(
    work: Work,
    options: {
      readonly name: string;
      readonly chance: () => number;
      readonly at: number;
      readonly isPartition: boolean;
      readonly hasThird: boolean;
    },
  ) {
    this.#world = work.world;
    this.#newWrites = () => writeSome(work, options.name, 'memory:b');
    this.#at = options.at;
    this.#isPartition = options.isPartition;
    this.#hasThird = options.hasThird;
    for (const place of work.world.places.values()) {
      place.onCall = () => this.#count();
      place.latency = () => turns(Math.floor(options.chance() * LATENCY_MAX_TURNS));
    }
  }

  /** Waits for the promotion, forced now where its moment never came, and for what was written to the new home meanwhile. */
  async over(): Promise<void> {
    await (this.#promotion ?? this.#strike());
  }

  heal(): void {
    for (const place of this.#world.places.values()) {
      place.isCut = false;
      place.cutFor.clear();
    }
  }

  #count(): void {
    this.#calls += 1;
    if (this.#calls === this.#at && this.#promotion === null) void this.#strike();
  }

  #strike(): Promise<void> {
    const world = this.#world;
    if (!this.#isPartition) world.place('memory:a').isCut = true;
    world.place('memory:a').cutFor.add('promoter');
    // With a third member the old home may go on with it alone.
    if (this.#hasThird) world.place('memory:b').cutFor.add('writer');
    // The old home's writers are still at work, where they can.
    this.#promotion = promoteAs(world).then(this.#newWrites);
    return this.#promotion;
  }
}

/** The same ids in every run of a seed. */
function seededRandom(seed: number): Random {
  let offset = 0;
  return (count) => {
    offset += count;
    return seededBytes(seed, count, offset - count);
  };
}

async function promoteAs(world: ReplicaWorld): Promise<void> {
  const openMember = (url: string): Promise<Backend> => world.openAs('promoter', url);
  await promote({ ...world.membership, openMember }, 'memory:b');
}

/** Each write: an object, then an entry that names it. Acknowledged once both are. */
async function writeSome(
  { world, acknowledged, unknown }: Work,
  name: string,
  url: 'memory:a' | 'memory:b',
): Promise<void> {
  const who = url === 'memory:a' ? 'writer' : 'promoter';
  // One process: what it does not look at again it does not know.
  let opened: Backend | null = null;
  for (let n = 0; n < WRITES_EACH; n += 1) {
    const event = `${name}-${n}`;
    try {
      opened ??= await world.open(url, ['memory:b'], who);
      const backend = opened;
      const bytes = Buffer.from(event);
      await backend.putIfAbsent(bundleKey(REPO, digestOf(bytes)), bytesBody(bytes));
      await logOf(backend, world).update(() => event);
      acknowledged.push(event);
    } catch (error) {
      if (!(error instanceof DatamonError)) throw error;
      unknown.push(event);
    }
  }
}

const logOf = (backend: Backend, { random }: ReplicaWorld) =>
  openLog({ backend, prefix: LOG, random, parse: (event) => text(event, 'event') });

/** Straight from the place's own objects: whatever a reader could still ask elsewhere does not count. */
async function holdsAll(
  world: ReplicaWorld,
  url: string,
  expected: readonly string[],
  what: string,
): Promise<void> {
  const { raw } = world.place(url);
  const found = new Set<string>();
  for await (const { event } of logOf(raw, world).entries()) {
    if (found.has(event)) throw new Error(`${what}: ${event} stands twice`);
    found.add(event);
  }
  for (const event of expected) {
    if (!found.has(event)) throw new Error(`${what}: ${event} was acknowledged and is gone`);
    const key: Key = bundleKey(REPO, digestOf(Buffer.from(event)));
    const bytes = await collect(raw.get(key), 1000);
    if (bytes.toString() !== event) throw new Error(`${what}: ${key} holds other bytes`);
  }
}

/** `count` cuts from `seed` on; the first broken promise ends it. */
export async function runRegionCuts({
  seed,
  count,
  mode = 'sync',
  onCut = () => undefined,
}: {
  readonly seed: number;
  readonly count: number;
  /** With `async` the promise does not hold: for tests that it is seen to break. */
  readonly mode?: ReplicationMode;
  readonly onCut?: (outcome: CutOutcome) => void;
}): Promise<{ readonly acknowledged: number; readonly unknown: number }> {
  let acknowledged = 0;
  let unknown = 0;
  for (let n = 0; n < count; n += 1) {
    const outcome = await cutOnce(seed + n, mode);
    acknowledged += outcome.acknowledged;
    unknown += outcome.unknown;
    onCut(outcome);
  }
  return { acknowledged, unknown };
}
