/** Objects in and out: what is acknowledged is durable and right, what is cut or wrong leaves nothing. */
import { expect } from 'chai';
import type { Backend } from '../../core/backend/backend.ts';
import { createMemoryBackend } from '../../core/backend/memory.ts';
import { digestOf } from '../../core/digest.ts';
import { parseRepoName } from '../../core/keys.ts';
import { parseRange } from '../../lfs-server/range.ts';
import { rawClient, statusOf } from './support/raw-socket.ts';
import { expectSchema } from './support/schemas.ts';
import {
  basicToken,
  LFS,
  READER,
  REPO,
  type ServerWorld,
  startServer,
  WRITER,
} from './support/server-world.ts';

const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, n) => (n * 7 + (n >> 8)) & 255));
const oid = digestOf(bytes);
const at = (each: string) => `/${REPO}/objects/${each}`;

async function upload(world: ServerWorld, body: Buffer | string = bytes, as = oid, token = WRITER) {
  return await world.json(at(as), { method: 'PUT', body, token, headers: { Accept: LFS } });
}

async function keysOf(backend: Backend, prefix: string): Promise<number> {
  let count = 0;
  for await (const _object of backend.list(prefix)) count += 1;
  return count;
}

/** Blobs that any repo of the store possesses, as the server itself would find out. */
async function holds(world: ServerWorld, each: string): Promise<boolean> {
  return (await world.call(at(each), { token: WRITER, method: 'HEAD' })).status === 200;
}

