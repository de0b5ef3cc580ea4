/** Keys: what goes in comes out, no two names share a key, and no key is a folder of another. */
import { expect } from 'chai';
import fc from 'fast-check';
import { digestOf } from '../../core/digest.ts';
import * as keys from '../../core/keys.ts';
import { codeOf } from '../support/code-of.ts';

const repo = keys.parseRepoName('acme/images');
const pool = 'acme' as keys.PoolName;
const ID = '0123456789abcdef0123456789abcdef';
const id = keys.parseContainerId(ID);
const sha = keys.parseGitSha('a'.repeat(40));

const nameArbitrary = fc
  .oneof(
    fc.string({ minLength: 1, maxLength: 20, unit: 'binary' }),
    fc.string({
      minLength: 1,
      maxLength: 12,
      unit: fc.constantFrom('a', 'A', '/', '.', '~', '%', '=', '-', '0', '1', ' ', 'é'),
    }),
    fc.string({ minLength: 80, maxLength: 300, unit: 'grapheme' }),
  )
  .filter((name) => Buffer.from(name).toString() === name);

const repoPart = fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9._-]{0,20}$/);
const repoArbitrary = fc
  .oneof(
    repoPart,
    fc.tuple(repoPart, repoPart).map((parts) => parts.join('/')),
  )
  .filter((name) => {
    try {
      return keys.parseRepoName(name).length > 0;
    } catch {
      return false;
    }
  })
  .map((name) => keys.parseRepoName(name));

const hex = (length: number) =>
  fc.string({ minLength: length, maxLength: length, unit: fc.constantFrom(...'0123456789abcdef') });
const numberArbitrary = fc.integer({ min: 1, max: keys.LOG_ENTRY_COUNT_MAX });
const idArbitrary = hex(32).map(keys.parseContainerId);

/** Any key of a store. */
const keyArbitrary: fc.Arbitrary<string> = fc.oneof(
  numberArbitrary.map((n) => keys.logKey(keys.formatLog, n)),
  nameArbitrary.map((name) => keys.poolKey(name as keys.PoolName)),
  fc
    .tuple(nameArbitrary, idArbitrary)
    .map(([name, pack]) => keys.packKey(name as keys.PoolName, pack)),
  fc
    .tuple(nameArbitrary, numberArbitrary)
    .map(([name, n]) => keys.logKey(keys.condemnedLog(name as keys.PoolName), n)),
  repoArbitrary.map(keys.repoKey),
  fc
    .tuple(repoArbitrary, numberArbitrary)
    .map(([name, n]) => keys.logKey(keys.settingsLog(name), n)),
  fc
    .tuple(repoArbitrary, fc.nat(9), idArbitrary)
    .map(([name, tier, segment]) => keys.segmentKey(name, tier, segment)),
  fc
    .tuple(repoArbitrary, nameArbitrary)
    .map(([name, text]) => keys.bundleKey(name, digestOf(text))),
  fc
    .tuple(repoArbitrary, hex(40), numberArbitrary)
    .map(([name, commit, n]) => keys.logKey(keys.commitLog(name, keys.parseGitSha(commit)), n)),
  fc
    .tuple(repoArbitrary, nameArbitrary, numberArbitrary)
    .map(([name, branch, n]) => keys.logKey(keys.branchLog(name, branch), n)),
  fc
    .tuple(repoArbitrary, nameArbitrary, numberArbitrary)
    .map(([name, label, n]) => keys.logKey(keys.labelLog(name, label), n)),
  fc.tuple(repoArbitrary, numberArbitrary).map(([name, n]) => keys.logKey(keys.lockLog(name), n)),
  fc
    .tuple(repoArbitrary, hex(32), fc.constantFrom('announced', 'done'))
    .map(([name, push, part]) =>
      keys.pendingKey(name, keys.parsePushId(push), part as 'announced'),
    ),
);

