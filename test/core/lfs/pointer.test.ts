/** Pointer files, compared with the git-lfs that is installed: over a corpus both accept and refuse the same. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import { digestOf, parseDigest } from '../../../core/digest.ts';
import { formatPointer, parsePointer } from '../../../core/lfs/pointer.ts';
import { codeOf } from '../../support/code-of.ts';

const OID = digestOf('one');
const OTHER = digestOf('two');
const THIRD = digestOf('three');
const VERSION = 'version https://git-lfs.github.com/spec/v1';
const lines = (...list: string[]): string => `${list.join('\n')}\n`;
const ok = lines(VERSION, `oid sha256:${OID}`, 'size 12345');

/** Text by what is odd about it. What each is worth is for git-lfs to say. */
const CORPUS: Readonly<Record<string, string>> = {
  'as git-lfs writes it': ok,
  'no final newline': ok.trimEnd(),
  'two final newlines': `${ok}\n`,
  'spaces around': `  \n\t${ok}  \n`,
  'a no-break space in front': `\u00a0${ok}`,
  'a next-line mark in front': `\u0085${ok}`,
  'an ideographic space behind': `${ok}\u3000`,
  'a byte order mark in front': `\ufeff${ok}`,
  'CR LF line ends': ok.replaceAll('\n', '\r\n'),
  'a CR in the middle of a line': ok.replace('oid ', 'oid \r'),
  'blank lines between': ok.replaceAll('\n', '\n\n'),
  'a line of a space': ok.replace('\n', '\n \n'),
  'an older version': ok.replace('git-lfs.github.com', 'hawser.github.com'),
  'the oldest version': ok.replace('https://git-lfs.github.com/spec/v1', 'http://git-media.io/v/2'),
  'an unknown version': ok.replace('spec/v1', 'spec/v2'),
  'no version': lines(`oid sha256:${OID}`, 'size 1'),
  'an empty version': ok.replace(VERSION, 'version '),
  'a version with a space behind': ok.replace(VERSION, `${VERSION} `),
  'two spaces in a line': ok.replace('oid ', 'oid  '),
  'a tab for a space': ok.replace('oid ', 'oid\t'),
  'keys in another order': lines(VERSION, 'size 12345', `oid sha256:${OID}`),
  'oid first': lines(`oid sha256:${OID}`, VERSION, 'size 12345'),
  'a key twice': lines(VERSION, `oid sha256:${OID}`, `oid sha256:${OID}`, 'size 1'),
  'an unknown key': lines(VERSION, 'color red', `oid sha256:${OID}`, 'size 1'),
  'an extra line behind': `${ok}more text\n`,
  'an extra word behind': `${ok}more\n`,
  'no size': lines(VERSION, `oid sha256:${OID}`),
  'no oid': lines(VERSION, 'size 12'),
  'a size of 0': ok.replace('12345', '0'),
  'a size with a plus': ok.replace('12345', '+12'),
  'a negative size': ok.replace('12345', '-12'),
  'a size of minus 0': ok.replace('12345', '-0'),
  'a size with zeros in front': ok.replace('12345', '00012'),
  'a size in hex': ok.replace('12345', '0x10'),
  'a size with an underscore': ok.replace('12345', '1_000'),
  'a fraction': ok.replace('12345', '1.0'),
  'an exponent': ok.replace('12345', '1e3'),
  'no digits': ok.replace('12345', ''),
  'a size with a space behind': ok.replace('12345', '12345 '),
  'a size beyond 2^63': ok.replace('12345', '9223372036854775808'),
  'a short oid': ok.replace(OID, OID.slice(1)),
  'a long oid': ok.replace(OID, `${OID}0`),
  'an oid in upper case': ok.replace(OID, OID.toUpperCase()),
  'an oid of other letters': ok.replace(OID, 'z'.repeat(64)),
  'another hash': ok.replace('sha256:', 'sha1:'),
  'no hash': ok.replace('sha256:', ''),
  'the hash in upper case': ok.replace('sha256:', 'SHA256:'),
  'an extension': ok.replace('oid', `ext-0-foo sha256:${OTHER}\noid`),
  'two extensions': ok.replace('oid', `ext-1-b sha256:${OTHER}\next-0-a sha256:${THIRD}\noid`),
  'an extension before the version': `ext-0-foo sha256:${OTHER}\n${ok}`,
  'an extension before the size': ok.replace('size', `ext-0-foo sha256:${OTHER}\nsize`),
  'an extension behind the size': `${ok}ext-0-foo sha256:${OTHER}\n`,
  'two extensions of one priority': ok.replace(
    'oid',
    `ext-0-a sha256:${OTHER}\next-0-b sha256:${THIRD}\noid`,
  ),
  'an extension twice': ok.replace('oid', `ext-0-a sha256:${OTHER}\next-0-a sha256:${THIRD}\noid`),
  'an extension of priority 10': ok.replace('oid', `ext-10-foo sha256:${OTHER}\noid`),
  'an extension without a name': ok.replace('oid', `ext-0- sha256:${OTHER}\noid`),
  'an extension with dots and dashes': ok.replace('oid', `ext-0-a.b-c sha256:${OTHER}\noid`),
  'an extension with a bad name': ok.replace('oid', `ext-0-.a sha256:${OTHER}\noid`),
  'an extension without an oid': ok.replace('oid', 'ext-0-foo bar\noid'),
  'broken UTF-8 in an extension': ok.replace('oid', `ext-0-a\xff sha256:${OTHER}\noid`),
  'exactly 1024 bytes': `${ok.trimEnd()}${'\n'.repeat(1024 - ok.length + 1)}`,
  'plain text': 'hello\n',
  'text that speaks of git-lfs': 'we use git-lfs here\n',
  'one word': 'git-lfs',
  'a NUL inside': ok.replace('size', '\0size'),
  'a NUL behind': `${ok}\0`,
  binary: '\x89PNG\r\n\x1a\n git-lfs \xff\xfe',
  'only spaces': ' \n ',
};

