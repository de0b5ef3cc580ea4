/** Hashing beside the main thread: the same digests, whatever the slices and however many at a time, and nothing left behind. */
import { expect } from 'chai';
import { createThreadHasher, THREAD_HASH_SIZE_MIN_BYTES } from '../../../core/cas/thread-hasher.ts';
import { digestOf } from '../../../core/digest.ts';
import { seededBytes } from '../../support/splitmix64.ts';

const LARGE = THREAD_HASH_SIZE_MIN_BYTES;

async function hashed(bytes: Buffer, sliceBytes: number, announcedBytes: number): Promise<string> {
  const hasher = createThreadHasher(announcedBytes);
  for (let at = 0; at < bytes.length; at += sliceBytes) {
    const slice = Buffer.from(bytes.subarray(at, at + sliceBytes));
    await hasher.update(slice);
    // The bytes are ours again: a hasher that only kept a view would hash zeros.
    slice.fill(0);
  }
  return hasher.digest();
}

describe('thread hasher', () => {
  it('gives the digest of the whole, in small and large slices, here and beside', async () => {
    const bytes = seededBytes(1, 9_000_001);
    for (const announced of [0, LARGE]) {
      for (const slice of [1009, 2 * 1024 * 1024, 2 * 1024 * 1024 + 1, 4_000_000]) {
        expect(await hashed(bytes, slice, announced), `${slice}`).to.equal(digestOf(bytes));
      }
    }
  });

  it('knows the digest of no bytes', async () => {
    expect(await createThreadHasher(LARGE).digest()).to.equal(digestOf(''));
  });

  it('keeps many inputs apart, also where some are dropped half-way', async () => {
    const digests = await Promise.all(
      Array.from({ length: 12 }, async (_, seed) => {
        const bytes = seededBytes(seed, 4_500_000);
        if (seed % 3 === 0) {
          const dropped = createThreadHasher(LARGE);
          await dropped.update(bytes);
          dropped.drop();
          dropped.drop();
        }
        return (await hashed(bytes, 70_000, LARGE)) === digestOf(bytes);
      }),
    );
    expect(digests).to.deep.equal(Array.from({ length: 12 }, () => true));
  });
});
