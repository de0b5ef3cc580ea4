/** F44–F47: a replica down, a region lost, a copy damaged, a debt torn: what was acknowledged stays, and members become equal again. */
import { expect } from 'chai';
import { type Backend, bytesBody } from '../../../core/backend/backend.ts';
import { collect } from '../../../core/bytes.ts';
import { DatamonError } from '../../../core/errors.ts';
import { type Key, type LogPrefix, logKey, packKey } from '../../../core/keys.ts';
import { openLog } from '../../../core/log.ts';
import { secureRandom } from '../../../core/random.ts';
import { drain } from '../../../core/replication/drain.ts';
import { addMember, rejoin, removeMember } from '../../../core/replication/membership.ts';
import { promote } from '../../../core/replication/promote.ts';
import { text } from '../../../core/shape.ts';
import { frameOf, type MadeContainer, makeContainer } from '../../support/cas-containers.ts';
import { POOL } from '../../support/cas-world.ts';
import { codeOf, errorOf } from '../../support/code-of.ts';
import { FaultPlan } from '../../support/faulty-backend.ts';
import { contents, ReplicaWorld } from '../../support/replica-world.ts';

/** A log of no meaning to those who prove entries by what they tell. */
const LOG = 'things/' as LogPrefix;
const packs = new Map<number, MadeContainer>();

/** A pack of one small chunk; the same for the same `n`. */
async function madePack(n: number): Promise<MadeContainer> {
  const made =
    packs.get(n) ?? (await makeContainer({ frames: [frameOf(Buffer.from(`pack ${n}`))], seed: n }));
  packs.set(n, made);
  return made;
}

const packOf = async (n: number): Promise<Key> => packKey(POOL.pool, (await madePack(n)).id);

const openEvents = (backend: Backend) =>
  openLog({ backend, prefix: LOG, random: secureRandom, parse: (event) => text(event, 'event') });

async function append(backend: Backend, event: string): Promise<void> {
  await openEvents(backend).update(() => event);
}

async function eventsOf(backend: Backend): Promise<string[]> {
  const found: string[] = [];
  for await (const { event } of openEvents(backend).entries()) found.unshift(event);
  return found;
}

const putPack = async (backend: Backend, n: number) =>
  backend.putIfAbsent(await packOf(n), bytesBody((await madePack(n)).bytes));

async function expectEqual(world: ReplicaWorld, ...urls: readonly string[]): Promise<void> {
  const [first, ...others] = await Promise.all(urls.map((url) => contents(world.place(url))));
  for (const other of others) expect([...other]).to.deep.equal([...(first ?? [])]);
}

