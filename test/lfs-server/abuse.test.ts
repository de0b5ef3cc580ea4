/** What somebody does who means harm or cannot do better: the server answers, lets go of everything, and stays up. */
import { expect } from 'chai';
import type { Backend } from '../../core/backend/backend.ts';
import { createMemoryBackend } from '../../core/backend/memory.ts';
import { DatamonError } from '../../core/errors.ts';
import { parseRepoName } from '../../core/keys.ts';
import { readJson } from '../../lfs-server/body.ts';
import { createLog } from '../../lfs-server/request-log.ts';
import { DEFAULT_LIMITS, JSON_MARK_COUNT_MAX } from '../../lfs-server/settings.ts';
import { seededBytes, splitmix64 } from '../support/splitmix64.ts';
import { rawClient, statusOf } from './support/raw-socket.ts';
import {
  pushVersion,
  READER,
  REPO,
  startServer,
  tokenFor,
  WRITER,
} from './support/server-world.ts';

const API = `/api/v1/repos/${encodeURIComponent(REPO)}`;

describe('every answer', () => {
  it('tells browsers not to guess, run, frame or lend out what it holds', async () => {
    const world = await startServer();
    await pushVersion(world, { files: { 'a.svg': '<svg onload="alert(1)"/>' } });
    const oid = await world.put('bytes');
    const token = READER;
    for (const [path, init] of [
      ['/healthz', {}],
      ['/assets/icon.svg', {}],
      ['/no/such/thing/at/all', {}],
      [`/${REPO}`, { token }],
      [`/${REPO}/raw/main/a.svg`, { token }],
      [`/${REPO}/objects/${oid}`, { token }],
      [`/${REPO}/objects/${oid}`, { token, headers: { Range: 'bytes=99-' } }],
      [`${API}/objects/${oid}`, { token }],
      [`${API}/branches`, {}],
      [`${API}/branches`, { method: 'OPTIONS' }],
      [`/${REPO}`, { method: 'DELETE' }],
      ['/%ff', {}],
    ] as const) {
      const { headers } = await world.call(path, init);
      expect(headers.get('x-content-type-options'), path).to.equal('nosniff');
      expect(headers.get('content-security-policy'), path).to.match(/^default-src 'none'/);
      expect(headers.get('cross-origin-resource-policy'), path).to.equal('same-origin');
      expect(headers.get('access-control-allow-origin'), path).to.equal(null);
      expect(headers.get('x-request-id'), path).to.match(/^[0-9a-f]{16}$/);
    }
  });

  it('tells addresses apart by case, as repos are', async () => {
    const world = await startServer();
    await pushVersion(world, { files: { a: 'x' } }, parseRepoName('Healthz'));
    const token = tokenFor('ada', 'read:*');
    const page = await world.call('/Healthz', { token });
    expect(await page.text()).to.contain('<h1>Healthz</h1>');
    expect((await world.call(`${API.replace('api', 'API')}/branches`, { token })).status).to.equal(
      404,
    );
    expect((await world.call(`/${REPO}/TREE/main`, { token })).status).to.equal(404);
  });

  it('of a failing store names no place on the server; the log does', async () => {
    const secret = '/srv/private/datamon/packs/x';
    const world = await startServer({
      repos: (repos) => ({
        ...repos,
        find: async () => {
          throw new DatamonError('UNAVAILABLE', `cannot read ${secret}`, {
            cause: new Error('EIO'),
          });
        },
        probe: async () => {
          throw new DatamonError('UNAVAILABLE', `cannot read ${secret}`);
        },
      }),
    });
    for (const path of [`${API}/branches`, `/${REPO}`, '/readyz']) {
      const response = await world.call(path, { token: READER });
      expect(response.status).to.equal(503);
      expect(response.headers.get('retry-after')).to.match(/^\d+$/);
      expect(await response.text()).not.to.contain('/srv');
      expect(world.log.at(-1)?.why, path).to.contain(secret);
    }
    expect(world.log[0]?.why).to.contain('EIO');
  });

  it('is addressed to the host that was called, whatever a full address in the request line says', async () => {
    const world = await startServer({ anonymous: 'read', hosts: new Set(['127.0.0.1']) });
    const client = await rawClient(world.port);
    client.write(
      `GET http://evil.example/${REPO} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\nConnection: close\r\n\r\n`,
    );
    const answer = await client.untilClosed();
    expect(statusOf(answer)).to.equal(200);
    expect(answer).to.contain('http://127.0.0.1/api/v1').and.not.contain('evil');
    const other = await rawClient(world.port);
    other.write(
      'GET http://127.0.0.1/ HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n',
    );
    expect(statusOf(await other.untilClosed())).to.equal(403);
  });
});

