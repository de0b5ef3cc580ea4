/** Large files cut beside the main thread: the same chunks, whatever the slices; lent bytes never change; failures and leaving do no harm. */
import { expect } from 'chai';
import type { ByteStream } from '../../../core/bytes.ts';
import type { BlobSource, OpenOptions } from '../../../core/cas/blob-store.ts';
import { chunks, createChunker } from '../../../core/cas/chunker.ts';
import { THREAD_CUT_SIZE_MIN_BYTES } from '../../../core/cas/cut-thread.ts';
import { type CutChunk, cutFile } from '../../../core/cas/file-cutter.ts';
import { type Digest, digestOf } from '../../../core/digest.ts';
import { FAST_PATHS_OFF, switchOffFastPaths } from '../../../core/fast-paths.ts';
import { makeCasWorld, POOL, readBlob } from '../../support/cas-world.ts';
import { codeOf } from '../../support/code-of.ts';
import { useFastPaths } from '../../support/fast-paths.ts';
import { seededBytes, splitmix64 } from '../../support/splitmix64.ts';

const LARGE = THREAD_CUT_SIZE_MIN_BYTES;
const MIB = 1024 * 1024;

/** As a file: where there is room, the bytes are put into it. */
async function* sliced(
  bytes: Buffer,
  sliceOf: () => number,
  { room }: OpenOptions = {},
): ByteStream {
  for (let at = 0; at < bytes.length; ) {
    const into = room?.();
    const length = Math.min(sliceOf(), bytes.length - at, into?.length ?? Infinity);
    const slice = bytes.subarray(at, at + length);
    into?.set(slice);
    yield into?.subarray(0, length) ?? slice;
    at += length;
  }
}

const fileOf = (bytes: Buffer, open: (options: OpenOptions) => ByteStream) =>
  cutFile({ sizeBytes: bytes.length, chunker: createChunker(POOL), open });

async function plainChunks(bytes: Buffer): Promise<Digest[]> {
  const found: Digest[] = [];
  for await (const chunk of chunks(
    sliced(bytes, () => MIB),
    POOL,
  ))
    found.push(digestOf(chunk));
  return found;
}

describe('file cutter', function () {
  this.timeout(60_000);
  useFastPaths();

  it('gives the chunks and the digest of the whole, read into its memory or not', async () => {
    for (const sizeBytes of [LARGE, LARGE + 1, LARGE + 2 * MIB - 1, LARGE + 3_000_003]) {
      const bytes = seededBytes(sizeBytes % 97, sizeBytes);
      const expected = await plainChunks(bytes);
      for (const slice of [70_001, MIB, 5 * MIB]) {
        for (const withRoom of [true, false]) {
          const file = fileOf(bytes, (options) =>
            sliced(bytes, () => slice, withRoom ? options : {}),
          );
          const found: Digest[] = [];
          for await (const { digest, release } of file.chunks) {
            found.push(digest);
            release();
          }
          expect(found, `${sizeBytes} by ${slice}`).deep.equal(expected);
          expect(await file.digest()).equal(digestOf(bytes));
        }
      }
    }
  });

  it('changes no chunk that was not given back, however many files are cut', async () => {
    const next = splitmix64(5);
    const held: CutChunk[] = [];
    const cut = async (seed: number) => {
      const bytes = seededBytes(seed, LARGE + seed * 100_000);
      const file = fileOf(bytes, (options) => sliced(bytes, () => MIB, options));
      for await (const chunk of file.chunks) {
        expect(digestOf(chunk.bytes)).equal(chunk.digest);
        held.push(chunk);
        while (next() * 40 < held.length) {
          const [done] = held.splice(Math.floor(next() * held.length), 1);
          expect(digestOf(done?.bytes ?? ''), 'held').equal(done?.digest);
          done?.release();
        }
      }
      expect(await file.digest()).equal(digestOf(bytes));
    };
    await Promise.all([1, 2, 3].map(cut));
    for (const { bytes, digest } of held) expect(digestOf(bytes)).equal(digest);
  });

  it('tells how a source failed midway, and cuts the next file', async () => {
    const bytes = seededBytes(7, LARGE);
    const file = fileOf(bytes, async function* (options) {
      yield* sliced(bytes.subarray(0, 9 * MIB), () => MIB, options);
      throw new Error('the disk is gone');
    });
    const reading = (async () => {
      for await (const { release } of file.chunks) release();
    })();
    expect(await reading.catch((error: Error) => error.message)).equal('the disk is gone');
    file.drop();
    const after = fileOf(bytes, (options) => sliced(bytes, () => MIB, options));
    for await (const { release } of after.chunks) release();
    expect(await after.digest()).equal(digestOf(bytes));
  });

  it('lets its source clean up where the reader leaves early', async () => {
    const bytes = seededBytes(8, LARGE);
    let end = () => {};
    const ended = new Promise<void>((resolve) => {
      end = resolve;
    });
    const file = fileOf(bytes, async function* (options) {
      try {
        yield* sliced(bytes, () => MIB, options);
      } finally {
        end();
      }
    });
    for await (const chunk of file.chunks) {
      chunk.release();
      break;
    }
    file.drop();
    file.drop();
    await ended;
    expect(await file.digest().catch((error: Error) => error.message)).contains('dropped');
  });
});

