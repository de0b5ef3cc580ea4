/** Bytes on their way: read back as written, whatever the sizes; hashed up to where the digest was asked for, in memory, on disk and between. */
import { readdir } from 'node:fs/promises';
import { expect } from 'chai';
import { collect } from '../../../core/bytes.ts';
import { createSpool } from '../../../core/cas/spool.ts';
import { createThreadHasher, THREAD_HASH_SIZE_MIN_BYTES } from '../../../core/cas/thread-hasher.ts';
import { digestOf } from '../../../core/digest.ts';
import { seededRandom } from '../../support/cas-containers.ts';
import { seededBytes } from '../../support/splitmix64.ts';
import { makeTempDir } from '../../support/temp-dir.ts';

const MEMORY_SIZE_MAX_BYTES = 100_000;
const TAIL_SIZE_BYTES = 48;

describe('spool', () => {
  it('gives back what it was given, and the digest of what came before the end', async () => {
    const spoolDir = await makeTempDir();
    const around = [0, 1, MEMORY_SIZE_MAX_BYTES - TAIL_SIZE_BYTES, MEMORY_SIZE_MAX_BYTES];
    for (const sizeBytes of [...around, MEMORY_SIZE_MAX_BYTES + 1, 1_048_576, 3_500_001]) {
      for (const announced of [0, THREAD_HASH_SIZE_MIN_BYTES]) {
        const hasher = createThreadHasher(announced);
        const memorySizeMaxBytes = MEMORY_SIZE_MAX_BYTES;
        const random = seededRandom(sizeBytes);
        const spool = createSpool({ spoolDir, random, memorySizeMaxBytes, hasher });
        const bytes = seededBytes(sizeBytes % 89, sizeBytes);
        const tail = seededBytes(3, TAIL_SIZE_BYTES);
        for (let at = 0; at < sizeBytes; at += 70_001) {
          // Shared memory is its owner's again once the write has resolved.
          const lent = Buffer.from(new SharedArrayBuffer(70_001));
          const length = bytes.copy(lent, 0, at, at + 70_001);
          await spool.write(lent.subarray(0, length));
          lent.fill(0);
        }
        expect(await spool.digest(), `${sizeBytes}`).equal(digestOf(bytes));
        await spool.write(tail);
        const body = await spool.finish();
        expect(body.sizeBytes).equal(sizeBytes + TAIL_SIZE_BYTES);
        for (let turn = 0; turn < 2; turn += 1) {
          const read = await collect(body.open(), body.sizeBytes);
          expect(read.equals(Buffer.concat([bytes, tail])), `${sizeBytes}`).equal(true);
        }
        await spool.dispose();
        await spool.dispose();
      }
    }
    expect(await readdir(spoolDir)).deep.equal([]);
  });
});
