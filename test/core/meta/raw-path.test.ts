/** Raw paths: bytes kept, shown without two looking alike, and kept off disks where they would do harm. */
import { expect } from 'chai';
import fc from 'fast-check';
import type { RawPath } from '../../../core/meta/model.ts';
import { checkoutProblem, findCollisions, fsckProblem } from '../../../core/meta/path-safety.ts';
import {
  comparePaths,
  displayPath,
  rawPathFromBytes,
  rawPathFromText,
  rawPathToBytes,
  rawPathToText,
} from '../../../core/meta/raw-path.ts';
import { formatPath, parsePath } from '../../../core/meta/wire.ts';
import { codeOf } from '../../support/code-of.ts';

const raw = (text: string): RawPath => text as RawPath;
const pathBytes = fc
  .uint8Array({ minLength: 1, maxLength: 40 })
  .map((bytes) => bytes.map((byte) => byte || 1));

describe('core/meta/raw-path', () => {
  it('keeps every byte', () => {
    fc.assert(
      fc.property(pathBytes, (bytes) => {
        const path = rawPathFromBytes(bytes);
        expect(path).to.have.length(bytes.length);
        expect(rawPathToBytes(path)).to.deep.equal(Buffer.from(bytes));
        expect(parsePath(formatPath(path), 'path')).to.equal(path);
      }),
    );
  });

  it('compares as the bytes do', () => {
    fc.assert(
      fc.property(pathBytes, pathBytes, (a, b) => {
        const order = comparePaths(rawPathFromBytes(a), rawPathFromBytes(b));
        expect(order).to.equal(Buffer.compare(Buffer.from(a), Buffer.from(b)));
      }),
    );
    // UTF-16 would order these two the other way round.
    expect(comparePaths(rawPathFromText('\uffee'), rawPathFromText('\u{10000}'))).to.equal(-1);
  });

  it('reads and gives text as UTF-8', () => {
    expect(rawPathToBytes(rawPathFromText('Grüße/日.csv'))).to.deep.equal(
      Buffer.from('Grüße/日.csv'),
    );
    expect(rawPathToText(rawPathFromText('\ufeffmarked'))).to.equal('\ufeffmarked');
    expect(rawPathToText(raw('caf\xe9'))).to.equal(null);
  });

  it('refuses what is no path at all', async () => {
    for (const text of ['', 'a\0b', 'x'.repeat(4096), '\ud800']) {
      expect(await codeOf(() => rawPathFromText(text))).to.equal('INVALID');
    }
  });

  it('shows harmless UTF-8 as it is and the rest quoted as git does', () => {
    const shown: Readonly<Record<string, string>> = {
      'data/Grüße 1.csv': 'data/Grüße 1.csv',
      "it's": "it's",
      'tab\tnew\nline': '"tab\\tnew\\nline"',
      'quote"back\\slash': '"quote\\"back\\\\slash"',
      '\x1b[31mred': '"\\033[31mred"',
      '\x7f': '"\\177"',
      'ü\n': '"ü\\n"',
      '\u0085': '"\\302\\205"',
      'a\u202egpj.exe': '"a\\342\\200\\256gpj.exe"',
    };
    for (const [text, expected] of Object.entries(shown)) {
      expect(displayPath(rawPathFromText(text))).to.equal(expected);
    }
    expect(displayPath(raw('caf\xe9.csv'))).to.equal('"caf\\351.csv"');
  });

  it('shows no two paths alike, and nothing a terminal would obey', () => {
    fc.assert(
      fc.property(pathBytes, pathBytes, (a, b) => {
        const [shownA, shownB] = [
          displayPath(rawPathFromBytes(a)),
          displayPath(rawPathFromBytes(b)),
        ];
        expect(shownA === shownB).to.equal(Buffer.from(a).equals(Buffer.from(b)));
        expect(shownA).not.to.match(/\p{Cc}/u);
      }),
    );
  });
});

describe('core/meta/path-safety', () => {
  it('lets through every path that is merely unusual', () => {
    const fine = [
      'a',
      'data/Grüße 1.csv',
      'new\nline',
      '"quoted"',
      '.gitignore',
      '.gitattributes',
      '.github/x',
      'git/config',
      'a.git/x',
      '...',
      '..a',
      'a..',
      'aux.csv',
      'nul',
      'trailing.',
      'a:b',
      'a\\b',
      'x'.repeat(255),
    ];
    expect(fine.filter((text) => checkoutProblem(rawPathFromText(text)) !== null)).to.deep.equal(
      [],
    );
  });

  it('refuses what would leave the folder or reach into .git, on every system', () => {
    const hostile = [
      '/etc/passwd',
      '../x',
      'a/../b',
      'a/..',
      './a',
      'a//b',
      'a/',
      'C:\\windows',
      'c:/x',
      '\\\\host\\share',
      'a\\..\\b',
      '.git',
      '.git/hooks/pre-push',
      'sub/.git/config',
      '.GIT/config',
      '.Git',
      'git~1/config',
      'GIT~1',
      '.git /config',
      '.git./config',
      '.git. . /x',
      '.git::$INDEX_ALLOCATION/config',
      '.git:stream',
      '.git\\config',
      'sub\\.git\\config',
      '.g\u200cit/config',
      '\ufeff.git',
      `${'x'.repeat(256)}/a`,
    ];
    expect(hostile.filter((text) => checkoutProblem(rawPathFromText(text)) === null)).to.deep.equal(
      [],
    );
    expect(checkoutProblem(raw(''))).to.equal('it is empty');
    expect(checkoutProblem(raw('a\0b'))).to.equal('it holds a NUL byte');
    expect(checkoutProblem(raw('a/'.repeat(2050)))).to.match(/longer than 4095/);
  });

  it('refuses on Windows what Windows would turn into something else', () => {
    const windows = [
      'aux',
      'AUX.csv',
      'a/nul',
      'com1.txt',
      'LPT9',
      'con ',
      'a.',
      'b ',
      'a:b',
      'a\\b',
      'a?',
      '"a"',
      'a\x01',
      'conin$',
      'com\xb9',
    ];
    expect(
      windows.filter((text) => checkoutProblem(raw(text), { windows: true }) === null),
    ).to.deep.equal([]);
    const fine = ['auxiliary', 'com10', 'console.log', 'null', 'a b.c'];
    expect(
      fine.filter((text) => checkoutProblem(raw(text), { windows: true }) !== null),
    ).to.deep.equal([]);
  });

  it('refuses in bundles only what git fsck refuses', () => {
    for (const path of ['.git/x', 'a/../b', '/a', 'a//b', '.GIT', 'git~1']) {
      expect(fsckProblem(raw(path))).to.be.a('string');
    }
    for (const path of ['caf\xe9', 'nul', 'x'.repeat(300), 'a\\b', 'C:x']) {
      expect(fsckProblem(raw(path))).to.equal(null);
    }
  });

  it('finds twins in case and in Unicode form, and files in the way of folders', () => {
    const paths = ['Data/A.csv', 'data/a.csv', 'caf\u00e9', 'cafe\u0301', 'x', 'X/y', 'alone'].map(
      rawPathFromText,
    );
    const found = findCollisions(paths).map(({ reason, paths: twins }) => [
      reason,
      twins.map(rawPathToText),
    ]);
    expect(found).to.deep.equal([
      ['case', ['Data/A.csv', 'data/a.csv']],
      ['unicode', ['caf\u00e9', 'cafe\u0301']],
      ['folder', ['x', 'X/y']],
    ]);
    expect(findCollisions(['a/b', 'a/c', 'b'].map(rawPathFromText))).to.deep.equal([]);
  });
});
