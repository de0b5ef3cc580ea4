/** Digests: exact text, exact bytes, the same in one piece and in many. */
import { expect } from 'chai';
import {
  createHasher,
  digestFromBytes,
  digestOf,
  digestToBytes,
  EMPTY_DIGEST,
  isDigest,
  parseDigest,
} from '../../core/digest.ts';
import { codeOf, errorOf } from '../support/code-of.ts';
import { seededBytes } from '../support/splitmix64.ts';

const ABC = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';

describe('digest', () => {
  it('is SHA-256', () => {
    expect(digestOf('abc')).to.equal(ABC);
    expect(digestOf(Buffer.from('abc'))).to.equal(ABC);
    expect(EMPTY_DIGEST).to.equal(
      'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
    );
  });

  it('hashes a text as its UTF-8 bytes, and a view as the bytes it shows', () => {
    expect(digestOf('é')).to.equal(digestOf(Buffer.from([0xc3, 0xa9])));
    expect(digestOf(Buffer.from('xabcx').subarray(1, 4))).to.equal(ABC);
  });

  it('is the same computed piece by piece', () => {
    const bytes = seededBytes(1, 100_000);
    for (const step of [1, 63, 64, 65, 4096, 200_000]) {
      const hasher = createHasher();
      for (let at = 0; at < bytes.length; at += step) hasher.update(bytes.subarray(at, at + step));
      expect(hasher.digest(), `pieces of ${step}`).to.equal(digestOf(bytes));
    }
  });

  it('goes to bytes and back, also from the middle of a buffer', () => {
    const digest = parseDigest(ABC);
    expect(digestToBytes(digest)).to.have.length(32);
    expect(digestFromBytes(digestToBytes(digest))).to.equal(digest);
    const inside = Buffer.concat([Buffer.of(1, 2), digestToBytes(digest), Buffer.of(3)]);
    expect(digestFromBytes(inside.subarray(2, 34))).to.equal(digest);
    expect(digestFromBytes(Uint8Array.from(inside).subarray(2, 34))).to.equal(digest);
  });

  it('has 32 bytes, no fewer and no more (CORRUPT)', async () => {
    for (const size of [0, 31, 33]) {
      expect(await codeOf(() => digestFromBytes(new Uint8Array(size)))).to.equal('CORRUPT');
    }
  });

  const wrong: readonly unknown[] = [
    '',
    ABC.toUpperCase(),
    ABC.slice(1),
    `${ABC}0`,
    `${ABC}\n`,
    ` ${ABC}`,
    `sha256:${ABC}`,
    ABC.replace('b', 'g'),
    null,
    undefined,
    7,
    [ABC],
    { toString: () => ABC },
  ];
  it('is parsed from 64 lower-case hex digits and nothing else', async () => {
    expect(parseDigest(ABC)).to.equal(ABC);
    for (const text of wrong) {
      expect(isDigest(text), String(text)).to.equal(false);
      expect(await codeOf(() => parseDigest(text)), String(text)).to.equal('INVALID');
    }
  });

  it('shows only the beginning of what it refuses', async () => {
    const { message } = await errorOf(() => parseDigest('x'.repeat(10_000)));
    expect(message.length).to.be.lessThan(200);
  });
});
