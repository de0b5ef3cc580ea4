/** History on a backend: bundles, branch logs, tags and labels, pending pushes; raced, repeated and in odd orders. */
import { expect } from 'chai';
import { bytesBody } from '../../../core/backend/backend.ts';
import { digestOf } from '../../../core/digest.ts';
import { DatamonError } from '../../../core/errors.ts';
import {
  bundleKey,
  commitsPrefix,
  type GitSha,
  type Key,
  settingsLog,
} from '../../../core/keys.ts';
import type { Announcement } from '../../../core/meta/model.ts';
import { recordBundle } from '../../../core/meta/record.ts';
import { refTarget, remoteIdOf } from '../../../core/meta/ref-names.ts';
import { codeOf, errorOf } from '../../support/code-of.ts';
import { createFaultyBackend, FaultPlan } from '../../support/faulty-backend.ts';
import {
  createWorld,
  entryOf,
  FREE_RECEIPT,
  listAll,
  pushIdOf,
  REMOTE,
  REPO,
  type World,
} from '../../support/meta-world.ts';

const mainLog = async (world: World) =>
  (await listAll(world.history.branchLog('main'))).map(({ n, event }) => ({
    n,
    gap: event.gap,
    bundle: event.bundle,
  }));

async function announcementOf(world: World, id: string, names = ['a']): Promise<Announcement> {
  const refs = [];
  for (const name of names) {
    const { bundle, descriptor, totals } = await world.commit(name);
    refs.push({
      ref: 'refs/heads/main',
      gitOld: null,
      gitNew: descriptor.commit,
      bundle,
      totals,
      extraOids: null,
      missing: [],
      forced: false,
    });
  }
  return { pushId: pushIdOf(id), remote: REMOTE, refs, pushedBy: 'ada', receipt: FREE_RECEIPT };
}

describe('core/meta/history: bundles', () => {
  it('names no bundle unread that was there before it was put', async () => {
    const world = createWorld();
    const { descriptor, bundle } = await world.commit('a');
    const key = bundleKey(REPO, bundle);
    await world.inner.remove(key);
    await world.inner.putIfAbsent(key, bytesBody(Buffer.from('{}')));
    const other = world.openHistory();
    expect(await other.putBundle(descriptor)).to.equal(bundle);
    expect(await codeOf(other.recordMove(await world.move(null, 'a')))).to.equal('CORRUPT');
  });

  it('appends after the head that was read, or after the one that came since', async () => {
    const world = createWorld();
    await world.push(null, 'a');
    const other = world.openHistory();
    const read = async () => (await listAll(other.branchLog('main')))[0]?.n;
    expect(await read()).to.equal(1);
    expect(await other.recordMove(await world.move('a', 'b'))).to.equal('recorded');
    expect(await read()).to.equal(2);
    await world.push('b', 'c');
    expect(await other.recordMove(await world.move('b', 'd'))).to.equal('gap');
    expect(await read()).to.equal(4);
    await world.push('d', 'e');
    expect(await other.recordMove(await world.move('d', 'e'))).to.equal('already');
    expect(await read()).to.equal(5);
  });

  it('stores a bundle once and gives it back', async () => {
    const world = createWorld();
    const { bundle, descriptor } = await world.commit('a');
    expect(await world.history.putBundle(descriptor)).to.equal(bundle);
    expect(await world.history.getBundle(bundle)).to.deep.equal(descriptor);
  });

  it('refuses a bundle whose root page is not stored', async () => {
    const world = createWorld();
    const { descriptor } = await world.commit('a');
    world.pages.stored.clear();
    expect(await codeOf(world.history.putBundle(descriptor))).to.equal('INCOMPLETE');
  });

  it('says which bundle a repo does not have, and where to look', async () => {
    const { message, code, hint } = await errorOf(createWorld().history.getBundle(digestOf('x')));
    expect(code).to.equal('NOT_FOUND');
    expect(message).to.include(digestOf('x')).and.include(REPO);
    expect(hint).to.include('datamon log');
  });

  it('finds bundles by prefix, so many and no more', async () => {
    const world = createWorld();
    const { bundle } = await world.commit('a');
    expect(await world.history.findBundles(bundle.slice(0, 6), 5)).to.deep.equal([bundle]);
    expect(await world.history.findBundles(bundle, 5)).to.deep.equal([bundle]);
    expect(await world.history.findBundles(bundle.slice(0, 6), 0)).to.deep.equal([]);
    expect(await world.history.findBundles('0000000', 5)).to.deep.equal([]);
    for (const prefix of ['', 'abc', 'ABCD', '../..', `${bundle}0`]) {
      expect(await codeOf(world.history.findBundles(prefix, 5))).to.equal('INVALID');
    }
  });

  it('finds commits by prefix without walking their logs', async () => {
    const world = createWorld();
    const shas: GitSha[] = [];
    for (const name of ['a', 'b', 'c']) {
      await world.push(null, name);
      shas.push((await world.commit(name)).descriptor.commit);
    }
    for (const sha of shas) {
      expect(await world.history.findCommits(sha.slice(0, 8), 9)).to.deep.equal([sha]);
      expect(await world.history.bundleOfCommit(sha)).to.be.a('string');
    }
    expect(await world.history.bundleOfCommit('1'.repeat(40) as GitSha)).to.equal(null);
    expect(await codeOf(world.history.findCommits('12', 9))).to.equal('INVALID');
  });
});