describe('a store with replicas, mode sync', () => {
  it('has everything in both when it is acknowledged', async () => {
    const world = new ReplicaWorld();
    await world.pair('sync');
    const backend = await world.open();
    await putPack(backend, 1);
    await append(backend, 'one');
    await append(backend, 'two');
    await expectEqual(world, 'memory:a', 'memory:b');
    expect(await eventsOf(backend)).to.deep.equal(['one', 'two']);
  });

  it('F44: acknowledges nothing while the only replica is down, goes on reading, and settles it by the same write', async () => {
    const world = new ReplicaWorld();
    await world.pair('sync');
    const backend = await world.open();
    await append(backend, 'one');
    world.place('memory:b').isCut = true;
    expect(await codeOf(putPack(backend, 1))).to.equal('UNAVAILABLE');
    expect(await codeOf(append(backend, 'two'))).to.equal('UNAVAILABLE');
    expect(await eventsOf(await world.open())).to.include('one');
    world.place('memory:b').isCut = false;
    await putPack(backend, 1);
    await append(backend, 'three');
    await expectEqual(world, 'memory:a', 'memory:b');
    expect((await eventsOf(backend)).at(-1)).to.equal('three');
  });

  it('copies what a crashed writer left at home alone before a reader counts on it', async () => {
    const world = new ReplicaWorld();
    await world.pair('sync');
    await append(await world.open(), 'one');
    // The writer is cut off after home took its entry: as if it died there.
    const dying = await world.open();
    world.place('memory:b').isCut = true;
    await codeOf(append(dying, 'two'));
    world.place('memory:b').isCut = false;
    expect(await eventsOf(await world.open())).to.deep.equal(['one', 'two']);
    await expectEqual(world, 'memory:a', 'memory:b');
  });

  it('does not say "already so" of what home alone has', async () => {
    const world = new ReplicaWorld();
    await world.pair('sync');
    await openEvents(world.place('memory:a').raw).update(() => 'alone');
    world.place('memory:b').isCut = true;
    const already = openEvents(await world.open()).update(() => null);
    expect(await codeOf(already)).to.equal('UNAVAILABLE');
    world.place('memory:b').isCut = false;
    await openEvents(await world.open()).update(() => null);
    await expectEqual(world, 'memory:a', 'memory:b');
  });

  it('acknowledges nothing where the replica has another object under the key', async () => {
    const world = new ReplicaWorld();
    await world.pair('sync');
    await append(world.place('memory:b').raw, 'another');
    expect(await codeOf(append(await world.open(), 'one'))).to.equal('CORRUPT');
  });

  it('survives every call of every member failing, before and after it was done', async () => {
    for (const url of ['memory:a', 'memory:b']) {
      for (const verb of ['putIfAbsent', 'get', 'stat', 'list'] as const) {
        for (let nth = 1; nth <= 12; nth += 1) {
          for (const how of ['fail', 'loseAcknowledgement'] as const) {
            await survives(url, (plan) => plan[how](verb, nth), `${url} ${verb} ${nth} ${how}`);
          }
        }
      }
    }
  }).timeout(30_000);

  it('owes a third member what it missed, and pays it', async () => {
    const world = new ReplicaWorld();
    await world.pair('sync', ['b', 'c']);
    const group = await world.group();
    const backend = await world.open();
    world.place('memory:c').isCut = true;
    await putPack(backend, 1);
    await append(backend, 'one');
    expect((await contents(world.place('memory:b'))).has(await packOf(1))).to.equal(true);
    expect((await contents(world.place('memory:c'))).has(await packOf(1))).to.equal(false);
    world.place('memory:c').isCut = false;
    const { home, others } = group;
    const report = await drain({ home, others, now: async () => new Date() });
    expect(report).to.include({ owed: 0, owedSince: null });
    await expectEqual(world, 'memory:a', 'memory:b', 'memory:c');
  });
});

async function survives(
  url: string,
  plan: (plan: FaultPlan) => FaultPlan,
  what: string,
): Promise<void> {
  const world = new ReplicaWorld();
  await world.pair('sync');
  const acknowledged: string[] = [];
  world.place(url).plan = plan(new FaultPlan());
  const backend = await world.open().catch(() => null);
  for (const event of ['one', 'two', 'three']) {
    if (backend === null) break;
    try {
      await putPack(backend, acknowledged.length);
      await append(backend, event);
      acknowledged.push(event);
    } catch (error) {
      if (!(error instanceof DatamonError)) throw error;
    }
  }
  world.place('memory:a').isCut = true;
  const { raw } = world.place('memory:b');
  expect(await eventsOf(raw), what).to.include.members(acknowledged);
}

