/** References: every way to name a bundle, nothing guessed. */
import { expect } from 'chai';
import type { digestOf } from '../../../core/digest.ts';
import type { GitSha } from '../../../core/keys.ts';
import { remoteIdOf } from '../../../core/meta/ref-names.ts';
import { parseRefPath, parseRefText } from '../../../core/meta/ref-text.ts';
import { resolveRef } from '../../../core/meta/resolve.ts';
import { codeOf, errorOf } from '../../support/code-of.ts';
import { createWorld, type World } from '../../support/meta-world.ts';

/** main: a (00:01), b (00:02), c (00:03); dev: d (00:04); label good → a, tag v1 → b. */
async function history(): Promise<World> {
  const world = createWorld();
  await world.push(null, 'a');
  await world.push('a', 'b');
  await world.push('b', 'c');
  await world.push(null, 'd', { ref: 'refs/heads/dev/x' });
  await world.history.setLabel('good', await world.digestOfCommit('a'), 'ada');
  await world.push(null, 'b', { ref: 'refs/tags/v1' });
  return world;
}

const nameOf = async (world: World, text: string, options = {}): Promise<string> => {
  const { bundle } = await resolveRef(world, text, options);
  for (const name of ['a', 'b', 'c', 'd', 'e']) {
    if ((await world.digestOfCommit(name)) === bundle) return name;
  }
  return bundle;
};