describe('core/meta/history: moves', () => {
  it('appends a move that starts at the head, with everything that is known of it', async () => {
    const world = createWorld();
    expect(await world.push(null, 'a')).to.equal('recorded');
    expect(
      await world.push('a', 'b', {
        forced: true,
        missing: [digestOf('m')],
        extraOids: digestOf('e'),
      }),
    ).to.equal('recorded');
    const [head] = await listAll(world.history.branchLog('main'));
    const { descriptor, bundle, totals } = await world.commit('b');
    expect(head).to.deep.equal({
      n: 2,
      event: {
        branch: 'main',
        bundle,
        gitOld: (await world.commit('a')).descriptor.commit,
        gitNew: descriptor.commit,
        totals,
        extraOids: digestOf('e'),
        missing: [digestOf('m')],
        pushId: pushIdOf('a→b'),
        pushedBy: 'Ada <ada@example.org>',
        pushedAt: '2026-01-01T00:02:00.000Z',
        receipt: FREE_RECEIPT,
        gap: false,
        forced: true,
        lockViolations: [],
      },
    });
  });

  it('is done where the head is there already, whoever says it', async () => {
    const world = createWorld();
    await world.push(null, 'a');
    expect(await world.push(null, 'a')).to.equal('already');
    expect(await world.push('b', 'a', { pushId: pushIdOf('CI') })).to.equal('already');
    expect(await mainLog(world)).to.have.length(1);
  });

  it('marks an entry that does not follow the head as following a gap', async () => {
    const world = createWorld();
    await world.push(null, 'a');
    expect(await world.push('b', 'c')).to.equal('gap');
    expect(await world.push('c', 'd')).to.equal('recorded');
    expect((await mainLog(world)).map(({ n, gap }) => [n, gap])).to.deep.equal([
      [3, false],
      [2, true],
      [1, false],
    ]);
  });

  it('marks the first entry too where the branch is older than its log', async () => {
    const world = createWorld();
    expect(await world.push('a', 'b')).to.equal('gap');
  });

  it('records there and back again as two moves', async () => {
    const world = createWorld();
    await world.push(null, 'a');
    await world.push('a', 'b');
    expect(await world.push('b', 'a', { forced: true })).to.equal('recorded');
    expect(await world.push('a', 'b', { pushId: pushIdOf('again') })).to.equal('recorded');
    expect(await mainLog(world)).to.have.length(4);
  });

  it('does not let a late confirmation of a settled push bring the old state back', async () => {
    const world = createWorld();
    await world.push(null, 'a');
    await world.push('a', 'b');
    await world.history.settle(pushIdOf('a→b'), 'confirmed');
    await world.push('b', 'a', { forced: true });
    expect(await world.push('a', 'b')).to.equal('already');
    expect(await mainLog(world)).to.have.length(3);
  });

  it('records the end of a branch, and its new beginning', async () => {
    const world = createWorld();
    await world.push(null, 'a');
    expect(await world.push('a', null)).to.equal('recorded');
    expect(await world.push('a', null)).to.equal('already');
    const [head] = await listAll(world.history.branches());
    expect(head?.event).to.include({ branch: 'main', bundle: null, gitNew: null });
    expect(await world.push(null, 'b')).to.equal('recorded');
    expect(await world.push('x', null, { ref: 'refs/heads/never-seen' })).to.equal('already');
  });

  it('lets one of many that saw a move write it', async () => {
    const world = createWorld();
    await world.push(null, 'a');
    const move = await world.move('a', 'b');
    const outcomes = await Promise.all(
      Array.from({ length: 8 }, () => world.openHistory().recordMove(move)),
    );
    expect(outcomes.filter((outcome) => outcome === 'recorded')).to.have.length(1);
    expect(outcomes.filter((outcome) => outcome === 'already')).to.have.length(7);
    expect(await mainLog(world)).to.have.length(2);
  });

  it('keeps every one of many different moves that race', async () => {
    const world = createWorld();
    await world.push(null, 'start');
    const names = ['b', 'c', 'd', 'e', 'f'];
    const moves = [];
    for (const name of names) moves.push(await world.move('start', name));
    const outcomes = await Promise.all(moves.map((move) => world.openHistory().recordMove(move)));
    expect(outcomes.filter((outcome) => outcome === 'recorded')).to.have.length(1);
    expect(outcomes.filter((outcome) => outcome === 'gap')).to.have.length(4);
    expect((await mainLog(world)).map(({ n }) => n)).to.deep.equal([6, 5, 4, 3, 2, 1]);
  });

  it('counts a move once though the acknowledgement of its entry was lost', async () => {
    const plan = new FaultPlan();
    const world = createWorld({ backend: (inner) => createFaultyBackend(inner, plan) });
    const move = await world.move(null, 'a');
    // The bundle was the first put; the commit's entry is the second, the branch's the third.
    plan.loseAcknowledgement('putIfAbsent', 3);
    expect(await world.history.recordMove(move)).to.equal('recorded');
    expect(await mainLog(world)).to.have.length(1);
  });

  it('can be repeated after it failed between commit and branch', async () => {
    const plan = new FaultPlan();
    const world = createWorld({ backend: (inner) => createFaultyBackend(inner, plan) });
    const move = await world.move(null, 'a');
    plan.fail('putIfAbsent', 3);
    expect(await codeOf(world.history.recordMove(move))).to.equal('UNAVAILABLE');
    expect(await mainLog(world)).to.have.length(0);
    expect(await world.history.recordMove(move)).to.equal('recorded');
    const commits = await listAll(world.inner.list(commitsPrefix(REPO)));
    expect(commits).to.have.length(1);
  });

  it('names no bundle that is not stored, and no commit that is not the bundle’s', async () => {
    const world = createWorld();
    expect(await codeOf(world.push(null, 'a', { bundle: digestOf('nowhere') }))).to.equal(
      'INCOMPLETE',
    );
    expect(await codeOf(world.push(null, 'a', { gitNew: '1'.repeat(40) as GitSha }))).to.equal(
      'INVALID',
    );
    expect(await codeOf(world.push(null, 'a', { bundle: null }))).to.equal('INVALID');
    expect(await codeOf(world.push(null, 'a', { ref: 'refs/heads/\n' }))).to.equal('INVALID');
    expect(await mainLog(world)).to.deep.equal([]);
  });

  it('appends to a commit only where it was recorded anew with another outcome', async () => {
    const world = createWorld();
    const { descriptor, bundle } = await world.commit('a');
    await world.push(null, 'a');
    await world.push(null, 'a', { ref: 'refs/heads/other' });
    const again = await recordBundle(world, {
      commit: descriptor.commit,
      commitObject: Buffer.from(descriptor.commitObject, 'base64'),
      entries: [entryOf('a.csv', 'a')],
      rules: { recorder: 2, config: null },
      pointerExtensions: [],
    });
    expect(again.bundle).not.to.equal(bundle);
    await world.push(null, 'a', { ref: 'refs/heads/third', bundle: again.bundle });
    expect(await world.history.bundleOfCommit(descriptor.commit)).to.equal(again.bundle);
    const entries = await listAll(world.inner.list(`${commitsPrefix(REPO)}${descriptor.commit}/`));
    expect(entries).to.have.length(2);
  });

  it('marks what was pushed over a lock of somebody else', async () => {
    const asked: unknown[] = [];
    const world = createWorld({
      lockViolations: async (change) => {
        asked.push(change);
        return ['a.csv (Bob)'];
      },
    });
    await world.push(null, 'a');
    await world.push('a', 'b');
    const [head] = await listAll(world.history.branchLog('main'));
    expect(head?.event.lockViolations).to.deep.equal(['a.csv (Bob)']);
    expect(asked[1]).to.deep.equal({
      before: await world.digestOfCommit('a'),
      after: await world.digestOfCommit('b'),
      by: 'Ada <ada@example.org>',
    });
  });
});

