/** Hashing beside the main thread: the same digests, whatever the slices and however many at a time, and nothing left behind. */
import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect } from 'chai';
import { createThreadHasher, THREAD_HASH_SIZE_MIN_BYTES } from '../../../core/cas/thread-hasher.ts';
import { digestOf } from '../../../core/digest.ts';
import { useFastPaths } from '../../support/fast-paths.ts';
import { runProgram } from '../../support/git-repo.ts';
import { seededBytes } from '../../support/splitmix64.ts';
import { makeTempDir } from '../../support/temp-dir.ts';

const MODULE = pathToFileURL(
  resolve(import.meta.dirname, '../../../core/cas/thread-hasher.ts'),
).href;
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
  useFastPaths();

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

  it('keeps no process that only forgot an input, and keeps one that waits for a digest', async () => {
    const cwd = await makeTempDir();
    const run = async (ending: string) => {
      const program = [
        `import { createThreadHasher } from ${JSON.stringify(MODULE)};`,
        `const forgotten = createThreadHasher(${LARGE});`,
        'await forgotten.update(new Uint8Array(9_000_000));',
        `const other = createThreadHasher(${LARGE});`,
        'await other.update(new Uint8Array(9_000_000));',
        ending,
      ];
      await writeFile(join(cwd, 'program.mjs'), program.join('\n'));
      const flags = ['--disable-warning=ExperimentalWarning'];
      return runProgram(process.execPath, [...flags, 'program.mjs'], { cwd, env: {} });
    };
    const silent = await run('');
    expect(silent.status, silent.stderr).to.equal(0);
    const waiting = await run('console.log(await other.digest());');
    expect(waiting.status, waiting.stderr).to.equal(0);
    expect(waiting.stdout.trim()).to.equal(digestOf(new Uint8Array(9_000_000)));
  });

  it('fails whoever still waits for an input that is dropped', async () => {
    const hasher = createThreadHasher(LARGE);
    await hasher.update(new Uint8Array(5_000_000));
    const told = hasher.digest().catch((error: Error) => error.message);
    hasher.drop();
    expect(await told).to.include('dropped');
    expect(hasher.update(new Uint8Array(5_000_000))).to.equal(undefined);
  });
});