describe('keys, spelled', () => {
  const spellings: readonly (readonly [string, string])[] = [
    [keys.logKey(keys.formatLog, 1), 'format/999999999998'],
    [keys.poolKey(pool), 'pools/acme/pool.json'],
    [keys.packKey(pool, id), `pools/acme/packs/01/${ID}`],
    [keys.logKey(keys.condemnedLog(pool), 2), 'pools/acme/gc/999999999997'],
    [keys.repoKey(repo), 'repos/acme%2Fimages/repo.json'],
    [keys.settingsLog(repo), 'repos/acme%2Fimages/settings/'],
    [keys.segmentKey(repo, 0, id), `repos/acme%2Fimages/segments/0-${ID}`],
    [keys.bundleKey(repo, digestOf('x')), `repos/acme%2Fimages/bundles/${digestOf('x')}`],
    [keys.commitLog(repo, sha), `repos/acme%2Fimages/commits/${sha}/`],
    [keys.branchLog(repo, 'feature/A'), 'repos/acme%2Fimages/branches/feature%2F%41/'],
    [keys.branchLog(repo, '~0a/main'), 'repos/acme%2Fimages/branches/~0a%2Fmain/'],
    [keys.labelLog(repo, 'v1.0'), 'repos/acme%2Fimages/labels/v1.0/'],
    [keys.lockLog(repo), 'repos/acme%2Fimages/locks/'],
    [keys.pendingKey(repo, keys.parsePushId(ID), 'done'), `repos/acme%2Fimages/pending/${ID}/done`],
    [keys.repoKeyOfSegment('acme%2Fimages'), keys.repoKey(repo)],
  ];
  for (const [actual, expected] of spellings) {
    it(`${expected} is as the format has it`, () => {
      expect(actual).to.equal(expected);
    });
  }

  it('are all keys that a backend takes', () => {
    fc.assert(fc.property(keyArbitrary, (key) => keys.parseKey(key) === key));
  });

  it('are never a folder of one another', () => {
    fc.assert(
      fc.property(fc.uniqueArray(keyArbitrary, { minLength: 2, maxLength: 12 }), (all) => {
        for (const key of all)
          for (const other of all) expect(other.startsWith(`${key}/`)).to.equal(false);
      }),
    );
  });

  it('keep branch a apart from branch a/1, and its entries too', () => {
    const entries = ['a', 'a/1', 'a/1/999999999998', 'a%2F1'].map((name) =>
      keys.logKey(keys.branchLog(repo, name), 1),
    );
    expect(new Set(entries).size).to.equal(4);
    for (const name of ['a/1', 'a/999999999998', 'a%2F1']) {
      expect(keys.branchLog(repo, name).startsWith(keys.branchLog(repo, 'a'))).to.equal(false);
    }
  });
});

describe('names as key segments', () => {
  it('come back as they went in, or stand as their digest', () => {
    fc.assert(
      fc.property(nameArbitrary, (name) => {
        const segment = keys.escapeName(name);
        expect(keys.isKeySegment(segment)).to.equal(true);
        const back = keys.unescapeName(segment);
        if (back === null) expect(segment).to.equal(`=${digestOf(name)}`);
        else expect(back).to.equal(name);
      }),
    );
  });

  it('differ where the names differ, on file systems that ignore case too', () => {
    fc.assert(
      fc.property(nameArbitrary, nameArbitrary, (one, other) => {
        fc.pre(one !== other);
        expect(keys.escapeName(one).toLowerCase()).not.to.equal(
          keys.escapeName(other).toLowerCase(),
        );
      }),
    );
  });

  it('are escaped as the format says', () => {
    const cases = {
      main: 'main',
      'v1.0_x-y': 'v1.0_x-y',
      '.git': '%2Egit',
      '..': '%2E.',
      'a/b': 'a%2Fb',
      Main: '%4Dain',
      '~r/m': '~r%2Fm',
      'a~': 'a%7E',
      ü: '%C3%BC',
      '=x': '%3Dx',
      '%41': '%2541',
      ' ': '%20',
    };
    for (const [name, segment] of Object.entries(cases))
      expect(keys.escapeName(name)).to.equal(segment);
  });

  it('become digests only where they do not fit', () => {
    expect(keys.escapeName('x'.repeat(255))).to.equal('x'.repeat(255));
    expect(keys.escapeName('x'.repeat(256))).to.equal(`=${digestOf('x'.repeat(256))}`);
    expect(keys.escapeName('/'.repeat(85))).to.have.length(255);
    expect(keys.escapeName('/'.repeat(86))).to.have.length(65);
  });

  it('are never empty', async () => {
    expect(await codeOf(() => keys.escapeName(''))).to.equal('INVALID');
  });
});

