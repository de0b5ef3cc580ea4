/** Retrying: what is tried again, how long, and that reads and lists go on instead of starting over. */
import { expect } from 'chai';
import { type Backend, bytesBody } from '../../../core/backend/backend.ts';
import { createMemoryBackend } from '../../../core/backend/memory.ts';
import { createMeteredBackend } from '../../../core/backend/metered.ts';
import { createRetryingBackend, type RetryPolicy } from '../../../core/backend/retrying.ts';
import { DatamonError } from '../../../core/errors.ts';
import { asKey, listed, put, read, readText, textBody } from '../../conformance/bodies.ts';
import { codeOf, errorOf } from '../../support/code-of.ts';
import { createFaultyBackend, FaultPlan } from '../../support/faulty-backend.ts';
import { seededBytes } from '../../support/splitmix64.ts';

const POLICY: RetryPolicy = {
  tryCount: 4,
  firstWaitMs: 100,
  waitMaxMs: 1000,
  totalMs: 10_000,
  askedWaitMaxMs: 300_000,
};

/** A world in which sleeping moves the clock and takes no time. */
function fakeWorld(random = 0.5) {
  const waits: number[] = [];
  let now = 0;
  return {
    waits,
    nowMs: () => now,
    random: () => random,
    sleep: async (milliseconds: number) => {
      waits.push(milliseconds);
      now += milliseconds;
    },
    pass: (milliseconds: number) => {
      now += milliseconds;
    },
  };
}

function retryingOver(plan: FaultPlan, policy = POLICY) {
  const memory = createMemoryBackend();
  const world = fakeWorld();
  const metered = createMeteredBackend(createFaultyBackend(memory, plan));
  const backend = createRetryingBackend(metered.backend, world, policy);
  return { memory, world, backend, counts: metered.counts };
}

const failing = (verb: Parameters<FaultPlan['fail']>[0], times: number): FaultPlan => {
  const plan = new FaultPlan();
  for (let nth = 1; nth <= times; nth += 1) plan.fail(verb, nth);
  return plan;
};

describe('retrying', () => {
  it('tries each verb again where it was UNAVAILABLE', async () => {
    const plan = new FaultPlan();
    for (const verb of ['putIfAbsent', 'get', 'stat', 'list', 'remove', 'now'] as const) {
      plan.fail(verb, 1).fail(verb, 2);
    }
    const { backend, counts } = retryingOver(plan);
    await backend.putIfAbsent(asKey('a/b'), textBody('x'));
    expect(await readText(backend, 'a/b')).to.equal('x');
    expect(await backend.stat(asKey('a/b'))).to.include({ key: 'a/b', sizeBytes: 1 });
    expect(await listed(backend, '')).to.deep.equal(['a/b']);
    await backend.remove(asKey('a/b'));
    expect(await backend.now()).to.be.instanceOf(Date);
    expect(counts().requestCount).to.equal(18);
    expect(plan.describe()).to.equal('');
  });

  it('tries nothing again that failed for another reason', async () => {
    for (const code of ['FORBIDDEN', 'CORRUPT', 'NO_SPACE', 'INVALID', 'NOT_FOUND'] as const) {
      const plan = new FaultPlan().fail('stat', 1, new DatamonError(code, 'no'));
      const { backend, counts } = retryingOver(plan);
      expect(await codeOf(backend.stat(asKey('a')))).to.equal(code);
      expect(counts().statCount).to.equal(1);
    }
  });

  it('tries nothing again that failed with a foreign error', async () => {
    const memory = createMemoryBackend();
    let calls = 0;
    const broken: Backend = {
      ...memory,
      stat: async () => {
        calls += 1;
        throw new TypeError('a bug');
      },
    };
    const backend = createRetryingBackend(broken, fakeWorld(), POLICY);
    const error = await backend.stat(asKey('a')).catch((caught) => caught);
    expect(error).to.be.instanceOf(TypeError);
    expect(calls).to.equal(1);
  });

  it('gives up with the last error after its tries', async () => {
    const { backend, counts } = retryingOver(failing('stat', 9));
    const error = await errorOf(backend.stat(asKey('a')));
    expect(error.message).to.contain('stat 4 fails');
    expect(counts().statCount).to.equal(4);
  });

  it('waits a random part of a bound that doubles up to a limit', async () => {
    const { backend, world } = retryingOver(failing('stat', 5), {
      ...POLICY,
      tryCount: 6,
      waitMaxMs: 500,
    });
    await backend.stat(asKey('a'));
    expect(world.waits).to.deep.equal([50, 100, 200, 250, 250]);
  });

  it('begins no try later than its total time', async () => {
    const { backend, world, counts } = retryingOver(failing('stat', 90), {
      ...POLICY,
      tryCount: 100,
      totalMs: 1000,
    });
    expect(await codeOf(backend.stat(asKey('a')))).to.equal('UNAVAILABLE');
    expect(world.nowMs()).to.be.at.most(1000);
    expect(counts().statCount).to.be.within(2, 6);
  });

  describe('where the store says how long to wait', () => {
    const asking = (...waits: readonly number[]): FaultPlan => {
      const plan = new FaultPlan();
      for (const [at, retryAfterMs] of waits.entries()) {
        plan.fail('stat', at + 1, new DatamonError('UNAVAILABLE', 'busy', { retryAfterMs }));
      }
      return plan;
    };

    it('waits that long and a random part more, also past its total time', async () => {
      const { backend, world } = retryingOver(asking(1000, 300_000 - 1000));
      await backend.stat(asKey('a'));
      expect(world.waits).to.deep.equal([1050, 299_100]);
    });

    it('fails at once where that is too long, and says how long', async () => {
      const { backend, world } = retryingOver(asking(300_001));
      const error = await errorOf(backend.stat(asKey('a')));
      expect(error.message).to.contain('busy; it asks to wait 301 s');
      expect(error.hint).to.contain('301 seconds');
      expect(world.waits).to.deep.equal([]);
    });

    it('adds up what is asked for', async () => {
      const { backend, world } = retryingOver(asking(200_000, 100_001));
      expect(await codeOf(backend.stat(asKey('a')))).to.equal('UNAVAILABLE');
      expect(world.waits).to.have.length(1);
    });
  });

  it('finds its own object where the acknowledgement of a put was lost', async () => {
    const plan = new FaultPlan().loseAcknowledgement('putIfAbsent', 1);
    const { backend, memory } = retryingOver(plan);
    expect(await backend.putIfAbsent(asKey('a'), textBody('mine'))).to.deep.equal({
      created: false,
    });
    expect(await readText(memory, 'a')).to.equal('mine');
  });

  it('sends the same bytes again from the first on', async () => {
    const { backend, memory } = retryingOver(failing('putIfAbsent', 2));
    const bytes = seededBytes(4, 400_000);
    await backend.putIfAbsent(asKey('a'), bytesBody(bytes));
    expect((await read(memory, 'a')).equals(bytes)).to.equal(true);
  });
});