describe('storing a large file', function () {
  this.timeout(60_000);
  const text = Buffer.from('some text that is worth compressing, line after line. '.repeat(90_000));
  const bytes = Buffer.concat([seededBytes(9, LARGE), text, seededBytes(10, 3 * MIB), text]);
  const source = (over: Partial<BlobSource> = {}): BlobSource => ({
    oid: digestOf(bytes),
    sizeBytes: bytes.length,
    open: (options) => sliced(bytes, () => MIB, options),
    ...over,
  });
  afterEach(() => switchOffFastPaths(process.env));

  it('keeps its bytes and costs the same, with each way around and with none', async () => {
    const stored = new Set<number>();
    for (const off of ['', 'all', 'cut-thread', 'hash-thread', 'compress-guess', 'pack-link']) {
      switchOffFastPaths({ DATAMON_FAST_PATHS_OFF: off });
      const { stores } = await makeCasWorld();
      const { storedBytes } = await stores.blobs.put(source());
      if (off !== 'all' && off !== 'compress-guess') stored.add(storedBytes);
      expect((await readBlob(stores, digestOf(bytes))).equals(bytes), off).equal(true);
      expect((await stores.blobs.put(source())).newBytes).equal(0);
    }
    expect(stored.size).equal(1);
  });

  it('is MISMATCH where it changed while it was read, and nothing is recorded', async () => {
    const { stores } = await makeCasWorld();
    const changing = source({
      open: (options) => {
        const other = Buffer.from(bytes);
        other.writeUInt32LE(1, 11 * MIB);
        return sliced(other, () => MIB, options);
      },
    });
    expect(await codeOf(stores.blobs.put(changing))).equal('MISMATCH');
    const short = source({
      open: (options) => sliced(bytes.subarray(0, 10 * MIB), () => MIB, options),
    });
    expect(await codeOf(stores.blobs.put(short))).equal('MISMATCH');
    expect((await stores.blobs.has([digestOf(bytes)])).size).equal(0);
    await stores.blobs.put(source());
    expect((await readBlob(stores, digestOf(bytes))).equals(bytes)).equal(true);
  });

  it('is CANCELLED midway by the signal, and stored by the next put', async () => {
    const { stores } = await makeCasWorld();
    const stop = new AbortController();
    const onProgress = (_: Digest, done: number) => done > 6 * MIB && stop.abort();
    const put = stores.blobs.put(source(), { signal: stop.signal, onProgress });
    expect(await codeOf(put)).equal('CANCELLED');
    await stores.blobs.put(source());
    expect((await readBlob(stores, digestOf(bytes))).equals(bytes)).equal(true);
  });
});

for (const off of ['', 'whole-files']) {
  describe(`small files in the file cutter${off && `, without ${off}`}`, () => {
    before(() => switchOffFastPaths({ [FAST_PATHS_OFF]: off }));
    after(() => switchOffFastPaths(process.env));

    it('gives the chunks and the digest of the whole, around the smallest chunk', async () => {
      for (const sizeBytes of [0, 1, 500, POOL.minBytes - 1, POOL.minBytes, POOL.minBytes + 1]) {
        for (const slice of [101, MIB]) {
          const bytes = seededBytes(sizeBytes % 89, sizeBytes);
          const file = fileOf(bytes, (options) => sliced(bytes, () => slice, options));
          const found: Digest[] = [];
          for await (const chunk of file.chunks) {
            expect(digestOf(chunk.bytes)).equal(chunk.digest);
            found.push(chunk.digest);
            chunk.release();
          }
          expect(found).deep.equal(await plainChunks(bytes));
          expect(await file.digest()).equal(digestOf(bytes));
          file.drop();
        }
      }
    });

    it('shows that a file is longer than was announced, without reading all of it', async () => {
      let readBytes = 0;
      const open = async function* (): ByteStream {
        for (; readBytes < 64 * MIB; readBytes += 1000) yield Buffer.alloc(1000);
      };
      const file = cutFile({ sizeBytes: 1500, chunker: createChunker(POOL), open });
      let seenBytes = 0;
      for await (const { bytes } of file.chunks) {
        seenBytes += bytes.length;
        if (seenBytes > 1500) break;
      }
      expect(seenBytes).above(1500);
      expect(readBytes).below(2 * MIB);
      file.drop();
    });
  });
}
