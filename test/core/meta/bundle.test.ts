/** Bundle descriptors and the commits inside them. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import fc from 'fast-check';
import { type Digest, digestOf } from '../../../core/digest.ts';
import { hasCode } from '../../../core/errors.ts';
import type { GitSha } from '../../../core/keys.ts';
import { commitOf, decodeBundle, encodeBundle, isSynthetic } from '../../../core/meta/bundle.ts';
import { commitId, createSyntheticCommit, parseCommit } from '../../../core/meta/commit-object.ts';
import type { BundleDescriptor } from '../../../core/meta/model.ts';
import { codeOf } from '../../support/code-of.ts';

const TREE = digestOf('tree');
const synthetic = (message = 'Hello\n\nbody', treeLabel: string = TREE) =>
  createSyntheticCommit({
    message,
    author: { name: 'Ada Löve', mail: 'ada@example.org' },
    at: new Date('2026-02-03T04:05:06Z'),
    parents: [],
    treeLabel,
  });

function descriptorOf(change: Partial<BundleDescriptor> = {}): BundleDescriptor {
  const { commit, commitObject } = synthetic();
  return {
    tree: TREE,
    totals: { fileCount: 2, sizeBytes: 30 },
    commit,
    commitObject: commitObject.toString('base64'),
    rules: { recorder: 1, config: null },
    pointerExtensions: [],
    ...change,
  };
}

const commitText = (...lines: string[]): Buffer =>
  Buffer.from([`tree ${'1'.repeat(40)}`, ...lines].join('\n'), 'latin1');

describe('core/meta/bundle', () => {
  it('gives back what it wrote, under the digest of its bytes', () => {
    const descriptor = descriptorOf({ pointerExtensions: ['a', 'b'] });
    const { bundle, bytes } = encodeBundle(descriptor);
    expect(bundle).to.equal(digestOf(bytes));
    expect(decodeBundle(bundle, bytes)).to.deep.equal(descriptor);
  });

  it('makes one id of one commit, whatever else an object carries along', () => {
    const extra = {
      ...descriptorOf(),
      seenBy: 'ada',
      totals: { sizeBytes: 30, fileCount: 2, x: 1 },
    };
    expect(encodeBundle(extra).bundle).to.equal(encodeBundle(descriptorOf()).bundle);
  });

  it('refuses a commit object of another commit, writing and reading', async () => {
    const other = synthetic('another').commitObject.toString('base64');
    expect(await codeOf(() => encodeBundle(descriptorOf({ commitObject: other })))).to.equal(
      'INVALID',
    );
    const text = encodeBundle(descriptorOf()).bytes.toString();
    const forged = Buffer.from(text.replace(descriptorOf().commitObject, other));
    expect(await codeOf(() => decodeBundle(digestOf(forged), forged))).to.equal('CORRUPT');
  });

  it('refuses base64 and extensions in any but their one form', async () => {
    const loose = `${descriptorOf().commitObject}\n`;
    expect(await codeOf(() => encodeBundle(descriptorOf({ commitObject: loose })))).to.equal(
      'INVALID',
    );
    for (const pointerExtensions of [
      ['b', 'a'],
      ['a', 'a'],
    ]) {
      expect(await codeOf(() => encodeBundle(descriptorOf({ pointerExtensions })))).to.equal(
        'INVALID',
      );
    }
  });

  it('refuses bytes that are not those of the digest, other versions and fields that are missing', async () => {
    const { bytes } = encodeBundle(descriptorOf());
    const read = (text: string) => codeOf(() => decodeBundle(digestOf(text), Buffer.from(text)));
    expect(await codeOf(() => decodeBundle(TREE, bytes))).to.equal('CORRUPT');
    expect(await read(bytes.toString().replace('"version":1', '"version":2'))).to.equal(
      'UNSUPPORTED',
    );
    expect(await read(bytes.toString().replace('"tree":', '"three":'))).to.equal('CORRUPT');
    expect(await read('[]')).to.equal('CORRUPT');
    expect(await read('not json')).to.equal('CORRUPT');
  });

  it('ignores fields it does not know', () => {
    const text = encodeBundle(descriptorOf()).bytes.toString().replace(/\}$/, ',"zone":1}');
    expect(decodeBundle(digestOf(text), Buffer.from(text))).to.deep.equal(descriptorOf());
  });

  it('tells bundles made without git by their tree', () => {
    expect(isSynthetic(descriptorOf())).to.equal(true);
    const { commit, commitObject } = synthetic('from git', '1'.repeat(40));
    const fromGit = descriptorOf({ commit, commitObject: commitObject.toString('base64') });
    expect(isSynthetic(fromGit)).to.equal(false);
    expect(commitOf(fromGit).subject).to.equal('from git');
  });

  it('keeps to the golden vector', () => {
    const file = new URL('../../vectors/bundle.json', import.meta.url);
    const vector = JSON.parse(readFileSync(file, 'utf8'));
    const { bundle, bytes } = encodeBundle(vector.descriptor);
    expect(bytes.toString()).to.equal(vector.text);
    expect(bundle).to.equal(vector.bundle as Digest);
  });
});

describe('core/meta/commit-object', () => {
  it('computes the ids that git does', () => {
    const bytes = commitText(
      'author A <a@b> 1 +0000',
      'committer A <a@b> 1 +0000',
      '',
      'message\n',
    );
    const { stdout, status } = spawnSync('git', ['hash-object', '-t', 'commit', '--stdin'], {
      input: bytes,
    });
    expect(status).to.equal(0);
    const id = stdout.toString().trim() as GitSha;
    expect(commitId(bytes, id)).to.equal(id);
    expect(commitId(bytes, '0'.repeat(64) as GitSha)).to.have.length(64);
  });

  it('reads parents, people, times with their zones, message and trailers', () => {
    const facts = parseCommit(
      Buffer.from(
        [
          `tree ${'1'.repeat(40)}`,
          `parent ${'2'.repeat(40)}`,
          `parent ${'3'.repeat(40)}`,
          'author Ada Löve <ada@example.org> 1767225600 +0530',
          'committer CI <ci@example.org> 1767225600 -0200',
          '',
          'Fix the',
          'readings',
          '',
          'Because.',
          '',
          'Datamon-Input: acme/raw@0123456789ab',
          'datamon-input: acme/other@',
          '  folded',
          'Signed-off-by: Ada <ada@example.org>',
          '',
        ].join('\n'),
      ),
    );
    expect(facts.parents).to.deep.equal(['2'.repeat(40), '3'.repeat(40)]);
    expect(facts.author).to.deep.equal({
      name: 'Ada Löve',
      mail: 'ada@example.org',
      at: '2026-01-01T05:30:00+05:30',
    });
    expect(facts.committer.at).to.equal('2025-12-31T22:00:00-02:00');
    expect(facts.subject).to.equal('Fix the readings');
    expect(facts.message).to.match(/^Fix the\nreadings\n\nBecause/);
    expect(facts.inputs).to.deep.equal(['acme/raw@0123456789ab', 'acme/other@ folded']);
    expect(facts.trailers.map(({ key }) => key)).to.deep.equal([
      'Datamon-Input',
      'datamon-input',
      'Signed-off-by',
    ]);
  });

  it('takes no prose for trailers', () => {
    const facts = (message: string) => parseCommit(commitText('', message)).trailers;
    expect(facts('Subject: alone')).to.deep.equal([]);
    expect(facts('Subject\n\nNote: this\nis prose')).to.deep.equal([]);
    expect(facts('Subject\n\nKey: value')).to.deep.equal([{ key: 'Key', value: 'value' }]);
  });

  it('skips signatures and merged tags, whatever they contain', () => {
    const facts = parseCommit(
      commitText(
        'author A <a@b> 1 +0000',
        'committer A <a@b> 1 +0000',
        'gpgsig -----BEGIN PGP SIGNATURE-----',
        ' ',
        ' parent 2222222222222222222222222222222222222222',
        ' -----END PGP SIGNATURE-----',
        '',
        'signed',
      ),
    );
    expect(facts.parents).to.deep.equal([]);
    expect(facts.message).to.equal('signed');
  });

  it('decodes the encoding a commit names, and makes the best of a lie', () => {
    const message = (encoding: string, bytes: string) =>
      parseCommit(commitText(`author J\xfcrgen <j@x> 1 +0000`, `encoding ${encoding}`, '', bytes));
    expect(message('ISO-8859-1', 'Gr\xfc\xdfe').message).to.equal('Grüße');
    expect(message('ISO-8859-1', 'x').author.name).to.equal('Jürgen');
    expect(message('UTF-8', 'Gr\xfc\xdfe').message).to.equal('Grüße');
    expect(message('klingon', 'Gr\xc3\xbc\xc3\x9fe').message).to.equal('Grüße');
  });

  it('reads untidy commits as far as they go and refuses what is none', async () => {
    const facts = parseCommit(commitText('author nobody', 'committer <x@y> notatime', '', ''));
    expect(facts.author).to.deep.equal({ name: 'nobody', mail: '', at: null });
    expect(facts.committer).to.deep.equal({ name: '', mail: 'x@y', at: null });
    expect(facts.message).to.equal('');
    expect(parseCommit(commitText('author A <a> 99999999999999 +0000')).author.at).to.equal(null);
    expect(parseCommit(commitText('author A <a> 9999999999999 +0000')).author.at).to.equal(null);
    expect(await codeOf(() => parseCommit(Buffer.from('blob')))).to.equal('CORRUPT');
    expect(await codeOf(() => parseCommit(Buffer.alloc(0)))).to.equal('CORRUPT');
  });

  it('throws nothing but its own error, whatever the bytes', () => {
    const whole = synthetic().commitObject;
    fc.assert(
      fc.property(fc.nat(whole.length), fc.uint8Array({ maxLength: 30 }), (at, bytes) => {
        try {
          parseCommit(Buffer.concat([whole.subarray(0, at), bytes, whole.subarray(at)]));
        } catch (error) {
          expect(hasCode(error, 'CORRUPT')).to.equal(true, String(error));
        }
      }),
      { numRuns: 500 },
    );
  });

  it('makes synthetic commits that parse back and cannot be broken out of', () => {
    const { commit, commitObject } = createSyntheticCommit({
      message: 'First\0 line\n\nDatamon-Input: a/b@cd\n\n',
      author: { name: 'Eve <eve>\nparent x', mail: 'a>b' },
      at: new Date('2026-02-03T04:05:06.789Z'),
      parents: ['4'.repeat(40) as GitSha],
      treeLabel: TREE,
    });
    expect(commit).to.equal(commitId(commitObject, commit));
    const facts = parseCommit(commitObject);
    expect(facts.tree).to.equal(TREE);
    expect(facts.parents).to.deep.equal(['4'.repeat(40)]);
    expect(facts.author.mail).to.equal('a b');
    expect(facts.author.at).to.equal('2026-02-03T04:05:06+00:00');
    expect(facts.inputs).to.deep.equal(['a/b@cd']);
  });
});