describe('F45: a region is lost', () => {
  it('serves reads from the replica, and says what to run where somebody writes', async () => {
    const world = new ReplicaWorld();
    await world.pair('sync');
    const server = await world.open();
    await append(server, 'one');
    await putPack(server, 1);
    world.place('memory:a').isCut = true;
    expect(await eventsOf(server)).to.deep.equal(['one']);
    expect((await collect(server.get(await packOf(1)), 10_000)).toString()).to.include('pack 1');
    expect(world.count('failed over')).to.be.greaterThan(0);
    expect(await codeOf(append(server, 'two'))).to.equal('UNAVAILABLE');
    const restarted = await world.open('memory:a', ['memory:b']);
    expect(await eventsOf(restarted)).to.deep.equal(['one']);
    const refused = await errorOf(append(await world.open('memory:b'), 'two'));
    expect(refused.code).to.equal('FORBIDDEN');
    expect(refused.hint).to.include('datamon replicate --promote memory:b');
  });

  it('takes an emptied home for lost, not for an empty store', async () => {
    const world = new ReplicaWorld();
    await world.pair('sync');
    const server = await world.open();
    await append(server, 'one');
    const { raw } = world.place('memory:a');
    for await (const { key } of raw.list('')) await raw.remove(key);
    expect(await eventsOf(server)).to.deep.equal(['one']);
    expect(await codeOf(append(server, 'two'))).to.equal('UNAVAILABLE');
    expect([...(await contents(world.place('memory:a')))]).to.deep.equal([]);
    expect(await eventsOf(await world.open('memory:a', ['memory:b']))).to.deep.equal(['one']);
  });

  it('promotes the replica, fences the old home, and makes it equal again', async () => {
    const world = new ReplicaWorld();
    await world.pair('sync');
    const oldServer = await world.open();
    await append(oldServer, 'one');
    world.place('memory:a').isCut = true;
    const promotion = await promote(world.membership, 'memory:b');
    expect(promotion).to.deep.include({ oldHome: 'lost', out: ['home'] });
    const server = await world.open('memory:b');
    await append(server, 'two');
    await putPack(server, 2);
    world.place('memory:a').isCut = false;
    for (const stale of [oldServer, await world.open('memory:a')]) {
      const refused = await errorOf(append(stale, 'from the old home'));
      expect(refused.code).to.equal('FORBIDDEN');
      expect(refused.message).to.include('memory:b');
    }
    const { report } = await rejoin(world.membership, 'memory:b', 'home');
    expect(report.isEqual).to.equal(true);
    expect(await eventsOf(await world.open('memory:b'))).to.deep.equal(['one', 'two']);
    await append(await world.open('memory:b'), 'three');
    await expectEqual(world, 'memory:a', 'memory:b');
  });

  it('keeps what an async home wrote that never left it', async () => {
    const world = new ReplicaWorld();
    await world.pair('async');
    const old = await world.open();
    await append(old, 'one');
    const { home, others } = await world.group();
    await drain({ home, others, now: async () => new Date() });
    await append(old, 'two, in the old home alone');
    await putPack(old, 7);
    world.place('memory:a').isCut = true;
    await promote(world.membership, 'memory:b');
    await append(await world.open('memory:b'), 'two, in the new home');
    world.place('memory:a').isCut = false;
    const { report } = await rejoin(world.membership, 'memory:b', 'home');
    expect(report.isEqual).to.equal(true);
    expect(report.diverged).to.include(logKey(LOG, 2));
    const kept = (await contents(world.place('memory:b'))).get(`diverged/2-home/${logKey(LOG, 2)}`);
    expect(Buffer.from(kept ?? '', 'base64').toString()).to.include('two, in the old home alone');
    expect((await contents(world.place('memory:b'))).has(await packOf(7))).to.equal(true);
    expect(await eventsOf(await world.open('memory:b'))).to.deep.equal([
      'one',
      'two, in the new home',
    ]);
    await expectEqual(world, 'memory:a', 'memory:b');
  });

  it('loses nothing where the old home still answers', async () => {
    const world = new ReplicaWorld();
    await world.pair('async');
    const old = await world.open();
    await append(old, 'one');
    await putPack(old, 1);
    expect(await promote(world.membership, 'memory:b')).to.include({ oldHome: 'drained' });
    expect(await codeOf(append(old, 'two'))).to.equal('FORBIDDEN');
    expect(await eventsOf(await world.open('memory:b'))).to.deep.equal(['one']);
    await append(await world.open('memory:b'), 'two');
  });
});

