/** Digests of streams that are read for nothing else: right in any slices, with room or without, and no worse for a failure. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { digestStream } from '../../../core/cas/stream-digest.ts';
import { THREAD_HASH_SIZE_MIN_BYTES } from '../../../core/cas/thread-hasher.ts';
import { digestOf } from '../../../core/digest.ts';
import { fileStream } from '../../../core/file-stream.ts';
import { useFastPaths } from '../../support/fast-paths.ts';
import { seededBytes } from '../../support/splitmix64.ts';
import { makeTempDir } from '../../support/temp-dir.ts';

const LARGE = THREAD_HASH_SIZE_MIN_BYTES;

describe('stream digest', function () {
  this.timeout(60_000);
  useFastPaths();

  it('is that of the file, read into memory that is used again', async () => {
    const bytes = seededBytes(1, LARGE + 777_777);
    const path = join(await makeTempDir(), 'file');
    await writeFile(path, bytes);
    const expected = { digest: digestOf(bytes), sizeBytes: bytes.length };
    const both = [1, 2].map(() => digestStream(LARGE, (how) => fileStream(path, how)));
    expect(await Promise.all(both)).deep.equal([expected, expected]);
    // Announced as small: hashed where it is.
    expect(await digestStream(0, (how) => fileStream(path, how))).deep.equal(expected);
  });

  it('is right where a stream puts only some of its bytes into the memory offered', async () => {
    const bytes = seededBytes(2, 3_000_000);
    const found = await digestStream(LARGE, async function* ({ room }) {
      for (let at = 0; at < bytes.length; at += 100_000) {
        const part = bytes.subarray(at, at + 100_000);
        const into = at % 200_000 === 0 ? room?.() : undefined;
        into?.set(part);
        yield into?.subarray(0, part.length) ?? part;
      }
    });
    expect(found.digest).equal(digestOf(bytes));
  });

  it('fails as the stream does', async () => {
    const failing = digestStream(LARGE, async function* ({ room }) {
      yield room?.() ?? Buffer.alloc(1);
      throw new Error('the disk is gone');
    });
    expect(await failing.catch((error: Error) => error.message)).equal('the disk is gone');
  });
});