describe('core/meta/resolve', () => {
  it('finds bundles by id and prefix, branches, labels, tags and commits', async () => {
    const world = await history();
    const a = await world.commit('a');
    expect(await nameOf(world, a.bundle)).to.equal('a');
    expect(await nameOf(world, a.bundle.slice(0, 8))).to.equal('a');
    expect(await nameOf(world, a.descriptor.commit)).to.equal('a');
    expect(await nameOf(world, a.descriptor.commit.slice(0, 8))).to.equal('a');
    expect(await nameOf(world, 'main')).to.equal('c');
    expect(await nameOf(world, 'dev/x')).to.equal('d');
    expect(await nameOf(world, 'refs/heads/main')).to.equal('c');
    expect(await nameOf(world, 'good')).to.equal('a');
    expect(await nameOf(world, 'v1')).to.equal('b');
    expect(await nameOf(world, 'refs/tags/v1')).to.equal('b');
    expect(await nameOf(world, 'latest')).to.equal('d');
  });

  it('says how it found it', async () => {
    const world = await history();
    const { descriptor, bundle } = await world.commit('a');
    const how = async (text: string) => {
      const { how: found, name, event } = await resolveRef(world, text);
      return [found, name, event?.n ?? null];
    };
    expect(await how('main')).to.deep.equal(['branch', 'main', 3]);
    expect(await how('latest')).to.deep.equal(['branch', 'dev/x', 1]);
    expect(await how('good')).to.deep.equal(['label', 'good', null]);
    expect(await how(bundle.slice(0, 9))).to.deep.equal(['bundle', bundle, null]);
    expect(await how(descriptor.commit.slice(0, 9))).to.deep.equal([
      'commit',
      descriptor.commit,
      null,
    ]);
  });

  it('takes a full id for that bundle or commit, whatever branches and labels are called', async () => {
    const world = await history();
    const { bundle, descriptor } = await world.commit('a');
    await world.push(null, 'b', { ref: `refs/heads/${bundle}` });
    await world.push(null, 'b', { ref: `refs/tags/${descriptor.commit}` });
    expect(await nameOf(world, bundle)).to.equal('a');
    expect(await nameOf(world, descriptor.commit)).to.equal('a');
    expect(await nameOf(world, `refs/heads/${bundle}`)).to.equal('b');
    for (const label of [bundle, descriptor.commit, 'ab'.repeat(20)]) {
      expect(await codeOf(world.history.setLabel(label, bundle, 'ada'))).to.equal('INVALID');
    }
  });

  it('takes a name before the first digits of an id', async () => {
    const world = await history();
    const { bundle } = await world.commit('a');
    await world.push(null, 'b', { ref: `refs/heads/${bundle.slice(0, 8)}` });
    expect(await nameOf(world, bundle.slice(0, 8))).to.equal('b');
    expect(await nameOf(world, bundle.slice(0, 9))).to.equal('a');
  });

  it('tells a branch called refs/notes/x from the ref of that name, and one called latest from the newest', async () => {
    const world = await history();
    await world.push(null, 'a', { ref: 'refs/heads/refs/notes/x' });
    await world.push(null, 'b', { ref: 'refs/notes/x' });
    await world.push(null, 'c', { ref: 'refs/heads/latest' });
    await world.push(null, 'd', { ref: 'refs/heads/other' });
    expect(await nameOf(world, 'refs/heads/refs/notes/x')).to.equal('a');
    expect(await nameOf(world, 'refs/heads/refs/notes/x~0')).to.equal('a');
    expect(await nameOf(world, 'refs/notes/x')).to.equal('b');
    expect(await nameOf(world, 'latest')).to.equal('d');
    expect(await nameOf(world, 'refs/heads/latest')).to.equal('c');
  });

  it('counts pushes back', async () => {
    const world = await history();
    expect(await nameOf(world, 'main~0')).to.equal('c');
    expect(await nameOf(world, 'main~')).to.equal('b');
    expect(await nameOf(world, 'main~2')).to.equal('a');
    expect(await nameOf(world, 'refs/heads/main~2')).to.equal('a');
    expect(await nameOf(world, 'main@{1}')).to.equal('b');
    const { code, message } = await errorOf(resolveRef(world, 'main~3'));
    expect([code, message]).to.deep.equal([
      'NOT_FOUND',
      'main~3: the branch main has 3 pushes, none that old',
    ]);
  });

  it('looks up what stood somewhere at a time', async () => {
    const world = await history();
    expect(await nameOf(world, 'main@{2026-01-01T00:02:30Z}')).to.equal('b');
    expect(await nameOf(world, 'main@{2026-01-01 00:02}')).to.equal('b');
    expect(await nameOf(world, 'main@{2026-01-01T05:31+05:30}')).to.equal('a');
    expect(await nameOf(world, 'main@{2026-01-01}')).to.equal('c');
    expect(await nameOf(world, '@{2026-01-01T00:01:59Z}')).to.equal('a');
    expect(await nameOf(world, '@{2026-01-01}')).to.equal('d');
    expect(await nameOf(world, 'good@{2026-01-02}')).to.equal('a');
    const now = new Date('2026-01-01T00:05:10Z');
    expect(await nameOf(world, 'main@{3 minutes ago}', { now })).to.equal('b');
    expect(await nameOf(world, '@{now}', { now })).to.equal('d');
    expect(await codeOf(resolveRef(world, 'main@{yesterday}', { now }))).to.equal('NOT_FOUND');
    expect(await codeOf(resolveRef(world, '@{2025-01-01}'))).to.equal('NOT_FOUND');
    for (const bad of ['main@{soon}', 'main@{}', 'main@{2026-13-01}', 'main@{yesterday}']) {
      expect(await codeOf(resolveRef(world, bad)), bad).to.equal('INVALID');
    }
  });

  it('refuses what could be several and names them', async () => {
    const world = await history();
    await world.history.setLabel('main', await world.digestOfCommit('a'), 'ada');
    const { code, message, hint } = await errorOf(resolveRef(world, 'main'));
    expect(code).to.equal('INVALID');
    expect(message).to.include('branch main').and.include('label main');
    expect(hint).to.include('refs/heads/');
    expect(await nameOf(world, 'refs/heads/main')).to.equal('c');
    expect(await nameOf(world, 'refs/tags/main')).to.equal('a');
    await world.history.setLabel('main', await world.digestOfCommit('c'), 'ada');
    expect(await nameOf(world, 'main')).to.equal('c');
  });

  it('refuses a prefix of several bundles', async () => {
    const world = await history();
    const ids = [`abcd${'1'.repeat(60)}`, `abcd${'2'.repeat(60)}`].map(
      (text) => text as ReturnType<typeof digestOf>,
    );
    const fake = Object.assign(Object.create(world.history), {
      findBundles: async () => ids,
      findCommits: async () => [],
    });
    fake.branchLog = world.history.branchLog.bind(world.history);
    fake.labelLog = world.history.labelLog.bind(world.history);
    const { code, message } = await errorOf(
      resolveRef({ name: world.name, history: fake }, 'abcd'),
    );
    expect([code, message]).to.deep.equal([
      'INVALID',
      '"abcd" could be: bundle abcd11111111, bundle abcd22222222',
    ]);
  });

  it('prefers a name to an id that looks like it', async () => {
    const world = await history();
    const prefix = (await world.digestOfCommit('a')).slice(0, 6);
    await world.push(null, 'b', { ref: `refs/heads/${prefix}` });
    expect(await nameOf(world, prefix)).to.equal('b');
  });

  it('asks the clone last, and says how to make a bundle of a commit without one', async () => {
    const world = await history();
    const commit = (await world.commit('b')).descriptor.commit;
    const asked: string[] = [];
    const git = async (text: string): Promise<GitSha | null> => {
      asked.push(text);
      return text === 'HEAD^' ? commit : text === 'HEAD' ? ('1'.repeat(40) as GitSha) : null;
    };
    expect(await nameOf(world, 'main', { git })).to.equal('c');
    expect(asked).to.deep.equal([]);
    expect(await nameOf(world, 'HEAD^', { git })).to.equal('b');
    const { code, hint } = await errorOf(resolveRef(world, 'HEAD', { git }));
    expect(code).to.equal('NOT_FOUND');
    expect(hint).to.include('datamon record HEAD');
    expect(await codeOf(resolveRef(world, 'HEAD~7', { git }))).to.equal('NOT_FOUND');
  });

  it('says what it does not know, and what became of a deleted branch', async () => {
    const world = await history();
    await world.push('d', null, { ref: 'refs/heads/dev/x' });
    const gone = await errorOf(resolveRef(world, 'dev/x'));
    expect(gone.message).to.match(/deleted/);
    expect(gone.hint).to.include('dev/x~1');
    expect(await nameOf(world, 'dev/x~1')).to.equal('d');
    expect(await nameOf(world, 'latest')).to.equal('c');
    const unknown = await errorOf(resolveRef(world, 'nothing'));
    expect(unknown.code).to.equal('NOT_FOUND');
    expect(unknown.hint).to.include('datamon log');
    expect(await codeOf(resolveRef(world, ''))).to.equal('INVALID');
    expect(await codeOf(resolveRef(createWorld(), 'latest'))).to.equal('NOT_FOUND');
  });

  it('finds branches of other remotes, whose names begin with a tilde', async () => {
    const world = await history();
    const remote = 'gitlab.com/mirror';
    await world.push(null, 'a', { remote });
    await world.push('a', 'e', { remote });
    const name = `~${remoteIdOf(remote)}/main`;
    expect(await nameOf(world, name)).to.equal('e');
    expect(await nameOf(world, `${name}~1`)).to.equal('a');
  });
});