describe('F46 and F47: copies and debts', () => {
  it('F46: a resync brings back what a replica lost and leaves the condemned dead', async () => {
    const world = new ReplicaWorld();
    await world.pair('sync');
    const backend = await world.open();
    await putPack(backend, 1);
    await putPack(backend, 2);
    const condemned = (await packOf(2)).slice(-32);
    await openLog({
      backend,
      prefix: 'pools/acme/gc/' as never,
      random: secureRandom,
      parse: (event) => event,
    }).update(() => ({ condemned: [condemned] }));
    await world.place('memory:b').raw.remove(await packOf(1));
    // A collector removed it at home and died before it came to the replica.
    await world.place('memory:a').raw.remove(await packOf(2));
    expect(await backend.stat(await packOf(2))).to.not.equal(null);
    expect(await world.place('memory:a').raw.stat(await packOf(2))).to.equal(null);
    const { report } = await rejoin(world.membership, 'memory:a', 'b');
    expect(report).to.include({ isEqual: true, copied: 1, removed: 1 });
  });

  it('F47: pays debts twice with the same outcome, and a torn note by a resync', async () => {
    const world = new ReplicaWorld();
    await world.pair('async');
    const backend = await world.open();
    await putPack(backend, 1);
    await append(backend, 'one');
    const before = await contents(world.place('memory:a'), []);
    expect([...before.keys()].some((key) => key.startsWith('debts/'))).to.equal(true);
    const { home, others } = await world.group();
    const now = async () => new Date();
    expect(await drain({ home, others, now })).to.include({ owed: 0, copied: 2 });
    await expectEqual(world, 'memory:a', 'memory:b');
    const { raw } = world.place('memory:a');
    for (const [key, bytes] of before) {
      if (key.startsWith('debts/'))
        await raw.putIfAbsent(key as Key, bytesBody(Buffer.from(bytes, 'base64')));
    }
    await raw.putIfAbsent(`debts/${'f'.repeat(32)}` as Key, bytesBody(Buffer.from('{"keys":["po')));
    expect(await drain({ home, others, now })).to.include({ owed: 0, copied: 0, unreadable: 1 });
    await rejoin(world.membership, 'memory:a', 'b');
    expect(await drain({ home, others, now })).to.include({ owed: 0, unreadable: 0 });
    await expectEqual(world, 'memory:a', 'memory:b');
  });

  it('stores nothing in an async home that no note names', async () => {
    for (const nth of [1, 2]) {
      const world = new ReplicaWorld();
      await world.pair('async');
      const backend = await world.open();
      const home = world.place('memory:a');
      // Whichever of the two puts fails, the note's or the object's own, the object must not come to stand at home.
      home.plan = new FaultPlan().fail('putIfAbsent', nth);
      expect(await codeOf(putPack(backend, 1))).to.equal('UNAVAILABLE');
      expect(await home.raw.stat(await packOf(1)), `put ${nth}`).to.equal(null);
    }
  });

  it('a resync brings data before what refers to it, and a log from its beginning', async () => {
    let nowMs = 0;
    const now = (): Date => {
      nowMs += 1;
      return new Date(nowMs);
    };
    const world = new ReplicaWorld({ now });
    await world.pair('async');
    const backend = await world.open();
    await append(backend, 'one');
    await append(backend, 'two');
    await putPack(backend, 1);
    await rejoin(world.membership, 'memory:a', 'b');
    const order = [await packOf(1), logKey(LOG, 1), logKey(LOG, 2)];
    const stats = await Promise.all(order.map((key) => world.place('memory:b').raw.stat(key)));
    const times = stats.map((found) => found?.createdAt.getTime() ?? 0);
    expect(times)
      .to.deep.equal(times.toSorted((a, b) => a - b))
      .and.not.include(0);
  });

  it('keeps a debt until its member answers, and says since when', async () => {
    const world = new ReplicaWorld();
    await world.pair('async');
    const backend = await world.open();
    world.place('memory:b').isCut = true;
    await append(backend, 'one');
    const { home, others } = await world.group();
    const late = await drain({ home, others, now: async () => new Date() });
    expect(late).to.deep.include({ owed: 1, failed: ['b'] });
    expect(late.owedSince).to.be.instanceOf(Date);
    expect(await backend.copies([logKey(LOG, 1)])).to.deep.equal({ have: 1, of: 2 });
    world.place('memory:b').isCut = false;
    await drain({ home, others, now: async () => new Date() });
    expect(await backend.copies([logKey(LOG, 1)])).to.deep.equal({ have: 2, of: 2 });
  });
});

describe('members', () => {
  it('are refused where something else stands, and once they are members', async () => {
    const world = new ReplicaWorld();
    await world.pair('sync');
    await putPack(world.place('memory:x').raw, 1);
    const add = (url: string, name: string) =>
      codeOf(addMember(world.membership, 'memory:a', { url, name }));
    expect(await add('memory:x', 'x')).to.equal('CONFLICT');
    expect(await add('memory:a', 'x')).to.equal('INVALID');
    expect(await add('memory:b', 'x')).to.equal('CONFLICT');
    expect(await add('memory:y', 'Not a name')).to.equal('INVALID');
  });

  it('that were removed are owed nothing and take no part', async () => {
    const world = new ReplicaWorld();
    await world.pair('sync');
    await removeMember(world.membership, 'memory:a', 'b');
    world.place('memory:b').isCut = true;
    const backend = await world.open();
    await append(backend, 'one');
    expect(await eventsOf(backend)).to.deep.equal(['one']);
  });

  it('that came while a program runs are written to by it, too', async () => {
    const world = new ReplicaWorld();
    await world.pair('sync');
    const running = await world.open();
    await append(running, 'one');
    await addMember(world.membership, 'memory:a', { url: 'memory:c', name: 'c' });
    // It finds out once the entry stands, and writes it again: now to all.
    await append(running, 'two');
    await append(running, 'three');
    expect(await eventsOf(world.place('memory:c').raw)).to.deep.equal(['one', 'two', 'three']);
  });
});
