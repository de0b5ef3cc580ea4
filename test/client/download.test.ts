/** Getting blobs over HTTP: ranges, cuts, stalls, and servers that lie. */
import { expect } from 'chai';
import { collect } from '../../core/bytes.ts';
import { type Digest, digestOf } from '../../core/digest.ts';
import { createFastPace, openQuick } from '../support/api-world.ts';
import { codeOf, errorOf } from '../support/code-of.ts';
import { sendJson, startFakeApi } from '../support/fake-api.ts';
import { seededBytes } from '../support/splitmix64.ts';

const KIB = 1024;
const bytesOf = (seed: number, sizeBytes: number): Buffer => seededBytes(seed, sizeBytes);

describe('remote blob store: get', () => {
  const bytes = bytesOf(60, 300 * KIB);
  const oid = digestOf(bytes);

  for (const [name, range, expected] of [
    ['a range in the middle', { start: 1000, end: 5000 }, bytes.subarray(1000, 5000)],
    ['a range to the end', { start: 299 * KIB }, bytes.subarray(299 * KIB)],
    ['a range past the end', { start: 299 * KIB, end: 900 * KIB }, bytes.subarray(299 * KIB)],
    ['an empty range', { start: 5, end: 5 }, Buffer.alloc(0)],
    ['the nothing behind the last byte', { start: 300 * KIB }, Buffer.alloc(0)],
    ['a range from the first byte', { start: 0, end: 7 }, bytes.subarray(0, 7)],
  ] as const) {
    it(`reads ${name}`, async () => {
      const api = await startFakeApi();
      const { blobs } = await openQuick(api.url);
      api.blobs.set(oid, bytes);
      const read = await collect(blobs.get(oid, range), bytes.length);
      expect(read.equals(expected)).to.equal(true);
    });
  }

  it('refuses a range that starts past the end', async () => {
    const api = await startFakeApi();
    const { blobs } = await openQuick(api.url);
    api.blobs.set(oid, bytes);
    const read = collect(blobs.get(oid, { start: bytes.length + 1 }), bytes.length);
    expect(await codeOf(read)).to.equal('INVALID');
  });

  it('says that an object is not there', async () => {
    const api = await startFakeApi();
    const { blobs } = await openQuick(api.url);
    expect(await codeOf(collect(blobs.get(oid), 10))).to.equal('NOT_FOUND');
  });

  for (const cutAt of [0, 1, 4096, 150_000, 307_199]) {
    it(`goes on where the connection was cut after ${cutAt} bytes`, async () => {
      const api = await startFakeApi();
      const { blobs } = await openQuick(api.url);
      api.blobs.set(oid, bytes);
      let cuts = 0;
      api.bend = (seen, response) => {
        if (seen.method !== 'GET' || !seen.path.startsWith('/objects/') || cuts > 0) return false;
        cuts += 1;
        response.writeHead(200, { 'Content-Length': bytes.length });
        response.write(bytes.subarray(0, cutAt), () => response.destroy());
        return true;
      };
      const read = await collect(blobs.get(oid), bytes.length);
      expect(read.equals(bytes)).to.equal(true);
      expect(cuts).to.equal(1);
    });
  }

  it('survives many cuts as long as each connection brings something', async () => {
    const api = await startFakeApi();
    const { blobs } = await openQuick(api.url);
    api.blobs.set(oid, bytes);
    api.bend = (seen, response) => {
      const start = Number(/bytes=([0-9]+)-/.exec(seen.headers.range ?? 'bytes=0-')?.[1]);
      if (!seen.path.startsWith('/objects/') || start > 250_000) return false;
      response.writeHead(206, {
        'Content-Range': `bytes ${start}-${bytes.length - 1}/${bytes.length}`,
      });
      response.write(bytes.subarray(start, start + 10_000), () => response.destroy());
      return true;
    };
    const read = await collect(blobs.get(oid, { start: 1 }), bytes.length);
    expect(read.equals(bytes.subarray(1))).to.equal(true);
  });

  it('gives up on connections that bring nothing', async () => {
    const api = await startFakeApi();
    const { blobs } = await openQuick(api.url);
    api.bend = (seen, response) => {
      if (!seen.path.startsWith('/objects/')) return false;
      response.writeHead(200, { 'Content-Length': bytes.length });
      response.write('', () => response.destroy());
      response.flushHeaders();
      return true;
    };
    expect(await codeOf(collect(blobs.get(oid), bytes.length))).to.equal('UNAVAILABLE');
    expect(api.seen.filter(({ path }) => path.startsWith('/objects/')).length).to.be.at.most(10);
  });

  it('finds out a server that sends other bytes, before the last of them is passed on', async () => {
    const api = await startFakeApi();
    const { blobs } = await openQuick(api.url);
    const lie = Buffer.from(bytes);
    lie[200_000] = (lie[200_000] ?? 0) ^ 1;
    api.blobs.set(oid, lie);
    let passedBytes = 0;
    const error = await errorOf(async () => {
      for await (const piece of blobs.get(oid)) passedBytes += piece.length;
    });
    expect(error.code).to.equal('CORRUPT');
    expect(passedBytes).to.be.below(bytes.length);
  });

  it('finds out a server that sends too little and ends cleanly', async () => {
    const api = await startFakeApi();
    const { blobs } = await openQuick(api.url);
    api.bend = (seen, response) => {
      if (!seen.path.startsWith('/objects/')) return false;
      response.end(bytes.subarray(0, 1000));
      return true;
    };
    expect(await codeOf(collect(blobs.get(oid), bytes.length))).to.equal('CORRUPT');
  });

  it('finds out a server that sends another range than asked for', async () => {
    const api = await startFakeApi();
    const { blobs } = await openQuick(api.url);
    api.bend = (seen, response) => {
      if (!seen.path.startsWith('/objects/')) return false;
      response.writeHead(206, { 'Content-Range': `bytes 0-99/${bytes.length}` });
      response.end(bytes.subarray(0, 100));
      return true;
    };
    expect(await codeOf(collect(blobs.get(oid, { start: 500 }), bytes.length))).to.equal('CORRUPT');
  });

  it('reads a range from a server that knows no ranges', async () => {
    const api = await startFakeApi();
    const { blobs } = await openQuick(api.url);
    api.bend = (seen, response) => {
      if (!seen.path.startsWith('/objects/')) return false;
      response.end(bytes);
      return true;
    };
    const read = await collect(blobs.get(oid, { start: 70_000, end: 70_010 }), bytes.length);
    expect(read.equals(bytes.subarray(70_000, 70_010))).to.equal(true);
  });

  it('passes on what the server says about damage', async () => {
    const api = await startFakeApi();
    const { blobs } = await openQuick(api.url);
    api.bend = (seen, response) => {
      if (!seen.path.startsWith('/objects/')) return false;
      sendJson(response, 500, { code: 'CORRUPT', message: 'a frame is damaged' });
      return true;
    };
    expect(await codeOf(collect(blobs.get(oid), bytes.length))).to.equal('CORRUPT');
  });

  it('does not wait for ever on a body that stalls', async () => {
    const api = await startFakeApi();
    const pace = createFastPace();
    const { blobs } = await openQuick(api.url, {
      pace,
      api: {
        limits: { answerTimeoutMs: 50, stallTimeoutMs: 50 },
        pace,
        policy: { attemptCount: 2, baseDelayMs: 1, maxDelayMs: 1 },
      },
    });
    api.bend = (seen, response) => {
      if (!seen.path.startsWith('/objects/')) return false;
      response.writeHead(200, { 'Content-Length': 10 });
      response.flushHeaders();
      return true;
    };
    const error = await errorOf(collect(blobs.get(oid), bytes.length));
    expect(error.code).to.equal('UNAVAILABLE');
    expect(error.message).to.include('no byte for');
  });
});

describe('remote blob store: has', () => {
  it('asks for at most 10,000 at once', async () => {
    const api = await startFakeApi();
    const { blobs } = await openQuick(api.url);
    const oids = Array.from({ length: 20_001 }, (_, index) => digestOf(`${index}`));
    api.blobs.set(oids[20_000] as Digest, Buffer.from('x'));
    const sizes = await blobs.has(oids);
    expect([...sizes.values()]).to.deep.equal([1]);
    expect(api.count('/objects/has')).to.equal(3);
  });
});