describe('core/meta/history: trouble', () => {
  it('records a move though its locks cannot be checked, and waits where that may pass', async () => {
    const failures = [
      new DatamonError('CORRUPT', 'a page is gone'),
      new DatamonError('UNAVAILABLE', 'later'),
    ];
    const world = createWorld({
      lockViolations: async () => {
        throw failures.shift();
      },
    });
    expect(await world.push(null, 'a')).to.equal('recorded');
    expect(await codeOf(world.push('a', 'b'))).to.equal('UNAVAILABLE');
    expect(await mainLog(world)).to.have.length(1);
  });

  it('never passes on a bundle with a flipped bit', async () => {
    const plan = new FaultPlan();
    const world = createWorld({ backend: (inner) => createFaultyBackend(inner, plan) });
    const { bundle } = await world.commit('a');
    plan.flipBit(1, 1000);
    expect(await codeOf(world.history.getBundle(bundle))).to.equal('CORRUPT');
    expect((await world.history.getBundle(bundle)).commit).to.be.a('string');
  });
});

describe('core/meta/history: names of refs', () => {
  it('puts each ref into the log it belongs to', () => {
    const target = (ref: string, remote = REMOTE) => refTarget(ref, remote, REMOTE);
    const other = 'gitlab.com/acme/mirror';
    const id = remoteIdOf(other);
    expect(id).to.equal(digestOf(other).slice(0, 16));
    expect(target('refs/heads/main')).to.deep.equal({ kind: 'branch', name: 'main' });
    expect(target('refs/heads/a/b')).to.deep.equal({ kind: 'branch', name: 'a/b' });
    expect(target('refs/tags/v1')).to.deep.equal({ kind: 'label', name: 'v1' });
    expect(target('refs/notes/x')).to.deep.equal({ kind: 'branch', name: 'refs/notes/x' });
    expect(target('refs/heads/refs/notes/x').name).to.equal('refs/heads/refs/notes/x');
    expect(target('refs/for/main').name).to.equal('refs/for/main');
    expect(target('refs/heads/main', other)).to.deep.equal({ kind: 'branch', name: `~${id}/main` });
    expect(target('refs/tags/v1', other)).to.deep.equal({
      kind: 'branch',
      name: `~${id}/refs/tags/v1`,
    });
  });

  it('logs another remote apart', async () => {
    const world = createWorld();
    await world.push(null, 'a');
    await world.push(null, 'b', { remote: 'gitlab.com/mirror' });
    const names = (await listAll(world.history.branches())).map(({ event }) => event.branch);
    expect(names).to.have.members(['main', `~${remoteIdOf('gitlab.com/mirror')}/main`]);
  });

  it('makes the first remote seen to move the canonical one where the repo was made without', async () => {
    const world = createWorld({ remote: null });
    expect((await world.history.info()).remote).to.equal(null);
    await Promise.all([
      world.openHistory().recordMove(await world.move(null, 'a')),
      world.openHistory().recordMove(await world.move(null, 'a', { remote: 'gitlab.com/mirror' })),
    ]);
    const { remote } = await world.openHistory().info();
    const names = (await listAll(world.history.branches())).map(({ event }) => event.branch);
    const other = remote === REMOTE ? 'gitlab.com/mirror' : REMOTE;
    expect(names).to.have.members(['main', `~${remoteIdOf(other)}/main`]);
    expect(await listAll(world.inner.list(settingsLog(REPO)))).to.have.length(1);
    await world.push('a', 'b');
    expect(await listAll(world.inner.list(settingsLog(REPO)))).to.have.length(1);
  });

  it('lists branches by one name each, odd ones and long ones too', async () => {
    const world = createWorld();
    const names = ['main', 'main-2', 'main/sub', 'Main', 'Grüße', 'x'.repeat(400)];
    for (const name of names) {
      for (const [from, to] of [
        [null, 'a'],
        ['a', 'b'],
        ['b', 'c'],
      ] as const) {
        await world.push(from, to, { ref: `refs/heads/${name}` });
      }
    }
    const heads = await listAll(world.history.branches());
    expect(heads.map(({ event }) => event.branch)).to.have.members(names);
    expect(heads.every(({ n }) => n === 3)).to.equal(true);
  });

  it('reads a branch from before an entry, and nothing of a branch it does not know', async () => {
    const world = createWorld();
    await world.push(null, 'a');
    await world.push('a', 'b');
    await world.push('b', 'c');
    const older = await listAll(world.history.branchLog('main', 3));
    expect(older.map(({ n }) => n)).to.deep.equal([2, 1]);
    expect(await listAll(world.history.branchLog('nowhere'))).to.deep.equal([]);
  });
});

