/**
 * Cuts a region off at moments that a seed picks, and holds the store to its promise: what was acknowledged with mode `sync` is in the
 * replica, is there after promotion, and all places are equal once the old home is back. For tests and for the soak.
 */
import type { Backend } from '../../core/backend/backend.ts';
import { bytesBody } from '../../core/backend/backend.ts';
import { collect } from '../../core/bytes.ts';
import { DatamonError } from '../../core/errors.ts';
import { bundleKey, type Key, type LogPrefix, parseRepoName } from '../../core/keys.ts';
import { digestOf } from '../../core/digest.ts';
import { openLog } from '../../core/log.ts';
import { rejoin } from '../../core/replication/membership.ts';
import { promote } from '../../core/replication/promote.ts';
import type { Random } from '../../core/random.ts';
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

export interface CutOutcome {
  readonly seed: number;
  readonly acknowledged: number;
  readonly unknown: number;
}

/** What a broken promise is thrown as: its message is the line that replays it. */
export async function cutOnce(seed: number): Promise<CutOutcome> {
  const chance = splitmix64(seed);
  const world = new ReplicaWorld({ random: seededRandom(seed) });
  world.prove = async (backend, key) => ((await backend.stat(key)) === null ? 'missing' : 'sound');
  await world.pair('sync');
  // The home is lost for good or comes back, the promotion reaches it or does not, while writers are at work.
  const cutAt = 1 + Math.floor(chance() * CALLS_MAX);
  const isPartition = chance() < 0.5;
  let calls = 0;
  let promotion: Promise<unknown> = Promise.resolve();
  const home = world.place('memory:a');
  const onCall = (): void => {
    calls += 1;
    if (calls !== cutAt) return;
    home.isCut = !isPartition;
    promotion = promoteWhileAway(world);
  };
  home.onCall = onCall;
  world.place('memory:b').onCall = onCall;
  const acknowledged: string[] = [];
  const unknown: string[] = [];
  const writers = Array.from({ length: WRITERS }, (_, n) =>
    writeSome(world, `${seed}-${n}`, acknowledged, unknown),
  );
  await Promise.all(writers);
  if (calls < cutAt) {
    calls = cutAt;
    home.isCut = true;
    promotion = promoteWhileAway(world);
  }
  await promotion;
  await holdsAll(world, 'memory:b', acknowledged, `seed ${seed}: after promotion`);
  const after: string[] = [];
  await writeSome(world, `${seed}-after`, after, unknown, 'memory:b');
  if (after.length !== WRITES_EACH) throw new Error(`seed ${seed}: the new home does not take writes`);
  home.isCut = false;
  const { report } = await rejoin({ ...world.membership }, 'memory:b', 'home');
  if (!report.isEqual) throw new Error(`seed ${seed}: not equal after the resync: ${JSON.stringify(report)}`);
  await holdsAll(world, 'memory:b', [...acknowledged, ...after], `seed ${seed}: after the resync`);
  const [a, b] = await Promise.all([contents(home), contents(world.place('memory:b'))]);
  if (JSON.stringify([...a]) !== JSON.stringify([...b])) throw new Error(`seed ${seed}: bytes differ`);
  return { seed, acknowledged: acknowledged.length, unknown: unknown.length };
}

/** The same ids in every run of a seed. */
function seededRandom(seed: number): Random {
  let offset = 0;
  return (count) => {
    offset += count;
    return seededBytes(seed, count, offset - count);
  };
}

/** Whoever promotes sees the old home as gone; its writers may still reach both. */
async function promoteWhileAway(world: ReplicaWorld): Promise<void> {
  const { openMember } = world;
  const away = async (url: string): Promise<Backend> => {
    if (url === 'memory:a') throw new DatamonError('UNAVAILABLE', 'memory:a is away');
    return openMember(url);
  };
  await promote({ ...world.membership, openMember: away }, 'memory:b');
}

/** Each write: an object, then an entry that names it. Acknowledged once both are. */
async function writeSome(
  world: ReplicaWorld,
  name: string,
  acknowledged: string[],
  unknown: string[],
  url = 'memory:a',
): Promise<void> {
  for (let n = 0; n < WRITES_EACH; n += 1) {
    const event = `${name}-${n}`;
    try {
      const backend = await world.open(url, ['memory:b']);
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
  onCut = () => undefined,
}: {
  readonly seed: number;
  readonly count: number;
  readonly onCut?: (outcome: CutOutcome) => void;
}): Promise<{ readonly acknowledged: number; readonly unknown: number }> {
  let acknowledged = 0;
  let unknown = 0;
  for (let n = 0; n < count; n += 1) {
    const outcome = await cutOnce(seed + n);
    acknowledged += outcome.acknowledged;
    unknown += outcome.unknown;
    onCut(outcome);
  }
  return { acknowledged, unknown };
}
