/** Putting blobs over HTTP: what is sent, what is not, and what happens when the wire is bad. */
import { expect } from 'chai';
import { PackPace, SLOW_PACK_SIZE_BYTES } from '../../client/pack-sender.ts';
import { collect } from '../../core/bytes.ts';
import type { BlobSource, PutOutcome } from '../../core/cas/blob-store.ts';
import { type Digest, digestOf, EMPTY_DIGEST } from '../../core/digest.ts';
import { DatamonError } from '../../core/errors.ts';
import { FAST_PATHS_OFF, switchOffFastPaths } from '../../core/fast-paths.ts';
import { openQuick, sourceOf } from '../support/api-world.ts';
import { codeOf, errorOf } from '../support/code-of.ts';
import { sendJson, startFakeApi } from '../support/fake-api.ts';
import { seededBytes, splitmix64 } from '../support/splitmix64.ts';

const KIB = 1024;
const bytesOf = (seed: number, sizeBytes: number): Buffer => seededBytes(seed, sizeBytes);

async function collectOutcomes(outcomes: AsyncIterable<PutOutcome>): Promise<PutOutcome[]> {
  const all: PutOutcome[] = [];
  for await (const outcome of outcomes) all.push(outcome);
  return all;
}

describe('remote blob store: put', () => {
  it('stores a file that can be read back', async () => {
    const api = await startFakeApi();
    const { blobs } = await openQuick(api.url);
    const bytes = bytesOf(1, 300 * KIB);
    const receipt = await blobs.put(sourceOf(bytes));
    expect(receipt.newBytes).to.equal(bytes.length);
    expect(receipt.logicalBytes).to.equal(bytes.length);
    expect(receipt.packCount).to.equal(1);
    expect(receipt.storedBytes).to.be.greaterThan(bytes.length);
    const back = await collect(blobs.get(digestOf(bytes)), bytes.length);
    expect(back.equals(bytes)).to.equal(true);
  });

  for (const sizeBytes of [0, 1, 1023, 1024, 1025, 16_384, 16_385, 65_536]) {
    it(`stores ${sizeBytes} bytes as they are`, async () => {
      const api = await startFakeApi();
      const { blobs } = await openQuick(api.url);
      const bytes = bytesOf(2, sizeBytes);
      await blobs.put(sourceOf(bytes));
      expect(api.blobs.get(digestOf(bytes))?.equals(bytes)).to.equal(true);
    });
  }

  it('sends nothing at all for a file that is there', async () => {
    const api = await startFakeApi();
    const { blobs } = await openQuick(api.url);
    const bytes = bytesOf(3, 100 * KIB);
    await blobs.put(sourceOf(bytes));
    const packs = api.packSizes.length;
    const receipt = await blobs.put(sourceOf(bytes));
    expect(receipt.newBytes).to.equal(0);
    expect(receipt.storedBytes).to.equal(0);
    expect(api.packSizes.length).to.equal(packs);
  });

  it('sends only the chunks that an insertion changed', async () => {
    const api = await startFakeApi();
    const { blobs } = await openQuick(api.url);
    const bytes = bytesOf(4, 4 * 1024 * KIB);
    await blobs.put(sourceOf(bytes));
    const middle = bytes.length / 2;
    const edited = Buffer.concat([
      bytes.subarray(0, middle),
      bytesOf(5, 16 * KIB),
      bytes.subarray(middle),
    ]);
    const receipt = await blobs.put(sourceOf(edited));
    expect(receipt.newBytes).to.be.within(16 * KIB, 16 * KIB + 2 * 16_384);
    expect(api.blobs.get(digestOf(edited))?.equals(edited)).to.equal(true);
  });

  it('sends a chunk that repeats within a file once', async () => {
    const api = await startFakeApi();
    const { blobs } = await openQuick(api.url);
    const receipt = await blobs.put(sourceOf(Buffer.alloc(2 * 1024 * KIB)));
    expect(receipt.newBytes).to.be.at.most(2 * 16_384);
  });

  it('sends a chunk that two files of one push share once', async () => {
    const api = await startFakeApi();
    const { blobs } = await openQuick(api.url);
    const shared = bytesOf(6, 200 * KIB);
    const sources = [sourceOf(shared), sourceOf(Buffer.concat([shared, bytesOf(7, KIB)]))];
    await collectOutcomes(blobs.putMany(sources));
    const sum = api.packSizes.reduce((a, b) => a + b, 0);
    expect(sum).to.be.below(1.3 * shared.length);
  });

  for (const [off, recordCount] of [
    ['', 1],
    ['one-proof', 0],
  ] as const) {
    it(`refuses a file with other bytes than announced, by its name, and records nothing (off: ${off || 'nothing'})`, async () => {
      const api = await startFakeApi();
      const { blobs } = await openQuick(api.url);
      const announced = sourceOf(bytesOf(8, 50 * KIB), 'data/a.csv');
      const changed = sourceOf(bytesOf(9, 50 * KIB));
      const source: BlobSource = { ...announced, open: changed.open };
      switchOffFastPaths({ [FAST_PATHS_OFF]: off });
      const error = await errorOf(blobs.put(source)).finally(() => switchOffFastPaths(process.env));
      expect(error.code).to.equal('MISMATCH');
      expect(error.message).to.include('data/a.csv');
      expect(api.blobs.size).to.equal(0);
      expect(api.count('/objects')).to.equal(recordCount);
    });
  }

  for (const [word, delta] of [
    ['shorter', 1],
    ['longer', -1],
  ] as const) {
    it(`refuses a file that is ${word} than announced`, async () => {
      const api = await startFakeApi();
      const { blobs } = await openQuick(api.url);
      const source = sourceOf(bytesOf(10, 5000));
      const wrong = { ...source, sizeBytes: source.sizeBytes + delta };
      expect(await codeOf(blobs.put(wrong))).to.equal('MISMATCH');
      expect(api.blobs.size).to.equal(0);
    });
  }

  it('names a file that cannot be read', async () => {
    const api = await startFakeApi();
    const { blobs } = await openQuick(api.url);
    const source: BlobSource = {
      oid: EMPTY_DIGEST,
      sizeBytes: 5,
      label: 'gone.bin',
      // biome-ignore lint/correctness/useYield: it fails before its first byte
      async *open() {
        throw Object.assign(new Error('ENOENT: no such file'), { code: 'ENOENT' });
      },
    };
    const error = await errorOf(blobs.put(source));
    expect(error.code).to.equal('NOT_FOUND');
    expect(error.message).to.include('gone.bin');
  });

  it('ends packs at their limit and sends several', async () => {
    const api = await startFakeApi();
    const repository = await openQuick(api.url, { packSizeMaxBytes: 128 * KIB });
    const receipt = await repository.blobs.put(sourceOf(bytesOf(11, 1024 * KIB)));
    expect(receipt.packCount).to.equal(api.packSizes.length);
    expect(api.packSizes.length).to.be.within(8, 10);
    expect(Math.max(...api.packSizes)).to.be.at.most(128 * KIB);
  });

  it('tells the previous version along with the chunks it asks about', async () => {
    const api = await startFakeApi();
    const { blobs } = await openQuick(api.url);
    const basis = [digestOf('before')];
    await blobs.put({ ...sourceOf(bytesOf(12, 10 * KIB)), basis });
    const asked = api.bodies.find(({ path }) => path === '/chunks/has');
    expect(asked?.json).to.deep.include({ basis });
  });

  it('reports progress that only grows and ends at the size', async () => {
    const api = await startFakeApi();
    const { blobs } = await openQuick(api.url, { packSizeMaxBytes: 64 * KIB });
    const source = sourceOf(bytesOf(13, 600 * KIB));
    const seen: number[] = [];
    await blobs.put(source, { onProgress: (_oid, doneBytes) => seen.push(doneBytes) });
    expect(seen).to.deep.equal([...seen].sort((a, b) => a - b));
    expect(seen.length).to.be.greaterThan(5);
    expect(seen.at(-1)).to.equal(source.sizeBytes);
  });

  it('reports the size of a file that was there, and of an empty one', async () => {
    const api = await startFakeApi();
    const { blobs } = await openQuick(api.url);
    const source = sourceOf(bytesOf(14, 5000));
    await blobs.put(source);
    const seen: number[] = [];
    const onProgress = (_oid: Digest, doneBytes: number): void => void seen.push(doneBytes);
    await blobs.put(source, { onProgress });
    await blobs.put(sourceOf(Buffer.alloc(0)), { onProgress });
    expect(seen).to.deep.equal([5000, 0]);
  });
});