describe('core/meta/history: labels and tags', () => {
  it('sets, moves and removes labels by hand', async () => {
    const world = createWorld();
    const [a, b] = [await world.digestOfCommit('a'), await world.digestOfCommit('b')];
    await world.history.setLabel('good', a, 'ada');
    await world.history.setLabel('good', a, 'ada');
    await world.history.setLabel('good', b, 'bob');
    await world.history.setLabel('good', null, 'eve');
    const log = (await listAll(world.history.labelLog('good'))).map(({ n, event }) => [
      n,
      event.bundle,
      event.by,
    ]);
    expect(log).to.deep.equal([
      [3, null, 'eve'],
      [2, b, 'bob'],
      [1, a, 'ada'],
    ]);
    expect(await codeOf(world.history.setLabel('good', null, 'eve'))).to.equal('NOT_FOUND');
    expect(await codeOf(world.history.setLabel('never', null, 'eve'))).to.equal('NOT_FOUND');
    expect(await codeOf(world.history.setLabel('good', digestOf('nowhere'), 'eve'))).to.equal(
      'NOT_FOUND',
    );
  });

  it('refuses labels that a reference could not name', async () => {
    const world = createWorld();
    const bundle = await world.digestOfCommit('a');
    for (const label of [
      '',
      ' ',
      'a b',
      'a:b',
      'a~1',
      'a@{1}',
      '-x',
      'a..b',
      'latest',
      'a\n',
      '~x/main',
    ]) {
      expect(await codeOf(world.history.setLabel(label, bundle, 'ada'))).to.equal('INVALID');
    }
  });

  it('makes a label of a tag, and lets it follow the tag', async () => {
    const world = createWorld();
    const ref = 'refs/tags/v1';
    expect(await world.push(null, 'a', { ref })).to.equal('recorded');
    expect(await world.push(null, 'a', { ref })).to.equal('already');
    expect(await world.push('a', 'b', { ref, forced: true })).to.equal('recorded');
    expect(await world.push('b', null, { ref })).to.equal('recorded');
    expect(await world.push('b', null, { ref })).to.equal('already');
    const bundles = (await listAll(world.history.labelLog('v1'))).map(({ event }) => event.bundle);
    expect(bundles).to.deep.equal([
      null,
      await world.digestOfCommit('b'),
      await world.digestOfCommit('a'),
    ]);
    const [head] = await listAll(world.history.labels());
    expect(head).to.deep.equal({
      n: 3,
      event: {
        label: 'v1',
        bundle: null,
        by: 'Ada <ada@example.org>',
        at: '2026-01-01T00:04:00.000Z',
      },
    });
    expect(await listAll(world.history.branches())).to.deep.equal([]);
  });

  it('leaves a label alone that a person set', async () => {
    const world = createWorld();
    const mine = await world.digestOfCommit('mine');
    await world.history.setLabel('v1', mine, 'bob');
    expect(await world.push(null, 'a', { ref: 'refs/tags/v1' })).to.equal('already');
    expect(await world.push('a', null, { ref: 'refs/tags/v1' })).to.equal('already');
    const [head] = await listAll(world.history.labels());
    expect(head?.event.bundle).to.equal(mine);
    // The commit of the tag can be found all the same.
    expect(await world.history.bundleOfCommit((await world.commit('a')).descriptor.commit)).to.be.a(
      'string',
    );
  });

  it('lets a person take over the label of a tag', async () => {
    const world = createWorld();
    await world.push(null, 'a', { ref: 'refs/tags/v1' });
    const a = await world.digestOfCommit('a');
    await world.history.setLabel('v1', a, 'bob');
    expect(await world.push('a', 'b', { ref: 'refs/tags/v1' })).to.equal('already');
    const [head] = await listAll(world.history.labels());
    expect(head?.event).to.include({ bundle: a, by: 'bob' });
  });
});

