/** Locks: one holder a path whoever races, by canonical paths, and with an owner who is not asked for by name alone. */
import { expect } from 'chai';
import { openSealedJson } from '../../../core/json.ts';
import { lockLog } from '../../../core/keys.ts';
import { lockViolations } from '../../../core/meta/lock-check.ts';
import { canonicalLockPath, DirectLocks } from '../../../core/meta/locks.ts';
import type { Lock } from '../../../core/meta/model.ts';
import { secureRandom } from '../../../core/random.ts';
import { codeOf, errorOf } from '../../support/code-of.ts';
import { createWorld, entryOf, listAll, REPO, type World } from '../../support/meta-world.ts';

const ask = (world: World, path: string, owner = 'ada') =>
  world.locks.lock({ path, owner, ref: null });

describe('core/meta/locks', () => {
  it('gives a lock with id, owner, time and ref, and lists it', async () => {
    const world = createWorld();
    const lock = await world.locks.lock({
      path: 'data/a.csv',
      owner: 'ada',
      ref: 'refs/heads/main',
    });
    expect(lock.id).to.match(/^[0-9a-f]{32}$/);
    expect(lock).to.deep.include({
      path: 'data/a.csv',
      owner: 'ada',
      ref: 'refs/heads/main',
      lockedAt: '2026-01-01T00:00:00.000Z',
    });
    expect(await world.locks.list()).to.deep.equal([lock]);
    expect(await createWorld().locks.list()).to.deep.equal([]);
  });

  it('refuses a held path, to its holder too, and names the holder', async () => {
    const world = createWorld();
    await ask(world, 'a.csv');
    expect(await codeOf(ask(world, 'a.csv'))).to.equal('LOCKED');
    const { code, message } = await errorOf(ask(world, 'a.csv', 'bob'));
    expect(code).to.equal('LOCKED');
    expect(message).to.include('a.csv').and.include('ada').and.include('2026-01-01');
  });

  it('takes twins of a path for the path', async () => {
    const world = createWorld();
    await ask(world, 'Data/caf\u00e9.csv');
    for (const twin of ['data/caf\u00e9.csv', 'Data/cafe\u0301.csv', 'DATA/CAFE\u0301.CSV']) {
      expect(await codeOf(ask(world, twin, 'bob'))).to.equal('LOCKED');
    }
    await ask(world, 'data/other.csv', 'bob');
  });

  it('refuses paths with another spelling, or with none in a work tree', async () => {
    for (const path of [
      '',
      '/',
      '/a',
      'a/',
      'a//b',
      './a',
      'a/./b',
      '../a',
      'a/..',
      'a\\b',
      'a\nb',
      'a\0',
      '\ud800',
      'x'.repeat(5000),
    ]) {
      expect(await codeOf(() => canonicalLockPath(path)), path).to.equal('INVALID');
    }
    expect(canonicalLockPath('.config/ü "x" 1.csv')).to.equal('.config/ü "x" 1.csv');
    expect(await codeOf(ask(createWorld(), 'a', ''))).to.equal('INVALID');
    expect(await codeOf(ask(createWorld(), 'a', 'eve\nada'))).to.equal('INVALID');
  });

  it('gives one of many that ask at once the lock', async () => {
    const world = createWorld();
    const clients = Array.from(
      { length: 8 },
      () => new DirectLocks({ backend: world.backend, repo: REPO, random: secureRandom }),
    );
    const outcomes = await Promise.allSettled(
      clients.map((client, index) =>
        client.lock({ path: 'a.csv', owner: `user ${index}`, ref: null }),
      ),
    );
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).to.have.length(1);
    expect(await world.locks.list()).to.have.length(1);
  });

  it('gives every one of many that ask for different paths at once his lock', async () => {
    const world = createWorld();
    await Promise.all(Array.from({ length: 8 }, (_, index) => ask(world, `file ${index}`)));
    expect(await world.locks.list()).to.have.length(8);
  });

  it('lets the owner unlock, others only by force, and nobody an unknown id', async () => {
    const world = createWorld();
    const lock = await ask(world, 'a.csv');
    expect(
      await codeOf(world.locks.unlock({ id: '0'.repeat(32), owner: 'ada', force: true })),
    ).to.equal('NOT_FOUND');
    expect(await codeOf(world.locks.unlock({ id: lock.id, owner: 'bob', force: false }))).to.equal(
      'FORBIDDEN',
    );
    expect(await world.locks.list()).to.have.length(1);
    expect(await world.locks.unlock({ id: lock.id, owner: 'ada', force: false })).to.deep.equal(
      lock,
    );
    expect(await world.locks.list()).to.deep.equal([]);
    expect(await codeOf(world.locks.unlock({ id: lock.id, owner: 'ada', force: false }))).to.equal(
      'NOT_FOUND',
    );
    const again = await ask(world, 'a.csv', 'bob');
    expect(again.id).not.to.equal(lock.id);
  });

  it('writes down who took a lock by force', async () => {
    const world = createWorld();
    const lock = await ask(world, 'a.csv');
    await world.locks.unlock({ id: lock.id, owner: 'admin', force: true });
    const [newest] = await listAll(world.inner.list(lockLog(REPO)));
    if (newest === undefined) throw new Error('no entry');
    const bytes = await listAll(world.inner.get(newest.key));
    const { event } = openSealedJson(Buffer.concat(bytes), 'the entry');
    expect(event).to.deep.equal({
      action: 'unlocked',
      lock,
      by: 'admin',
      at: '2026-01-01T00:00:00.000Z',
      held: [],
    });
  });
});