describe('remote blob store: when chunks turn out to be missing', () => {
  it('sends them again and succeeds', async () => {
    const api = await startFakeApi();
    const { blobs } = await openQuick(api.url);
    const bytes = bytesOf(20, 200 * KIB);
    let lies = 0;
    api.bend = (seen, response) => {
      if (seen.path !== '/chunks/has' || lies > 0) return false;
      lies += 1;
      sendJson(response, 200, { have: [0, 1, 2, 3] });
      return true;
    };
    const receipt = await blobs.put(sourceOf(bytes));
    expect(lies).to.equal(1);
    expect(api.count('/objects')).to.equal(2);
    expect(api.blobs.get(digestOf(bytes))?.equals(bytes)).to.equal(true);
    expect(receipt.newBytes).to.equal(bytes.length);
  });

  it('sends chunks of packs that the server has lost again', async () => {
    const api = await startFakeApi();
    const { blobs } = await openQuick(api.url);
    const bytes = bytesOf(22, 100 * KIB);
    let losses = 0;
    api.bend = async (seen, response, request) => {
      if (seen.path !== '/objects' || losses > 0) return false;
      losses += 1;
      const { blobs: asked } = JSON.parse((await collect(request, 1_000_000)).toString());
      sendJson(response, 200, { recorded: [], missing: asked[0].chunks, failed: [] });
      return true;
    };
    await blobs.put(sourceOf(bytes));
    expect(api.packSizes.length).to.equal(2);
    expect(api.blobs.get(digestOf(bytes))?.equals(bytes)).to.equal(true);
  });

  it('gives up on a server that asks for ever, and says for which file', async () => {
    const api = await startFakeApi();
    const { blobs } = await openQuick(api.url);
    const bytes = bytesOf(21, 20 * KIB);
    api.bend = (seen, response, request) => {
      if (seen.path !== '/objects') return false;
      request.resume();
      sendJson(response, 200, { recorded: [], missing: [digestOf('never')], failed: [] });
      return true;
    };
    const error = await errorOf(blobs.put(sourceOf(bytes, 'a.bin')));
    expect(error.code).to.equal('INCOMPLETE');
    expect(error.message).to.include('a.bin');
    expect(api.count('/objects')).to.be.at.most(5);
  });
});

