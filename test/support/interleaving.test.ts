/** Interleavings are what they say: one call at a time, decided by the choices alone, and able to find what only some orders break. */
import { expect } from 'chai';
import fc from 'fast-check';
import type { Backend } from '../../core/backend/backend.ts';
import { createMemoryBackend } from '../../core/backend/memory.ts';
import { openDirectStores } from '../../core/cas/direct-store.ts';
import { digestOf } from '../../core/digest.ts';
import type { LogPrefix } from '../../core/keys.ts';
import { openLog } from '../../core/log.ts';
import { text } from '../../core/shape.ts';
import { asKey, listed, put, readText, textBody } from '../conformance/bodies.ts';
import { blobOf, POOL, REPO } from './cas-world.ts';
import { byPriorities, bySeed, byTape, type Choose, EveryWay } from './choosing.ts';
import { type Actor, ended, Interleaving, type InterleavingOptions } from './interleaving.ts';
import { seededBytes } from './splitmix64.ts';
import { VirtualClock } from './virtual-clock.ts';

interface World {
  readonly backend: Backend;
  readonly clock: VirtualClock;
  readonly play: Interleaving;
}

function makeWorld(choose: Choose, more: Partial<InterleavingOptions> = {}): World {
  const clock = new VirtualClock();
  const backend = createMemoryBackend({ now: clock.now });
  return { backend, clock, play: new Interleaving({ backend, clock, choose, ...more }) };
}

/** The mistake every store forbids: it looks, and then writes what it believes to be new. */
async function careless(backend: Backend): Promise<boolean> {
  const found = await backend.stat(asKey('a'));
  await backend.now();
  await backend.putIfAbsent(asKey('a'), textBody('x'));
  return found === null;
}

/** Whether both of two careless writers think that they were first. */
async function bothFirst(choose: Choose): Promise<boolean> {
  const { play } = makeWorld(choose);
  const work = (actor: Actor): Promise<boolean> => careless(actor.backend);
  const { one, two } = await play.run({ one: work, two: work });
  return ended(one) && ended(two);
}

async function append({ backend, random, name }: Actor): Promise<void> {
  const log = openLog({
    backend,
    random,
    prefix: 'log/' as LogPrefix,
    parse: (event) => text(event, 'event'),
  });
  await log.update(() => name);
}

const logTexts = async (backend: Backend): Promise<string[]> => {
  const texts: string[] = [];
  for (const key of await listed(backend, 'log/')) texts.push(await readText(backend, key));
  return texts;
};

describe('interleaving', () => {
  it('takes one turn at a time, and nothing is begun before its turn', async () => {
    const calls: string[] = [];
    const { play } = makeWorld((turns) => {
      calls.push(turns.map(({ actor, verb, what }) => `${actor} ${verb} ${what}`).join(', '));
      return 0;
    });
    await play.run({
      one: ({ backend }) => put(backend, 'a', 'b'),
      two: async ({ backend }) => void (await listed(backend, '')),
    });
    expect(calls).to.deep.equal([
      'one putIfAbsent a, two list ',
      'one putIfAbsent b, two list ',
      'two list ',
    ]);
    expect(play.trace).to.deep.equal(['one putIfAbsent a', 'one putIfAbsent b', 'two list ']);
  });

  it('is decided by its choices: the same seed, the same history and the same bytes', async () => {
    const history = async (seed: number): Promise<string> => {
      const { play, backend } = makeWorld(bySeed(seed));
      await play.run({ one: append, two: append, three: append });
      return JSON.stringify([play.trace, await logTexts(backend)]);
    };
    expect(await history(1)).to.equal(await history(1));
    const all = new Set<string>();
    for (let seed = 0; seed < 20; seed += 1) all.add(await history(seed));
    expect(all.size).to.be.greaterThan(15);
  });

  it('runs the real store: files put by two processes, one of them compressing, are there and the same each time', async () => {
    const history = async (): Promise<readonly string[]> => {
      const { play, backend } = makeWorld(bySeed(5));
      const files = { one: seededBytes(1, 40_000), two: Buffer.alloc(90_000, 'words ') };
      const work = async (actor: Actor): Promise<void> => {
        const { random, schedule } = actor;
        const stores = await openDirectStores({
          ...{ backend: actor.backend, repo: REPO, pool: POOL, spoolDir: '/nowhere' },
          ...{ random, schedule, childrenOf: () => [] },
        });
        await stores.blobs.put(blobOf(files[actor.name as 'one' | 'two']));
        await stores.close();
      };
      const { one, two } = await play.run({ one: work, two: work });
      ended(one);
      ended(two);
      const { reader } = await play.run({
        reader: async (actor) => {
          const stores = await openDirectStores({
            ...{ backend: actor.backend, repo: REPO, pool: POOL, spoolDir: '/nowhere' },
            childrenOf: () => [],
          });
          return stores.blobs.has(Object.values(files).map((bytes) => digestOf(bytes)));
        },
      });
      expect(ended(reader as never)).to.have.property('size', 2);
      return [...play.trace, ...(await listed(backend, ''))];
    };
    expect(await history()).to.deep.equal(await history());
  });

  it('lets days pass while somebody stands in the middle of something', async () => {
    const { play, clock } = makeWorld(
      (turns) => (turns[0]?.actor === 'writer' ? 1 : 0) % turns.length,
    );
    const began = clock.nowMs;
    const seen: Date[] = [];
    await play.run({
      sleeper: async ({ sleep, backend }) => {
        await sleep(86_400_000);
        await put(backend, 'later');
      },
      writer: async ({ backend }) => {
        seen.push(await backend.now());
        await put(backend, 'a');
      },
    });
    expect(seen[0]?.getTime()).to.equal(began + 86_400_000);
  });

  it('shows a list page by page, so that keys come and go within it', async () => {
    // The lister begins; the writer goes before its second page.
    const { play, backend } = makeWorld(
      (turns) => (turns[0]?.verb === 'next page' ? turns.length - 1 : 0),
      {
        listPageKeyCount: 2,
      },
    );
    await put(backend, 'a', 'b', 'c');
    const { lister } = await play.run<readonly string[]>({
      lister: (actor) => listed(actor.backend, ''),
      writer: async (actor) => {
        await actor.backend.remove(asKey('c'));
        return [];
      },
    });
    expect(ended(lister)).to.deep.equal(['a', 'b']);
    expect(play.trace).to.deep.equal(['lister list ', 'writer remove c', 'lister next page b']);
  });

  it('lets an actor die before or after a call is done', async () => {
    for (const fate of ['dies before', 'dies after'] as const) {
      const { play, backend } = makeWorld(byTape([]), {
        fate: ({ what }) => (what === 'b' ? fate : 'lives'),
      });
      const { one, two } = await play.run({
        one: (actor) => put(actor.backend, 'a', 'b', 'c'),
        two: (actor) => put(actor.backend, 'z'),
      });
      expect([one?.status, two?.status]).to.deep.equal(['died', 'done']);
      expect(await listed(backend, '')).to.deep.equal(
        fate === 'dies before' ? ['a', 'z'] : ['a', 'b', 'z'],
      );
    }
  });

  it('says so where nobody can go on', async () => {
    const { play } = makeWorld(byTape([]), { stuckAfterMs: 20 });
    const error = await play
      .run({ one: () => new Promise<void>(() => {}) })
      .catch((caught: Error) => caught);
    expect(String(error)).to.contain('nobody can go on');
  });

  it('tells who failed', async () => {
    const { play } = makeWorld(byTape([]));
    const { one } = await play.run({ one: async ({ backend }) => backend.get(asKey('..')) });
    expect(one?.status).to.equal('done');
    const { two } = await play.run({ two: ({ backend }) => readText(backend, 'absent') });
    expect(() => ended(two)).to.throw('absent is not in the store');
  });
});

