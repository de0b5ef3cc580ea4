/**
 * Processes that meet on one store, call by call, in orders no clock would bring about: pushers among themselves, one of them dying
 * anywhere, and pushers that meet somebody who condemns what they lean on.
 */
import { expect } from 'chai';
import type { Backend } from '../../core/backend/backend.ts';
import { createMemoryBackend } from '../../core/backend/memory.ts';
import {
  type ContainerId,
  condemnedLog,
  type Key,
  type PoolName,
  parseRepoName,
} from '../../core/keys.ts';
import { openLog } from '../../core/log.ts';
import type { Repository } from '../../core/meta/repository.ts';
import { openRepository } from '../../core/open-repository.ts';
import { listed } from '../conformance/bodies.ts';
import { byPriorities, bySeed, type Choose, EveryWay } from '../support/choosing.ts';
import { HistoryChecker } from '../support/history-checker.ts';
import { type Actor, ended, type Fate, Interleaving, type Turn } from '../support/interleaving.ts';
import { sightOfRepository } from '../support/sights.ts';
import { fileEntry, pushIdOf, recordSimplePush } from '../support/simple-push.ts';
import { sourceOf } from '../support/source-of.ts';
import { seededBytes } from '../support/splitmix64.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const REPO = parseRepoName('acme/soak');
const POOL = 'acme' as PoolName;
const DAY_MS = 86_400_000;
const OLD = sourceOf(seededBytes(99, 4000));

/** A repository as this actor would open it. */
const openAs = ({
  backend,
  schedule,
  random,
}: Pick<Actor, 'backend' | 'schedule' | 'random'>): Promise<Repository> =>
  openRepository(backend, REPO, {
    create: { by: 'ada', remote: null },
    spoolDir: '/nowhere',
    schedule,
    random,
  });

const atOnce = (_delayMs: number, run: () => void): void => void setImmediate(run);

interface World {
  readonly backend: Backend;
  readonly play: Interleaving;
  readonly history: HistoryChecker;
}

/** A store in which an old file lies that no bundle lists. */
async function makeWorld(
  choose: Choose,
  fate?: (turn: Turn, index: number) => Fate,
): Promise<World> {
  const clock = new VirtualClock();
  const backend = createMemoryBackend({ now: clock.now });
  const play = new Interleaving({ backend, clock, choose, ...(fate && { fate }) });
  const { random } = play.actor('first');
  const repository = await openAs({ backend, schedule: atOnce, random });
  await repository.blobs.put(OLD);
  await repository.close();
  clock.advance(90 * DAY_MS);
  return { backend, play, history: new HistoryChecker() };
}

/** Stores the old file again and one of its own, and pushes both. */
async function push(actor: Actor, history: HistoryChecker): Promise<void> {
  const repository = await openAs(actor);
  const own = sourceOf(seededBytes(actor.name.length, 3000));
  for (const source of [OLD, own]) {
    const { oid } = source;
    const attempt = history.begin({ kind: 'object', name: oid, content: oid });
    await repository.blobs.put(source);
    history.end(attempt, 'acknowledged');
  }
  const entries = [OLD, own].map(({ oid, sizeBytes }) => fileEntry(oid, oid, sizeBytes));
  const content = pushIdOf(actor.name);
  const attempt = history.begin({ kind: 'entry', name: 'main', content });
  await recordSimplePush(repository, { name: actor.name, entries });
  history.end(attempt, 'acknowledged');
  await repository.close();
}

/** `told`: somebody was told by then that the old file is stored, so it is the collector's duty to copy it out. */
type Condemning = 'spared' | 'condemned' | 'condemned, and told';

/** Condemns the containers of the old file, unless somebody was told already that it is stored. */
async function condemnOld(
  { backend, random }: Actor,
  old: readonly Key[],
  history: HistoryChecker,
): Promise<Condemning> {
  const parse = (event: unknown): { readonly condemned: readonly ContainerId[] } =>
    event as { readonly condemned: readonly ContainerId[] };
  const condemned = old.map((key) => key.slice(-32) as ContainerId);
  const told = (): boolean => history.isAcknowledged(OLD.oid);
  const log = openLog({ backend, prefix: condemnedLog(POOL), random, parse });
  if ((await log.update(() => (told() ? null : { condemned }))) === null) return 'spared';
  return told() ? 'condemned, and told' : 'condemned';
}