describe('remote blob store: putMany', () => {
  it('packs small files together and has them recorded by one call', async () => {
    const api = await startFakeApi();
    const { blobs } = await openQuick(api.url);
    const sources = Array.from({ length: 100 }, (_, index) => sourceOf(bytesOf(100 + index, 3000)));
    const outcomes = await collectOutcomes(blobs.putMany(sources));
    expect(outcomes.length).to.equal(100);
    expect(outcomes.every((outcome) => 'receipt' in outcome)).to.equal(true);
    expect(api.packSizes.length).to.equal(1);
    expect(api.count('/objects')).to.equal(1);
    expect(api.count('/chunks/has')).to.equal(1);
  });

  it('counts every request and pack on some outcome', async () => {
    const api = await startFakeApi();
    const { blobs } = await openQuick(api.url, { packSizeMaxBytes: 64 * KIB });
    const before = api.seen.length;
    const sources = Array.from({ length: 20 }, (_, index) =>
      sourceOf(bytesOf(200 + index, 20_000)),
    );
    const outcomes = await collectOutcomes(blobs.putMany(sources));
    const receipts = outcomes.flatMap((outcome) => ('receipt' in outcome ? [outcome.receipt] : []));
    const sum = (pick: (receipt: (typeof receipts)[number]) => number): number =>
      receipts.reduce((total, receipt) => total + pick(receipt), 0);
    expect(sum((receipt) => receipt.requestCount)).to.equal(api.seen.length - before);
    expect(sum((receipt) => receipt.packCount)).to.equal(api.packSizes.length);
    expect(sum((receipt) => receipt.newBytes)).to.equal(20 * 20_000);
  });

  it('lets no bad file fail another', async () => {
    const api = await startFakeApi();
    const { blobs } = await openQuick(api.url);
    const good = sourceOf(bytesOf(30, 9000));
    const bad = { ...sourceOf(bytesOf(31, 9000), 'bad.bin'), open: good.open };
    const outcomes = await collectOutcomes(blobs.putMany([bad, good]));
    const codes = outcomes.map((outcome) => ('error' in outcome ? outcome.error.code : 'stored'));
    expect(codes).to.have.members(['MISMATCH', 'stored']);
    expect(api.blobs.size).to.equal(1);
  });

  it('records a file whose chunks only a bad one brought', async () => {
    const api = await startFakeApi();
    const { blobs } = await openQuick(api.url);
    const good = sourceOf(bytesOf(35, 9000));
    const bad = { ...sourceOf(bytesOf(36, 9000), 'bad.bin'), open: good.open };
    await collectOutcomes(blobs.putMany([good, bad]));
    expect(api.blobs.has(good.oid)).to.equal(true);
    expect(api.count('/objects')).to.equal(1);
  });

  it('stops reading a huge file soon after the server takes no more', async () => {
    const api = await startFakeApi();
    const { blobs } = await openQuick(api.url, { packSizeMaxBytes: 256 * KIB });
    api.bend = (seen, response, request) => {
      if (!seen.path.startsWith('/packs/')) return false;
      request.resume();
      sendJson(response, 403, { code: 'FORBIDDEN', message: 'your token ended' });
      return true;
    };
    let readBytes = 0;
    const huge: BlobSource = {
      oid: EMPTY_DIGEST,
      sizeBytes: 2 ** 40,
      async *open() {
        for (let seed = 500; readBytes < 256 * 1024 * KIB; seed += 1) {
          readBytes += 1024 * KIB;
          yield bytesOf(seed, 1024 * KIB);
        }
      },
    };
    expect(await codeOf(blobs.put(huge))).to.equal('FORBIDDEN');
    expect(readBytes).to.be.at.most(48 * 1024 * KIB);
  });

  it('yields an outcome for the same file twice', async () => {
    const api = await startFakeApi();
    const { blobs } = await openQuick(api.url);
    const bytes = bytesOf(32, 9000);
    const outcomes = await collectOutcomes(blobs.putMany([sourceOf(bytes), sourceOf(bytes)]));
    expect(outcomes.length).to.equal(2);
    expect(outcomes.every((outcome) => 'receipt' in outcome)).to.equal(true);
  });

  it('goes ahead where the producer waits for an outcome before it names the next file', async () => {
    const api = await startFakeApi();
    const { blobs } = await openQuick(api.url);
    let wake: () => void = () => undefined;
    const stored = new Promise<void>((resolve) => {
      wake = resolve;
    });
    async function* sources(): AsyncIterable<BlobSource> {
      yield sourceOf(bytesOf(33, 4000));
      await stored;
      yield sourceOf(bytesOf(34, 4000));
    }
    let count = 0;
    for await (const _outcome of blobs.putMany(sources())) {
      count += 1;
      wake();
    }
    expect(count).to.equal(2);
  });

  it('tells every file why, where the server takes no more', async () => {
    const api = await startFakeApi();
    const { blobs } = await openQuick(api.url);
    api.bend = (seen, response, request) => {
      if (!seen.path.startsWith('/packs/')) return false;
      request.resume();
      sendJson(response, 507, { code: 'NO_SPACE', message: 'the disk is full' });
      return true;
    };
    const sources = [40, 41, 42].map((seed) => sourceOf(bytesOf(seed, 9000)));
    const outcomes = await collectOutcomes(blobs.putMany(sources));
    expect(outcomes.map((outcome) => 'error' in outcome && outcome.error.code)).to.deep.equal([
      'NO_SPACE',
      'NO_SPACE',
      'NO_SPACE',
    ]);
  });

  it('stops when cancelled: CANCELLED, nothing recorded', async () => {
    const api = await startFakeApi();
    const { blobs } = await openQuick(api.url);
    const stop = new AbortController();
    const source = sourceOf(bytesOf(50, 400 * KIB));
    api.bend = (seen) => {
      if (seen.path === '/chunks/has') stop.abort();
      return false;
    };
    expect(await codeOf(blobs.put(source, { signal: stop.signal }))).to.equal('CANCELLED');
    expect(api.blobs.size).to.equal(0);
    expect(api.count('/objects')).to.equal(0);
  });

  it('stops when the consumer leaves early, although the producer never ends', async () => {
    const api = await startFakeApi();
    const { blobs } = await openQuick(api.url);
    async function* sources(): AsyncIterable<BlobSource> {
      yield sourceOf(bytesOf(51, 4000));
      await new Promise(() => undefined);
    }
    for await (const outcome of blobs.putMany(sources())) {
      expect('receipt' in outcome).to.equal(true);
      break;
    }
  });

  it('succeeds although half of all requests are answered 503', async () => {
    const seed = 77;
    const api = await startFakeApi();
    const random = splitmix64(seed);
    const { blobs } = await openQuick(api.url, { packSizeMaxBytes: 64 * KIB });
    let refused = 0;
    api.bend = (_seen, response, request) => {
      if (random() < 0.5) return false;
      refused += 1;
      request.resume();
      sendJson(response, 503, { code: 'UNAVAILABLE', message: 'overloaded' });
      return true;
    };
    const bytes = bytesOf(52, 500 * KIB);
    await blobs.put(sourceOf(bytes));
    expect(refused, `seed ${seed}`).to.be.greaterThan(3);
    expect(api.blobs.get(digestOf(bytes))?.equals(bytes)).to.equal(true);
  });

  it('sends a pack whose connection was cut again, under the same id', async () => {
    const api = await startFakeApi();
    const { blobs } = await openQuick(api.url);
    let cuts = 0;
    api.bend = (seen, _response, request) => {
      if (!seen.path.startsWith('/packs/') || cuts >= 2) return false;
      cuts += 1;
      request.once('data', () => request.socket.destroy());
      return true;
    };
    const bytes = bytesOf(53, 300 * KIB);
    await blobs.put(sourceOf(bytes));
    const ids = new Set(
      api.seen.filter(({ path }) => path.startsWith('/packs/')).map(({ path }) => path),
    );
    expect(cuts).to.equal(2);
    expect(ids.size).to.equal(1);
    expect(api.blobs.get(digestOf(bytes))?.equals(bytes)).to.equal(true);
  });
});