describe('log keys', () => {
  it('sort the newest first', () => {
    fc.assert(
      fc.property(numberArbitrary, numberArbitrary, (a, b) => {
        fc.pre(a < b);
        return keys.logKey(keys.formatLog, a) > keys.logKey(keys.formatLog, b);
      }),
    );
  });

  it('give their number back', () => {
    fc.assert(
      fc.property(
        numberArbitrary,
        (n) => keys.parseLogKey(keys.formatLog, keys.logKey(keys.formatLog, n)) === n,
      ),
    );
  });

  it('are no other log’s, and nothing else is a log key', () => {
    for (const key of [
      'format/',
      'format/1',
      'format/9999999999980',
      'format/99999999999x',
      'other/999999999998',
      'format/999999999999',
      'format/999999999998/x',
    ]) {
      expect(keys.parseLogKey(keys.formatLog, key), key).to.equal(null);
    }
  });

  it('exist for numbers from 1 to the last', async () => {
    for (const n of [0, -1, 1.5, Number.NaN, keys.LOG_ENTRY_COUNT_MAX + 1]) {
      expect(await codeOf(() => keys.logKey(keys.formatLog, n)), String(n)).to.equal('INVALID');
    }
    expect(keys.logKey(keys.formatLog, keys.LOG_ENTRY_COUNT_MAX)).to.equal('format/000000000000');
  });
});

describe('keys, parsed', () => {
  it('segments and bundles give their parts back', () => {
    expect(keys.parseSegmentKey(repo, keys.segmentKey(repo, 3, id))).to.deep.equal({ tier: 3, id });
    expect(keys.parseBundleKey(repo, keys.bundleKey(repo, digestOf('x')))).to.equal(digestOf('x'));
  });

  it('those of another repo or shape do not', () => {
    const other = keys.parseRepoName('acme/other');
    expect(keys.parseSegmentKey(other, keys.segmentKey(repo, 3, id))).to.equal(null);
    expect(keys.parseBundleKey(other, keys.bundleKey(repo, digestOf('x')))).to.equal(null);
    const prefix = keys.segmentPrefix(repo);
    for (const rest of ['', `10-${ID}`, `0-${ID}0`, `0-${ID.toUpperCase()}`, `0_${ID}`]) {
      expect(keys.parseSegmentKey(repo, `${prefix}${rest}`), rest).to.equal(null);
    }
  });

  it('skipping goes behind a segment and before the next', () => {
    expect(keys.firstSegment('b/', 'b/main/999')).to.deep.equal({
      segment: 'main',
      skipTo: 'b/main0',
    });
    expect(keys.firstSegment('b/', 'b/object')).to.deep.equal({
      segment: 'object',
      skipTo: 'b/object',
    });
    fc.assert(
      fc.property(nameArbitrary, nameArbitrary, (one, other) => {
        const [a, b] = [keys.branchLog(repo, one), keys.branchLog(repo, other)];
        fc.pre(a < b);
        const { skipTo } = keys.firstSegment(keys.branchesPrefix(repo), `${a}5`);
        return `${a}999999999999` < skipTo && `${b}0` > skipTo;
      }),
    );
  });
});

describe('repo names', () => {
  it('are one or two plain parts', () => {
    for (const name of ['a', 'acme/images', 'A_b/c.d-e', '_/0', 'x'.repeat(100)]) {
      expect(keys.parseRepoName(name)).to.equal(name);
    }
  });

  const wrong = [
    '',
    '/',
    'a/',
    '/a',
    'a/b/c',
    '.',
    '..',
    'a/..',
    '../a',
    '-a',
    'a b',
    'a\n',
    'a\0',
    'ä',
    'a.git',
    'a/b.git',
    'a.lock',
    'x'.repeat(101),
    'api',
    'healthz/x',
    'acme/tree',
    'acme/info',
  ];
  for (const name of wrong) {
    it(`do not include ${JSON.stringify(name.slice(0, 20))}`, async () => {
      expect(await codeOf(() => keys.parseRepoName(name))).to.equal('INVALID');
    });
  }

  it('name the pool of their owner', () => {
    expect(keys.defaultPool(repo)).to.equal('acme');
    expect(keys.defaultPool(keys.parseRepoName('solo'))).to.equal('solo');
  });
});

describe('ids', () => {
  it('are exact', async () => {
    for (const text of ['', ID.toUpperCase(), `${ID}\n`, ID.slice(1), `${ID}0`, 'g'.repeat(32)]) {
      expect(await codeOf(() => keys.parseContainerId(text)), text).to.equal('INVALID');
      expect(await codeOf(() => keys.parsePushId(text)), text).to.equal('INVALID');
      expect(await codeOf(() => keys.parseGitSha(text)), text).to.equal('INVALID');
    }
    expect(keys.isGitSha('b'.repeat(64))).to.equal(true);
    expect(keys.isGitSha(7)).to.equal(false);
  });

  it('of pools are short', async () => {
    expect(await codeOf(() => keys.parsePoolName(''))).to.equal('INVALID');
    expect(await codeOf(() => keys.parsePoolName('x'.repeat(201)))).to.equal('INVALID');
  });
});