describe('bodies that nobody reads', () => {
  it('end the connection instead of keeping it for ever', async () => {
    const world = await startServer();
    const client = await rawClient(world.port);
    client.write('GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\nx');
    const answer = await client.untilClosed();
    expect(statusOf(answer)).to.equal(200);
    expect(answer).to.match(/^Connection: close\r$/m);
  });

  it('are told from no body at all, which keeps the connection', async () => {
    const world = await startServer();
    const client = await rawClient(world.port);
    for (const [path, text] of [
      ['/healthz', '"ok"'],
      ['/a/b/c', 'NOT_FOUND'],
      ['/readyz', '"ready"'],
    ] as const) {
      client.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nAccept: application/json\r\n\r\n`);
      expect(await client.until(text)).not.to.contain('Connection: close');
    }
    client.socket.destroy();
  });
});

describe('JSON', () => {
  it('of millions of tiny values is refused before it is unfolded', async () => {
    const bytes = Buffer.from(`[${'[],'.repeat(JSON_MARK_COUNT_MAX / 2)}[]]`);
    const request = Object.assign(
      (async function* () {
        yield bytes;
      })(),
      { headers: { 'content-type': 'application/json' } },
    );
    const options = { limitBytes: bytes.length, limits: DEFAULT_LIMITS };
    // biome-ignore lint/suspicious/noExplicitAny: as much of a request as a body needs
    const refused = await readJson(request as any, options).catch((error) => error);
    expect(refused).to.be.instanceOf(DatamonError).with.property('code', 'TOO_LARGE');
  });
});

describe('the log', () => {
  it('shows a terminal nothing that it would obey', () => {
    const lines: string[] = [];
    createLog((text) => lines.push(text))({
      requestId: 'r',
      method: 'PUT',
      path: '/\u009b31mred\u2028\u202ereversed',
      status: 400,
      subject: 'x',
      durationMs: 1,
    });
    expect(lines[0]).not.to.match(/[\u007f-\u009f\u2028\u2029\u202a-\u202e]/);
    expect(JSON.parse(lines[0] ?? '').path).to.equal('/\u009b31mred\u2028\u202ereversed');
  });
});

describe('downloads', () => {
  const SIZE = 24 * 1024 * 1024;

  it('let go of the store when the client leaves', async () => {
    const { world, reads, oid } = await watchedWorld();
    const client = await rawClient(world.port);
    client.socket.pause();
    client.write(
      `GET /${REPO}/objects/${oid} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${READER}\r\n\r\n`,
    );
    await reads.until(({ opened }) => opened > 0);
    client.socket.destroy();
    await reads.until(({ opened, closed }) => opened === closed);
    expect(reads.bytes).to.be.below(SIZE);
  });

  it('are cut where the client takes nothing', async () => {
    const { world, reads, oid } = await watchedWorld();
    const client = await rawClient(world.port);
    client.socket.pause();
    client.write(
      `GET /${REPO}/objects/${oid} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${READER}\r\n\r\n`,
    );
    await reads.until(({ opened }) => opened > 0);
    await reads.until(({ opened, closed }) => opened === closed);
    expect(reads.bytes).to.be.below(SIZE);
    client.socket.destroy();
  });

  /** A server whose store says how many of its reads are open. */
  async function watchedWorld() {
    const counted = countingReads(createMemoryBackend());
    const world = await startServer({
      backend: counted.backend,
      limits: { readerStallMaxMs: 300 },
    });
    const oid = await world.put(seededBytes(7, SIZE));
    counted.reads.reset();
    return { world, reads: counted.reads, oid };
  }
});

interface Reads {
  opened: number;
  closed: number;
  bytes: number;
  reset(): void;
  until(holds: (reads: Reads) => boolean): Promise<void>;
}

function countingReads(inner: Backend): { readonly backend: Backend; readonly reads: Reads } {
  const watchers = new Set<() => void>();
  const changed = () => {
    for (const watch of watchers) watch();
  };
  const reads: Reads = {
    opened: 0,
    closed: 0,
    bytes: 0,
    reset: () => Object.assign(reads, { opened: 0, closed: 0, bytes: 0 }),
    until: (holds) =>
      new Promise((resolve) => {
        const watch = () => {
          if (!holds(reads)) return;
          watchers.delete(watch);
          resolve();
        };
        watchers.add(watch);
        watch();
      }),
  };
  async function* get(...[key, range]: Parameters<Backend['get']>) {
    reads.opened += 1;
    changed();
    try {
      for await (const piece of inner.get(key, range)) {
        reads.bytes += piece.length;
        yield piece;
      }
    } finally {
      reads.closed += 1;
      changed();
    }
  }
  const backend = new Proxy(inner, {
    get: (target, name) => {
      if (name === 'get') return get;
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  return { backend, reads };
}

describe('two servers on one store', () => {
  it('see at once what came through the other, also where they had just said that it is not there', async () => {
    const backend = createMemoryBackend();
    const [a, b] = [await startServer({ backend }), await startServer({ backend })];
    const at = { token: READER, headers: { Accept: 'text/html' } };
    expect((await b.call(`/${REPO}`, at)).status).to.equal(404);
    const first = await pushVersion(a, { files: { 'a.txt': 'one' }, message: 'First' });
    expect(await (await b.call(`/${REPO}`, at)).text()).to.contain('First');
    expect((await b.call(`/${REPO}/raw/v1/b.txt`, at)).status).to.equal(404);
    expect((await b.call(`/${REPO}/tree/side`, at)).status).to.equal(404);
    const second = await pushVersion(a, {
      files: { 'a.txt': 'one', 'b.txt': 'two' },
      message: 'Second',
      parent: first.commit,
    });
    expect((await b.call(`/${REPO}/commit/${second.commit}`, at)).status).to.equal(200);
    expect(await (await b.call(`/${REPO}/raw/main/b.txt`, at)).text()).to.equal('two');
    const label = { method: 'PUT', token: WRITER, json: { bundle: second.bundle } };
    expect((await a.call(`${API}/labels/v1`, label)).status).to.equal(200);
    expect(await (await b.call(`/${REPO}/raw/v1/b.txt`, at)).text()).to.equal('two');
    await pushVersion(a, { files: { c: 'x' }, branch: 'side' });
    expect((await b.call(`/${REPO}/tree/side`, at)).status).to.equal(200);
  });
});

describe('two hundred requests at random', () => {
  it('are answered or cut, none with a failure of the server, and it stays up', async function () {
    this.timeout(30_000);
    const world = await startServer({ limits: { jsonTimeoutMs: 500, stallMaxMs: 300 } });
    const { commit } = await pushVersion(world, { files: { 'a.txt': 'one' } });
    const oid = await world.put('bytes');
    const seed = Date.now() % 1_000_000;
    const random = splitmix64(seed);
    const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;
    const junk = () =>
      Buffer.from(Array.from({ length: 40 }, () => Math.floor(random() * 256)))
        .toString('latin1')
        .replace(/[\r\n ]/g, '?');
    const request = (): string => {
      const method = pick(['GET', 'HEAD', 'PUT', 'POST', 'OPTIONS', 'DELETE', 'PATCH', 'TRACE']);
      const base = pick([
        '/',
        `/${REPO}`,
        `/${REPO}.git/info/lfs`,
        API,
        '/api/v1/repos',
        `/${REPO}/objects/${oid}`,
        `/${REPO}/tree/main`,
        `/${REPO}/commit/${commit}`,
        `${API}/objects`,
        `${API}/packs/${'0'.repeat(32)}`,
        `${API}/bundles`,
        `${API}/labels/x`,
        `${API}/pushes`,
        `/${REPO}/locks`,
        `/${REPO}/objects/batch`,
        `/${REPO}/compare`,
      ]);
      const tail = pick([
        '',
        '/',
        '/..',
        '/%2e%2e/%2e%2e/etc/passwd',
        '/%',
        '/%ff%fe',
        '/__proto__',
        '?before=1&before=2',
        '?limit=-1',
        '?limit=1e9&prefix[]=x',
        '?__proto__[x]=1',
        '/batch',
        '/verify',
        '/has',
        `/${junk()}`,
        '//x//y',
        '/%00',
        '/a...b...c',
      ]);
      const body = pick([
        '',
        '{}',
        '[',
        'null',
        '"x"',
        '{"operation":"upload","objects":[null,1,{}]}',
        '{"oids":["x"]}',
        '{"__proto__":{"a":1},"objects":{}}',
        '[[[[[[[[[['.repeat(200),
        junk(),
      ]);
      const length = pick([body.length, body.length, body.length + 5, 0]);
      return [
        `${method} ${base}${tail} HTTP/1.1`,
        `Host: ${pick(['127.0.0.1', 'x', '', 'a:b:c', '[::1]:80'])}`,
        `Authorization: ${pick([`Bearer ${WRITER}`, `Bearer ${READER}`, 'Bearer x', 'Basic !!', `Basic ${junk()}`])}`,
        `Content-Type: ${pick(['application/json', 'application/vnd.git-lfs+json', 'text/plain', '', 'application/octet-stream'])}`,
        `Accept: ${pick(['text/html', 'application/json', '*/*', junk()])}`,
        `Range: ${pick(['bytes=0-', 'bytes=-0', 'bytes=5-1', 'bytes=99999999999999999999-', 'x'])}`,
        `Content-Length: ${length}`,
        '',
        body,
      ].join('\r\n');
    };
    const unhandled: unknown[] = [];
    const note = (error: unknown) => void unhandled.push(error);
    process.on('unhandledRejection', note);
    const sent = Array.from({ length: 200 }, request);
    await Promise.all(
      sent.map(async (text) => {
        const client = await rawClient(world.port);
        client.write(Buffer.from(text, 'latin1'));
        if (random() < 0.2) client.socket.destroy();
        else client.socket.end();
        await client.untilClosed();
      }),
    );
    process.off('unhandledRejection', note);
    expect(unhandled, `seed ${seed}`).to.deep.equal([]);
    const failures = world.log.filter(({ status, trace }) => status >= 500 || trace !== undefined);
    expect(failures, `seed ${seed}`).to.deep.equal([]);
    expect(
      world.log.filter(({ status }) => status === 422),
      `seed ${seed}`,
    ).to.deep.equal([]);
    expect((await world.call('/healthz')).status).to.equal(200);
    expect(await (await world.call(`/${REPO}/raw/main/a.txt`, { token: READER })).text()).to.equal(
      'one',
    );
  });
});