describe('remote blob store: producers', () => {
  it('lets a producer clean up when the consumer leaves', async () => {
    const api = await startFakeApi();
    const { blobs } = await openQuick(api.url);
    let isClean = false;
    async function* sources(): AsyncIterable<BlobSource> {
      try {
        for (let seed = 300; seed < 400; seed += 1) {
          yield sourceOf(bytesOf(seed, 1000));
          await new Promise((resolve) => setImmediate(resolve));
        }
      } finally {
        isClean = true;
      }
    }
    for await (const _outcome of blobs.putMany(sources())) break;
    await new Promise((resolve) => setImmediate(resolve));
    expect(isClean).to.equal(true);
  });

  it('throws what a producer throws', async () => {
    const api = await startFakeApi();
    const { blobs } = await openQuick(api.url);
    async function* sources(): AsyncIterable<BlobSource> {
      yield sourceOf(bytesOf(401, 1000));
      throw new DatamonError('CONFLICT', 'the list ended early');
    }
    expect(await codeOf(collectOutcomes(blobs.putMany(sources())))).to.equal('CONFLICT');
  });
});

describe('pack pace', () => {
  it('makes packs small until the link is known, then what it carries in 20 seconds', () => {
    const pace = new PackPace();
    expect(pace.packSizeBytes).to.equal(SLOW_PACK_SIZE_BYTES);
    pace.observe(8 * 1024 * KIB, 8_192);
    expect(pace.packSizeBytes).to.equal(20_000 * KIB);
    pace.observe(8 * 1024 * KIB, 100);
    expect(pace.packSizeBytes).to.equal(64 * 1024 * KIB);
    pace.observe(8 * 1024 * KIB, 600_000);
    expect(pace.packSizeBytes).to.equal(SLOW_PACK_SIZE_BYTES);
  });
});