describe('retrying, reads', () => {
  const bytes = seededBytes(8, 1_000_000);

  async function resumed(plan: FaultPlan, range?: { start: number; end?: number }) {
    const { backend, memory, counts, world } = retryingOver(plan);
    await memory.putIfAbsent(asKey('a'), bytesBody(bytes));
    return { part: await read(backend, 'a', range), counts, world };
  }

  it('go on from the bytes they have', async () => {
    const plan = new FaultPlan().cutRead(1, 300_000).cutRead(2, 1).cutRead(3, 500_000);
    const { part, counts } = await resumed(plan);
    expect(part.equals(bytes)).to.equal(true);
    expect(counts().getCount).to.equal(4);
    expect(counts().receivedBytes).to.equal(bytes.length);
  });

  it('go on inside the range they were asked for', async () => {
    const { part } = await resumed(new FaultPlan().cutRead(1, 70_000), {
      start: 1000,
      end: 200_000,
    });
    expect(part.equals(bytes.subarray(1000, 200_000))).to.equal(true);
  });

  it('ask for nothing more where only the end was lost', async () => {
    const whole = await resumed(new FaultPlan().loseAcknowledgement('get', 1), {
      start: 5,
      end: 50,
    });
    expect(whole.part.equals(bytes.subarray(5, 50))).to.equal(true);
    expect(whole.counts().getCount).to.equal(1);
    const open = await resumed(new FaultPlan().loseAcknowledgement('get', 1));
    expect(open.part.equals(bytes)).to.equal(true);
  });

  it('are patient anew after each progress, and only then', async () => {
    const steady = new FaultPlan();
    for (let nth = 1; nth <= 20; nth += 1) steady.cutRead(nth, 10_000);
    expect((await resumed(steady)).part.equals(bytes)).to.equal(true);
    const stuck = new FaultPlan().cutRead(1, 10_000);
    for (let nth = 2; nth <= 20; nth += 1) stuck.fail('get', nth);
    expect(await codeOf(resumed(stuck))).to.equal('UNAVAILABLE');
  });

  it('do not hold a slow reader against the store', async () => {
    const { backend, memory, world } = retryingOver(new FaultPlan().cutRead(1, 300_000));
    await memory.putIfAbsent(asKey('a'), bytesBody(bytes));
    let size = 0;
    for await (const part of backend.get(asKey('a'))) {
      size += part.length;
      world.pass(POLICY.totalMs * 2);
    }
    expect(size).to.equal(bytes.length);
  });

  it('stop at damage: CORRUPT is not tried again', async () => {
    const plan = new FaultPlan().cutRead(1, 5000, new DatamonError('CORRUPT', 'rot'));
    expect(await codeOf(resumed(plan))).to.equal('CORRUPT');
  });
});

describe('retrying, lists', () => {
  it('go on after the last key they gave, each key once', async () => {
    const memory = createMemoryBackend();
    const keys = ['a/1', 'a/2', 'a/3', 'b/1'];
    await put(memory, ...keys);
    let lists = 0;
    const breaking: Backend = {
      ...memory,
      async *list(prefix, after) {
        lists += 1;
        let given = 0;
        for await (const found of memory.list(prefix, after)) {
          if (given === 1 && lists < 4) throw new DatamonError('UNAVAILABLE', 'page two is late');
          given += 1;
          yield found;
        }
      },
    };
    const backend = createRetryingBackend(breaking, fakeWorld(), POLICY);
    expect(await listed(backend, '')).to.deep.equal(keys);
    expect(lists).to.equal(4);
  });
});
