/** One byte past 2 GiB, where numbers of 32 bits end: through agent and server, whole and by range. The bytes repeat, so that the store stays small. */

import { open } from 'node:fs/promises';
import { request } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { expect } from 'chai';
import type { ByteStream } from '../../core/bytes.ts';
import { collect } from '../../core/bytes.ts';
import { createHasher, type Digest } from '../../core/digest.ts';
import { openQuick } from '../support/api-world.ts';
import { startRealServer } from '../support/real-server.ts';
import { seededBytes } from '../support/splitmix64.ts';
import { AgentProcess } from './support/agent-process.ts';
import { Stage } from './support/stage.ts';

const GIB = 1024 ** 3;
const EDGE = 2 * GIB;
const SIZE_BYTES = EDGE + 1;
const PERIOD = seededBytes(1, 256 * 1024);
const LAST = Buffer.of(0x7e);
/** The last two bytes below 2^31, and the one at it. */
const TAIL = Buffer.concat([PERIOD.subarray(-2), LAST]);
const CREATE = { by: 'ada', remote: null };
const PASS_TIMEOUT_MS = 60_000;

async function* generated(): AsyncIterable<Uint8Array> {
  for (let at = 0; at < EDGE; at += PERIOD.length) yield PERIOD;
  yield LAST;
}

async function digestOfStream(bytes: ByteStream): Promise<Digest> {
  const hasher = createHasher();
  for await (const piece of bytes) hasher.update(piece);
  return hasher.digest();
}

/** PUT by hand: a body of known length that nobody holds. */
function putStream(url: string): Promise<number> {
  return new Promise((done, fail) => {
    const put = request(url, { method: 'PUT', headers: { 'Content-Length': SIZE_BYTES } });
    put.on('response', (response) => done(response.resume().statusCode ?? 0));
    pipeline(generated(), put).catch(fail);
  });
}

async function expectRanges(url: string): Promise<void> {
  for (const [range, bytes] of [
    [`bytes=${EDGE - 2}-`, TAIL],
    [`bytes=${EDGE}-${EDGE}`, LAST],
    ['bytes=-3', TAIL],
  ] as const) {
    const part = await fetch(url, { headers: { Range: range } });
    expect(part.status, range).to.equal(206);
    expect(part.headers.get('content-range')).to.match(new RegExp(`/${SIZE_BYTES}$`));
    expect(Buffer.from(await part.arrayBuffer()).equals(bytes), range).to.equal(true);
  }
  const past = await fetch(url, { headers: { Range: `bytes=${SIZE_BYTES}-` } });
  expect(past.status).to.equal(416);
}

describe('end to end: a byte more than 2 GiB', function () {
  this.timeout(3 * PASS_TIMEOUT_MS);
  let oid: Digest;
  before(async () => {
    oid = await digestOfStream(generated());
  });

  it('goes up by plain PUT and comes down by datamon transfer', async () => {
    const server = await startRealServer();
    const url = `${server.origin}/acme/plain/objects/${oid}`;
    expect(await putStream(url)).to.equal(200);
    await expectRanges(url);
    const { blobs } = await openQuick(`${server.origin}/acme/plain`);
    expect(await digestOfStream(blobs.get(oid))).to.equal(oid);
    const tail = blobs.get(oid, { start: EDGE - 2, end: SIZE_BYTES });
    expect((await collect(tail, TAIL.length)).equals(TAIL)).to.equal(true);
    expect(await server.storedBytes()).to.be.below(16 * 1024 * 1024);
  });

  it('goes up by datamon transfer and comes down by plain GET', async () => {
    const server = await startRealServer();
    const { blobs } = await openQuick(`${server.origin}/acme/chunks`, { create: CREATE });
    const receipt = await blobs.put({ oid, sizeBytes: SIZE_BYTES, open: generated });
    expect(receipt.logicalBytes).to.equal(SIZE_BYTES);
    const url = `${server.origin}/acme/chunks/objects/${oid}`;
    await expectRanges(url);
    const whole = await fetch(url);
    expect(whole.headers.get('content-length')).to.equal(String(SIZE_BYTES));
    expect(await digestOfStream(whole.body as unknown as ByteStream)).to.equal(oid);
  });

  it('goes up through the agent, straight into a directory', async () => {
    const stage = await Stage.set({ server: 'none' });
    try {
      const url = `${stage.storeUrl}//team/large`;
      const { repo } = await stage.project('large', { url, initArgs: ['--shared'] });
      const path = repo.path('large.dat');
      const file = await open(path, 'w');
      // Sparse: the disk holds its end alone.
      await file.write(TAIL, 0, TAIL.length, EDGE - 2);
      await file.close();
      const sparse = await digestOfStream((await open(path)).createReadStream());
      const { env } = stage.world;
      const agent = new AgentProcess({ cwd: repo.dir, env, timeoutMs: PASS_TIMEOUT_MS });
      await agent.ask({ event: 'init', operation: 'upload', remote: 'origin', concurrent: false });
      const upload = { event: 'upload', oid: sparse, size: SIZE_BYTES, path, action: null };
      expect(await agent.ask(upload)).to.deep.equal({ event: 'complete', oid: sparse });
      expect(await agent.end()).to.equal(0);
      const { blobs } = await openQuick(url);
      expect(await blobs.has([sparse])).to.deep.equal(new Map([[sparse, SIZE_BYTES]]));
      const tail = blobs.get(sparse, { start: EDGE - 2 });
      expect((await collect(tail, TAIL.length)).equals(TAIL)).to.equal(true);
    } finally {
      await stage.strike();
    }
  });
});