describe('choosing', () => {
  it('by seed or by priorities finds the orders in which careless writers go wrong, and those in which they do not', async () => {
    for (const choose of [bySeed, (seed: number) => byPriorities(seed, 2, 6)]) {
      const outcomes = new Set<boolean>();
      for (let seed = 0; seed < 60; seed += 1) outcomes.add(await bothFirst(choose(seed)));
      expect(outcomes.size).to.equal(2);
    }
  });

  it('every way has them all, once each', async () => {
    const ways = new EveryWay();
    const tapes = new Set<string>();
    let wrong = 0;
    for (let choose = ways.next(); choose !== null; choose = ways.next()) {
      if (await bothFirst(choose)) wrong += 1;
      tapes.add(ways.tape.join());
    }
    // Two actors of three calls each: 6! / (3! · 3!).
    expect(tapes.size).to.equal(20);
    // All but the two in which one put before the other looked.
    expect(wrong).to.equal(18);
  });

  it('every way with few switches has fewer, and none with more', async () => {
    const count = async (switchMax: number): Promise<number> => {
      const ways = new EveryWay(switchMax);
      let seen = 0;
      for (let choose = ways.next(); choose !== null; choose = ways.next()) {
        await bothFirst(choose);
        seen += 1;
      }
      return seen;
    };
    // Whoever begins runs to his end.
    expect(await count(0)).to.equal(2);
    // Or is interrupted once, after one call or two; then the other runs to its end.
    expect(await count(1)).to.equal(6);
    expect(await count(9)).to.equal(20);
  });

  it('a tape replays what every way chose', async () => {
    const ways = new EveryWay();
    for (let choose = ways.next(); choose !== null; choose = ways.next()) {
      const wrong = await bothFirst(choose);
      expect(await bothFirst(byTape(ways.tape))).to.equal(wrong);
    }
  });

  it('a tape lets fast-check find the shortest list of switches that breaks', async () => {
    const property = fc.asyncProperty(fc.array(fc.nat(9), { maxLength: 12 }), async (tape) => {
      expect(await bothFirst(byTape(tape))).to.equal(false);
    });
    const { failed, counterexample } = await fc.check(property, { seed: 7 });
    expect(failed).to.equal(true);
    expect(counterexample?.[0]).to.have.length.at.most(3);
  });

  it('one chain comes of racing appends, in every way there is with two switches', async () => {
    const ways = new EveryWay(2);
    let count = 0;
    for (let choose = ways.next(); choose !== null; choose = ways.next()) {
      const { play, backend } = makeWorld(choose);
      const outcomes = await play.run({ one: append, two: append, three: append });
      for (const outcome of Object.values(outcomes)) ended(outcome);
      expect(await listed(backend, 'log/')).to.have.length(3);
      count += 1;
    }
    expect(count).to.be.greaterThan(10);
  });
});