/** The collector's duty: what lives is stored elsewhere before what is condemned goes. */
async function copyOut({ backend, play }: World): Promise<void> {
  const { random } = play.actor('collector');
  const repository = await openAs({ backend, schedule: atOnce, random });
  await repository.blobs.put(OLD);
  await repository.close();
}

async function expectKept({ backend, history, play }: World, replay: string): Promise<void> {
  history.endAll('unknown');
  const { random } = play.actor('last');
  const repository = await openAs({ backend, schedule: atOnce, random });
  const wrong = await history.check(sightOfRepository(repository, { trees: 'all' }));
  expect(wrong, `${replay}\n${play.trace.join('\n')}`).to.deep.equal([]);
}

describe('interleaved', () => {
  it('two pushers: whoever dies at whichever call, the other goes on, and what was told holds', async () => {
    let turns = 1000;
    for (let at = 0; at < turns; at += 1) {
      for (const fate of ['dies before', 'dies after'] as const) {
        const dies = (turn: Turn, index: number): Fate =>
          turn.actor === 'one' && index === at ? fate : 'lives';
        const world = await makeWorld(bySeed(at), dies);
        const work = (actor: Actor): Promise<void> => push(actor, world.history);
        const outcomes = await world.play.run<void>({ one: work, three: work });
        ended(outcomes['three']);
        turns = Math.min(turns, world.play.trace.length);
        await expectKept(world, `replay: turn ${at}, ${fate}`);
      }
    }
    expect(turns).to.be.within(20, 400);
  }).timeout(60_000);

  const BOTH = ['one', 'three'];
  const met: Record<Condemning, number> = { spared: 0, condemned: 0, 'condemned, and told': 0 };

  /** Pushers meet somebody who condemns what the old file lies in; after all is told, that is deleted. */
  async function meetCondemner(choose: Choose, pushers: readonly string[]): Promise<World> {
    const world = await makeWorld(choose);
    const { backend, history } = world;
    const old = (await listed(backend, '')).filter((key) => key.includes('/segments/')) as Key[];
    const work = async (actor: Actor): Promise<Condemning> => {
      await push(actor, history);
      return 'spared';
    };
    const outcomes = await world.play.run<Condemning>({
      ...Object.fromEntries(pushers.map((name) => [name, work])),
      condemner: (actor) => condemnOld(actor, old, history),
    });
    for (const name of pushers) ended(outcomes[name]);
    const condemning = ended(outcomes['condemner']);
    met[condemning] += 1;
    if (condemning === 'condemned, and told') await copyOut(world);
    if (condemning !== 'spared') for (const key of old) await backend.remove(key);
    return world;
  }

  it('pushers and one who condemns what they lean on, at any moment: what they were told is stored stays', async () => {
    for (let seed = 0; seed < 100; seed += 1) {
      await expectKept(await meetCondemner(bySeed(seed), BOTH), `replay: bySeed(${seed})`);
      const choose = byPriorities(seed, 3, 120);
      await expectKept(await meetCondemner(choose, BOTH), `replay: byPriorities(${seed}, 3, 120)`);
    }
    expect(met.condemned).to.be.greaterThan(50);
  }).timeout(60_000);

  it('one pusher and one who condemns, each way in which they interrupt each other twice at most', async () => {
    const ways = new EveryWay(2);
    let count = 0;
    for (let choose = ways.next(); choose !== null; choose = ways.next()) {
      const world = await meetCondemner(choose, ['one']);
      await expectKept(world, `replay: byTape([${ways.tape}])`);
      count += 1;
    }
    expect(count).to.be.greaterThan(50);
  }).timeout(120_000);
});