describe('core/lfs/pointer', () => {
  let folder = '';
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'datamon-pointer-'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  const gitLfs = (...args: string[]) =>
    spawnSync('git-lfs', args, { cwd: folder, env: { ...process.env, HOME: folder } });
  const accepts = (bytes: Uint8Array): boolean => {
    const file = join(folder, 'pointer');
    writeFileSync(file, bytes);
    const { status, error } = gitLfs('pointer', '--check', '--file', file);
    if (error) throw error;
    return status === 0;
  };

  it('accepts and refuses what git-lfs does, over a corpus of odd files', function () {
    this.timeout(60_000);
    const differing = Object.entries(CORPUS).filter(([, text]) => {
      const bytes = Buffer.from(
        text,
        /[\u0100-\uffff]|\u00a0|\u0085/.test(text) ? 'utf8' : 'latin1',
      );
      return accepts(bytes) !== (parsePointer(bytes) !== null);
    });
    expect(differing.map(([name]) => name)).to.deep.equal([]);
  });

  it('refuses what git-lfs lets through but what could name no object', function () {
    this.timeout(30_000);
    const huge = ok.replace('12345', '9007199254740992');
    const padded = `${ok}${'\n'.repeat(1024)}`;
    for (const text of [huge, padded]) {
      expect(accepts(Buffer.from(text))).to.equal(true);
      expect(parsePointer(Buffer.from(text))).to.equal(null);
    }
  });

  it('takes an empty file for content without an object', () => {
    expect(parsePointer(Buffer.alloc(0))).to.equal(null);
    expect(formatPointer({ oid: digestOf(''), sizeBytes: 0 })).to.have.length(0);
  });

  it('reads oid, size and extensions by priority', () => {
    const read = parsePointer(Buffer.from(CORPUS['two extensions'] ?? ''));
    expect(read).to.deep.equal({
      oid: OID,
      sizeBytes: 12345,
      extensions: ['a', 'b'],
      extensionLines: [
        { priority: 0, name: 'a', oid: THIRD },
        { priority: 1, name: 'b', oid: OTHER },
      ],
    });
  });

  it('writes the bytes that git-lfs writes', function () {
    this.timeout(30_000);
    for (const content of ['x', 'hello\n', 'y'.repeat(100_000)]) {
      const file = join(folder, 'content');
      writeFileSync(file, content);
      const { stdout } = gitLfs('pointer', '--file', file);
      const ours = formatPointer({ oid: digestOf(content), sizeBytes: content.length });
      expect(ours.toString()).to.equal(stdout.toString());
    }
  });

  it('writes extensions sorted, in a form that git-lfs calls canonical', function () {
    this.timeout(30_000);
    const bytes = formatPointer({
      oid: OID,
      sizeBytes: 7,
      extensionLines: [
        { priority: 2, name: 'late', oid: OTHER },
        { priority: 0, name: 'early', oid: THIRD },
      ],
    });
    writeFileSync(join(folder, 'strict'), bytes);
    expect(gitLfs('pointer', '--check', '--strict', '--file', 'strict').status).to.equal(0);
  });

  it('gives back what it wrote', () => {
    fc.assert(
      fc.property(
        fc.string(),
        fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
        (text, size) => {
          const read = parsePointer(formatPointer({ oid: digestOf(text), sizeBytes: size }));
          expect(read).to.deep.include({ oid: digestOf(text), sizeBytes: size });
        },
      ),
    );
  });

  it('writes no pointer that would not be read', async () => {
    expect(await codeOf(() => formatPointer({ oid: OID, sizeBytes: -1 }))).to.equal('INVALID');
    expect(await codeOf(() => formatPointer({ oid: OID, sizeBytes: 2 ** 53 }))).to.equal('INVALID');
    const extensionLines = Array.from({ length: 20 }, (_, priority) => ({
      priority,
      name: 'x'.repeat(50),
      oid: OTHER,
    }));
    expect(await codeOf(() => formatPointer({ oid: OID, sizeBytes: 1, extensionLines }))).to.equal(
      'INVALID',
    );
  });

  it('never throws, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        parsePointer(Buffer.concat([Buffer.from(ok.slice(0, bytes.length)), bytes]));
      }),
    );
  });

  it('keeps to the golden vector', () => {
    const vector = JSON.parse(
      readFileSync(new URL('../../vectors/pointer.json', import.meta.url), 'utf8'),
    );
    const bytes = Buffer.from(vector.text);
    const { oid, sizeBytes, extensionLines } = vector.pointer;
    expect(formatPointer({ oid: parseDigest(oid), sizeBytes, extensionLines })).to.deep.equal(
      bytes,
    );
    expect(parsePointer(bytes)).to.deep.equal(vector.pointer);
  });
});