describe('core/meta/lock-check', () => {
  const lockOf = (path: string, owner: string): Lock => ({
    id: '0',
    path,
    owner,
    lockedAt: '',
    ref: null,
  });

  it('names changed, added and removed paths that somebody else holds', async () => {
    const world = createWorld();
    const before = await world.bundle([
      entryOf('kept'),
      entryOf('edited', '1'),
      entryOf('removed'),
    ]);
    const after = await world.bundle([
      entryOf('kept'),
      entryOf('Edited', '1'),
      entryOf('edited', '2'),
      entryOf('added'),
    ]);
    const held = [
      lockOf('kept', 'bob'),
      lockOf('edited', 'bob'),
      lockOf('removed', 'carl'),
      lockOf('added', 'ada'),
    ];
    const trees = { before: before.descriptor.tree, after: after.descriptor.tree };
    const found = await lockViolations({ pages: world.pages, held, ...trees, by: 'ada' });
    expect(found.map(({ path, lock }) => `${path} (${lock.owner})`)).to.deep.equal([
      'Edited (bob)',
      'edited (bob)',
      'removed (carl)',
    ]);
  });

  it('knows a person by name, by mail and by both', async () => {
    const world = createWorld();
    const { descriptor } = await world.bundle([entryOf('a')]);
    const violates = async (owner: string, by: string) => {
      const held = [lockOf('a', owner)];
      return (
        (
          await lockViolations({
            pages: world.pages,
            held,
            before: null,
            after: descriptor.tree,
            by,
          })
        ).length === 1
      );
    };
    expect(await violates('Ada', 'Ada <ada@example.org>')).to.equal(false);
    expect(await violates('ada@example.org', 'Ada <ada@example.org>')).to.equal(false);
    expect(await violates('Ada <ada@example.org>', 'ada@example.org')).to.equal(false);
    expect(await violates('Bob', 'Ada <ada@example.org>')).to.equal(true);
    expect(await violates('<>', 'Ada <>')).to.equal(true);
  });

  it('reads no page where nobody else holds a lock', async () => {
    const world = createWorld();
    const { descriptor } = await world.bundle([entryOf('a')]);
    world.pages.reads.length = 0;
    const held = [lockOf('a', 'ada')];
    await lockViolations({
      pages: world.pages,
      held,
      before: null,
      after: descriptor.tree,
      by: 'ada',
    });
    expect(world.pages.reads).to.deep.equal([]);
  });
});