describe('objects', () => {
  it('gives back what was put, with length and tag', async () => {
    const world = await startServer();
    expect((await upload(world)).status).to.equal(200);
    const response = await world.call(at(oid), { token: READER });
    expect(response.status).to.equal(200);
    expect(response.headers.get('etag')).to.equal(`"${oid}"`);
    expect(response.headers.get('content-length')).to.equal(String(bytes.length));
    expect(response.headers.get('accept-ranges')).to.equal('bytes');
    expect(Buffer.from(await response.arrayBuffer()).equals(bytes)).to.equal(true);
  });

  it('stores the empty object', async () => {
    const world = await startServer();
    const empty = digestOf('');
    expect((await upload(world, Buffer.alloc(0), empty)).status).to.equal(200);
    const response = await world.call(at(empty), { token: READER });
    expect(response.status).to.equal(200);
    expect(await response.text()).to.equal('');
  });

  it('takes the same object twice', async () => {
    const world = await startServer();
    expect((await upload(world)).status).to.equal(200);
    expect((await upload(world)).status).to.equal(200);
  });

  it('answers HEAD without bytes', async () => {
    const world = await startServer();
    await upload(world);
    const response = await world.call(at(oid), { token: READER, method: 'HEAD' });
    expect(response.headers.get('content-length')).to.equal(String(bytes.length));
    expect(await response.text()).to.equal('');
  });

  for (const [header, start, end] of [
    ['bytes=0-0', 0, 1],
    ['bytes=10-99', 10, 100],
    ['bytes=299999-', 299_999, 300_000],
    ['bytes=1000-99999999', 1000, 300_000],
    ['bytes=-5', 299_995, 300_000],
  ] as const) {
    it(`answers ${header} with exactly these bytes`, async () => {
      const world = await startServer();
      await upload(world);
      const response = await world.call(at(oid), { token: READER, headers: { Range: header } });
      expect(response.status).to.equal(206);
      expect(response.headers.get('content-range')).to.equal(`bytes ${start}-${end - 1}/300000`);
      expect(Buffer.from(await response.arrayBuffer()).equals(bytes.subarray(start, end))).to.equal(
        true,
      );
    });
  }

  it('answers 416 behind the end, and the whole for ranges it does not do', async () => {
    const world = await startServer();
    await upload(world);
    const ask = (Range: string) => world.call(at(oid), { token: READER, headers: { Range } });
    const behind = await ask('bytes=300000-');
    expect(behind.status).to.equal(416);
    expect(behind.headers.get('content-range')).to.equal('bytes */300000');
    for (const odd of [
      'bytes=0-1,5-6',
      'bytes=9-3',
      'items=0-1',
      'bytes=a-b',
      'bytes=-',
      'bytes=--5',
    ]) {
      const whole = await ask(odd);
      expect(whole.status, odd).to.equal(200);
      await whole.arrayBuffer();
    }
  });

  it('reads ranges beyond 2^31 and hostile ones in no time', () => {
    const size = 6 * 1024 ** 3;
    expect(parseRange('bytes=5000000000-5000000009', size)).to.deep.equal({
      kind: 'part',
      start: 5_000_000_000,
      end: 5_000_000_010,
    });
    expect(parseRange(`bytes=${'9'.repeat(100_000)}-`, size)).to.deep.equal({ kind: 'whole' });
    expect(parseRange(`bytes=${'0-1,'.repeat(100_000)}`, size)).to.deep.equal({ kind: 'whole' });
    expect(parseRange('bytes=0-', 0)).to.deep.equal({ kind: 'unsatisfiable' });
  });

  it('answers 304 to whoever has it, and honours If-Range', async () => {
    const world = await startServer();
    await upload(world);
    const same = await world.call(at(oid), {
      token: READER,
      headers: { 'If-None-Match': `"${oid}"` },
    });
    expect(same.status).to.equal(304);
    const changed = await world.call(at(oid), {
      token: READER,
      headers: { Range: 'bytes=0-1', 'If-Range': '"else"' },
    });
    expect(changed.status).to.equal(200);
  });

  for (const [what, body] of [
    ['garbage of the same length', Buffer.alloc(300_000, 1)],
    ['a truncated body', bytes.subarray(0, 299_999)],
    ['a longer body', Buffer.concat([bytes, Buffer.from('!')])],
    ['an empty body', Buffer.alloc(0)],
  ] as const) {
    it(`refuses ${what} with 400 and keeps nothing of it`, async () => {
      const world = await startServer();
      const answer = await upload(world, body);
      expect(answer.status).to.equal(400);
      expectSchema(answer.body, 'errors#/$defs/lfs');
      expect(await holds(world, oid)).to.equal(false);
    });
  }

  it('does not give an object for wrong bytes, though another repo holds it', async () => {
    const world = await startServer();
    await world.put(bytes, parseRepoName('acme/other'));
    expect((await upload(world, Buffer.alloc(300_000, 2))).status).to.equal(400);
    expect(await holds(world, oid)).to.equal(false);
  });

  it('leaves a stored object as it is when wrong bytes come for it', async () => {
    const world = await startServer();
    await upload(world);
    expect((await upload(world, Buffer.alloc(300_000, 3))).status).to.equal(400);
    const again = await world.call(at(oid), { token: READER });
    expect(Buffer.from(await again.arrayBuffer()).equals(bytes)).to.equal(true);
  });

  it('lets one corrupt upload of many of one oid fail alone', async () => {
    const world = await startServer();
    const bodies = Array.from({ length: 12 }, (_, n) =>
      n === 5 ? Buffer.alloc(300_000, 4) : bytes,
    );
    const answers = await Promise.all(bodies.map((body) => upload(world, body)));
    expect(answers.map(({ status }) => status)).to.deep.equal(
      bodies.map((_, n) => (n === 5 ? 400 : 200)),
    );
    const stored = await world.call(at(oid), { token: READER });
    expect(Buffer.from(await stored.arrayBuffer()).equals(bytes)).to.equal(true);
  });

  it('holds a basic token to its size before the body is read', async () => {
    const world = await startServer();
    const token = basicToken({ oid, sizeBytes: 5 });
    const client = await rawClient(world.port);
    client.write(
      `PUT ${at(oid)} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nContent-Length: 300000\r\n\r\n`,
    );
    const answer = await client.until('\r\n\r\n');
    expect(statusOf(answer)).to.equal(400);
    expect(answer.toLowerCase()).to.contain('connection: close');
    client.socket.destroy();
  });

  it('cuts a chunked body that grows past the size its token names', async () => {
    const world = await startServer();
    const token = basicToken({ oid: digestOf('abcde'), sizeBytes: 5 });
    const client = await rawClient(world.port);
    client.write(
      `PUT ${at(digestOf('abcde'))} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nTransfer-Encoding: chunked\r\n\r\n`,
    );
    client.write('5\r\nabcde\r\n1\r\n!\r\n');
    expect(statusOf(await client.until('\r\n\r\n'))).to.equal(400);
    client.socket.destroy();
    expect(await holds(world, digestOf('abcde'))).to.equal(false);
  });

  it('takes a chunked body of the size its token names', async () => {
    const world = await startServer();
    const token = basicToken({ oid: digestOf('abcde'), sizeBytes: 5 });
    const client = await rawClient(world.port);
    client.write(
      `PUT ${at(digestOf('abcde'))} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n`,
    );
    expect(statusOf(await client.until('\r\n\r\n'))).to.equal(200);
    client.socket.destroy();
  });

  for (const sent of [0, 1, 65_536, 299_999]) {
    it(`keeps nothing of an upload that is cut after ${sent} bytes`, async () => {
      const world = await startServer();
      await world.repository();
      const before = await keysOf(world.backend, '');
      const client = await rawClient(world.port);
      client.write(
        `PUT ${at(oid)} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${WRITER}\r\nContent-Length: 300000\r\n\r\n`,
      );
      client.write(bytes.subarray(0, sent));
      client.socket.end();
      await client.untilClosed();
      await until(() => world.log.some(({ method, status }) => method === 'PUT' && status >= 400));
      expect(await keysOf(world.backend, '')).to.equal(before);
      expect(await holds(world, oid)).to.equal(false);
    });
  }

  it('stores what a retry brings though the first try fails late', async () => {
    const world = await startServer();
    const client = await rawClient(world.port);
    client.write(
      `PUT ${at(oid)} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${WRITER}\r\nContent-Length: 300000\r\n\r\n`,
    );
    client.write(bytes.subarray(0, 1000));
    expect((await upload(world)).status).to.equal(200);
    client.socket.resetAndDestroy();
    await until(() => world.log.some(({ status }) => status >= 400));
    expect(await holds(world, oid)).to.equal(true);
  });

  it('cuts a body below the floor and keeps nothing of it', async () => {
    const world = await startServer({
      limits: { stallMaxMs: 120, rateFloorBytesPerSecond: 1_000_000 },
    });
    const client = await rawClient(world.port);
    client.write(
      `PUT ${at(oid)} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${WRITER}\r\nContent-Length: 300000\r\n\r\n`,
    );
    const drip = setInterval(() => client.socket.writable && client.write('x'), 10);
    await client.untilClosed();
    clearInterval(drip);
    expect(world.log.at(-1)?.code).to.equal('CANCELLED');
    expect(await holds(world, oid)).to.equal(false);
  });

  it('bears a body that pauses and stays above the floor on the whole', async () => {
    const world = await startServer({ limits: { stallMaxMs: 2_000, rateFloorBytesPerSecond: 10 } });
    const client = await rawClient(world.port);
    client.write(
      `PUT ${at(oid)} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${WRITER}\r\nContent-Length: 300000\r\n\r\n`,
    );
    for (let sent = 0; sent < bytes.length; sent += 100_000) {
      client.write(bytes.subarray(sent, sent + 100_000));
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(statusOf(await client.until('\r\n\r\n'))).to.equal(200);
    client.socket.destroy();
  });

  it('answers a stalled request for JSON, too', async () => {
    const world = await startServer({ limits: { jsonTimeoutMs: 100 } });
    const client = await rawClient(world.port);
    client.write(
      `POST /${REPO}/objects/batch HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${WRITER}\r\nContent-Type: ${LFS}\r\nContent-Length: 50\r\n\r\n{"oper`,
    );
    expect(statusOf(await client.untilClosed())).to.equal(499);
  });

  it('refuses compressed bodies', async () => {
    const world = await startServer();
    const response = await world.call(at(oid), {
      method: 'PUT',
      body: bytes,
      token: WRITER,
      headers: { 'Content-Encoding': 'gzip' },
    });
    expect(response.status).to.equal(400);
  });

  it('cuts the connection, and never ends it cleanly, where stored bytes are damaged', async () => {
    const inner = createMemoryBackend();
    let damage = false;
    const backend: Backend = {
      ...inner,
      async *get(key, range) {
        for await (const part of inner.get(key, range)) {
          // The last frames of the segment: the head of the object is intact and on its way.
          if (damage && key.includes('/segments/'))
            part[Math.floor(part.length * 0.9)] = (part[Math.floor(part.length * 0.9)] ?? 0) ^ 1;
          yield part;
        }
      },
    };
    const world = await startServer({ backend });
    await upload(world);
    damage = true;
    const client = await rawClient(world.port);
    client.write(`GET ${at(oid)} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${READER}\r\n\r\n`);
    const answer = await client.untilClosed();
    const body = answer.slice(answer.indexOf('\r\n\r\n') + 4);
    const isHonest =
      statusOf(answer) === 500 || (statusOf(answer) === 200 && body.length < bytes.length);
    expect(isHonest, `${statusOf(answer)}, ${body.length} bytes`).to.equal(true);
    expect(world.log.at(-1)?.code).to.equal('CORRUPT');
    if (statusOf(answer) === 200) expect(bytes.toString('latin1').startsWith(body)).to.equal(true);
  });

  for (const each of [
    '..',
    '%2e%2e',
    'a'.repeat(63),
    'A'.repeat(64),
    `${'a'.repeat(64)}%0a`,
    '..%2f..%2fetc%2fpasswd',
    '__proto__',
    `${'a'.repeat(64)}%00`,
  ]) {
    it(`takes ${JSON.stringify(each.slice(0, 30))} for no oid`, async () => {
      const world = await startServer();
      const get = await world.call(at(each), { token: WRITER });
      expect(get.status).to.be.oneOf([400, 404]);
      const put = await world.call(at(each), { method: 'PUT', body: 'x', token: WRITER });
      expect(put.status).to.be.oneOf([400, 404]);
    });
  }
});

describe('verify', () => {
  const verify = (world: ServerWorld, body: object, token = WRITER) =>
    world.json(`/${REPO}/verify`, { json: body, token, headers: { 'Content-Type': LFS } });

  it('says 200 for what is stored, as git-lfs asks (no charset)', async () => {
    const world = await startServer();
    await upload(world);
    const answer = await verify(
      world,
      { oid, size: 300_000 },
      basicToken({ oid, sizeBytes: 300_000 }),
    );
    expect(answer.status).to.equal(200);
  });

  it('says 404 for what is not there or another repo’s, and creates nothing', async () => {
    const world = await startServer();
    await world.put('foreign', parseRepoName('acme/other'));
    await world.repository();
    const before = await keysOf(world.backend, '');
    expect((await verify(world, { oid, size: 300_000 })).status).to.equal(404);
    expect((await verify(world, { oid: digestOf('foreign'), size: 7 })).status).to.equal(404);
    expect(await keysOf(world.backend, '')).to.equal(before);
  });

  it('says 400 for a wrong size or no oid', async () => {
    const world = await startServer();
    await upload(world);
    expect((await verify(world, { oid, size: 299_999 })).status).to.equal(400);
    expect((await verify(world, { oid: 'x', size: 1 })).status).to.equal(400);
    expect((await verify(world, {})).status).to.equal(400);
  });

  it('refuses the token of another object', async () => {
    const world = await startServer();
    await upload(world);
    const token = basicToken({ oid: digestOf('else'), sizeBytes: 300_000 });
    expect((await verify(world, { oid, size: 300_000 }, token)).status).to.equal(403);
  });
});

/** Waits for what the server does after its client has gone; mocha's own timeout bounds it. */
async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setImmediate(resolve));
}