describe('core/meta/ref-text', () => {
  it('splits a reference from a path', () => {
    expect(parseRefPath('main:data/a.csv')).to.deep.equal({ ref: 'main', path: 'data/a.csv' });
    expect(parseRefPath('main')).to.deep.equal({ ref: 'main', path: '' });
    expect(parseRefPath(':data')).to.deep.equal({ ref: null, path: 'data' });
    expect(parseRefPath('')).to.deep.equal({ ref: null, path: '' });
    expect(parseRefPath('main:')).to.deep.equal({ ref: 'main', path: '' });
    expect(parseRefPath('main:./a:b/')).to.deep.equal({ ref: 'main', path: 'a:b' });
    expect(parseRefPath('main:.hidden')).to.deep.equal({ ref: 'main', path: '.hidden' });
    expect(parseRefPath('main:.')).to.deep.equal({ ref: 'main', path: '' });
    expect(parseRefPath('main@{2026-01-01T10:00}:x')).to.deep.equal({
      ref: 'main@{2026-01-01T10:00}',
      path: 'x',
    });
    expect(parseRefPath('main:ü').path).to.equal('\xc3\xbc');
  });

  it('reads counts and times', () => {
    expect(parseRefText('a~b')).to.deep.equal({ base: 'a~b', position: null });
    expect(parseRefText('a~12')).to.deep.equal({ base: 'a', position: { back: 12 } });
    expect(parseRefText('~1')).to.deep.equal({ base: '~1', position: null });
    expect(parseRefText('@{2026-01-31}').position).to.deep.equal({
      at: new Date('2026-01-31T23:59:59.999Z'),
    });
    expect(() => parseRefText('main~99999999')).to.throw('too far back');
  });
});