describe('core/meta/history: pending pushes', () => {
  it('lists what was announced and not yet done, oldest first', async () => {
    const world = createWorld();
    for (const id of ['one', 'two', 'three', 'four']) {
      world.clock.now = new Date(world.clock.now.getTime() + 1000);
      await world.history.announce(await announcementOf(world, id));
    }
    await world.history.settle(pushIdOf('two'), 'confirmed');
    await world.history.settle(pushIdOf('four'), 'abandoned');
    const open = await listAll(world.history.pending());
    expect(open).to.deep.equal([
      await announcementOf(world, 'one'),
      await announcementOf(world, 'three'),
    ]);
  });

  it('finds one push without listing all there ever were', async () => {
    let lists = 0;
    const world = createWorld({
      backend: (inner) => ({
        ...inner,
        list(prefix, after) {
          lists += 1;
          return inner.list(prefix, after);
        },
      }),
    });
    for (const id of ['one', 'two']) await world.history.announce(await announcementOf(world, id));
    lists = 0;
    const find = (id: string) => listAll(world.history.pending(pushIdOf(id)));
    expect(await find('one')).to.deep.equal([await announcementOf(world, 'one')]);
    expect(await find('three')).to.deep.equal([]);
    await world.history.settle(pushIdOf('one'), 'confirmed');
    expect(await find('one')).to.deep.equal([]);
    expect(lists).to.equal(0);
  });

  it('takes the same announcement twice and another by the same id never', async () => {
    const world = createWorld();
    await world.history.announce(await announcementOf(world, 'one'));
    world.clock.now = new Date(world.clock.now.getTime() + 1000);
    await world.history.announce(await announcementOf(world, 'one'));
    expect(
      await codeOf(world.history.announce(await announcementOf(world, 'one', ['b']))),
    ).to.equal('CONFLICT');
    expect(await listAll(world.history.pending())).to.have.length(1);
  });

  it('announces nothing whose bundles are not stored, and shows nothing of what is announced', async () => {
    const world = createWorld();
    const announcement = await announcementOf(world, 'one');
    const refs = announcement.refs.map((ref) => ({ ...ref, bundle: digestOf('nowhere') }));
    expect(await codeOf(world.history.announce({ ...announcement, refs }))).to.equal('INCOMPLETE');
    await world.history.announce(announcement);
    expect(await listAll(world.history.branches())).to.deep.equal([]);
    expect(
      await world.history.bundleOfCommit((await world.commit('a')).descriptor.commit),
    ).to.equal(null);
  });

  it('keeps the first outcome', async () => {
    const world = createWorld();
    await world.history.announce(await announcementOf(world, 'one'));
    const removed: string[] = [];
    const { remove } = world.backend;
    Object.assign(world.backend, {
      remove: (key: Key) => {
        removed.push(key);
        return remove(key);
      },
    });
    await world.history.settle(pushIdOf('one'), 'abandoned');
    await world.history.settle(pushIdOf('one'), 'confirmed');
    expect(removed).to.deep.equal([]);
    expect(await listAll(world.history.pending())).to.deep.equal([]);
    // Abandoned is not confirmed: should the ref have moved after all, the move counts.
    await world.push(null, 'b');
    expect(await world.push('b', 'a', { pushId: pushIdOf('one') })).to.equal('recorded');
  });
});
