/** Plain GET and PUT against a server that behaves, misbehaves, redirects and breaks off. */
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { checkHref, downloadBasic, uploadBasic } from '../../agent/basic-transfer.ts';
import { RetryAfter } from '../../agent/retry.ts';
import { collect } from '../../core/bytes.ts';
import type { BlobSource } from '../../core/cas/blob-store.ts';
import { digestOf } from '../../core/digest.ts';
import { DatamonError } from '../../core/errors.ts';
import { codeOf } from '../support/code-of.ts';

const CONTENT = Buffer.from('0123456789'.repeat(100));
const signal = new AbortController().signal;

interface Peer {
  readonly origin: string;
  readonly seen: http.IncomingMessage[];
  close(): void;
}

async function peer(answer: http.RequestListener): Promise<Peer> {
  const seen: http.IncomingMessage[] = [];
  const server = http.createServer((request, response) => {
    seen.push(request);
    answer(request, response);
  });
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

const source: BlobSource = {
  oid: digestOf(CONTENT),
  sizeBytes: CONTENT.length,
  async *open() {
    yield CONTENT.subarray(0, 300);
    yield CONTENT.subarray(300);
  },
};

describe('agent/basic-transfer', () => {
  const peers: Peer[] = [];
  const serve = async (answer: http.RequestListener): Promise<Peer> => {
    const made = await peer(answer);
    peers.push(made);
    return made;
  };
  afterEach(() => {
    for (const made of peers.splice(0)) made.close();
  });

  const get = (href: string, start = 0, header: Record<string, string> = {}) =>
    collect(downloadBasic({ href, header }, { start, signal }), 1e6);
  const put = (href: string, header: Record<string, string> = {}, onProgress = (_: number) => {}) =>
    uploadBasic({ href, header }, source, { signal, onProgress });

  it('gets an object with the headers of the action', async () => {
    const server = await serve((_request, response) => response.end(CONTENT));
    const header = { authorization: 'Bearer t', 'x-own': 'y' };
    expect((await get(`${server.origin}/a`, 0, header)).equals(CONTENT)).to.equal(true);
    expect(server.seen[0]?.headers).to.include({ authorization: 'Bearer t', 'x-own': 'y' });
  });

  it('asks for the rest where some is there already', async () => {
    const server = await serve((request, response) => {
      const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1]);
      response.writeHead(206, { 'Content-Range': `bytes ${start}-999/1000` });
      response.end(CONTENT.subarray(start));
    });
    expect(await get(`${server.origin}/a`, 700)).to.have.length(300);
  });

  it('reads past what is known where the server ignores the range', async () => {
    const server = await serve((_request, response) => response.end(CONTENT));
    const rest = await get(`${server.origin}/a`, 705);
    expect(rest.equals(CONTENT.subarray(705))).to.equal(true);
  });

  for (const range of ['bytes 800-999/1000', 'nonsense', undefined]) {
    it(`refuses a part it cannot place (${range})`, async () => {
      const server = await serve((_request, response) => {
        response.writeHead(206, range === undefined ? {} : { 'Content-Range': range });
        response.end(CONTENT.subarray(800));
      });
      expect(await codeOf(get(`${server.origin}/a`, 700))).to.equal('CORRUPT');
    });
  }

  it('fails as something that may pass where the connection is cut', async () => {
    const server = await serve((_request, response) => {
      response.writeHead(200, { 'Content-Length': '1000' });
      response.write(CONTENT.subarray(0, 500), () => response.destroy());
    });
    expect(await codeOf(get(`${server.origin}/a`))).to.equal('UNAVAILABLE');
  });

  it('puts the whole file with its length, and reports what was sent', async () => {
    let body = Buffer.alloc(0);
    const server = await serve((request, response) => {
      const parts: Buffer[] = [];
      request.on('data', (part: Buffer) => parts.push(part));
      request.on('end', () => {
        body = Buffer.concat(parts);
        response.end();
      });
    });
    const progress: number[] = [];
    await put(`${server.origin}/a`, { Authorization: 'Basic x' }, (bytes) => progress.push(bytes));
    expect(body.equals(CONTENT)).to.equal(true);
    expect(server.seen[0]?.headers).to.include({
      'content-length': '1000',
      'content-type': 'application/octet-stream',
      authorization: 'Basic x',
    });
    expect(progress.at(-1)).to.equal(1000);
  });

  const statuses = {
    401: 'UNAUTHENTICATED',
    403: 'FORBIDDEN',
    404: 'NOT_FOUND',
    410: 'NOT_FOUND',
    413: 'TOO_LARGE',
    422: 'INVALID',
    500: 'UNAVAILABLE',
    503: 'UNAVAILABLE',
    507: 'NO_SPACE',
  };
  for (const [status, code] of Object.entries(statuses)) {
    it(`takes ${status} for ${code}, up and down`, async () => {
      const server = await serve((request, response) => {
        request.resume();
        response.writeHead(Number(status)).end('no');
      });
      expect(await codeOf(get(`${server.origin}/a`))).to.equal(code);
      expect(await codeOf(put(`${server.origin}/a`))).to.equal(code);
    });
  }

  it('remembers when a server wants to be asked again', async () => {
    const server = await serve((_request, response) =>
      response.writeHead(429, { 'Retry-After': '7' }).end(),
    );
    const error: unknown = await get(`${server.origin}/a`).catch((thrown: unknown) => thrown);
    expect((error as DatamonError).cause)
      .to.be.instanceOf(RetryAfter)
      .and.include({ afterMs: 7000 });
  });

  it('passes on why a source failed, not that the connection broke', async () => {
    const server = await serve((request) => request.resume());
    const broken: BlobSource = {
      ...source,
      async *open() {
        yield CONTENT.subarray(0, 10);
        throw new DatamonError('MISMATCH', 'changed');
      },
    };
    const href = `${server.origin}/a`;
    const sent = uploadBasic({ href, header: {} }, broken, { signal, onProgress: () => undefined });
    expect(await codeOf(sent)).to.equal('MISMATCH');
  });

  it('follows a redirect to another origin without any credential', async () => {
    const other = await serve((_request, response) => response.end(CONTENT));
    const server = await serve((_request, response) =>
      response.writeHead(302, { Location: `${other.origin}/b` }).end(),
    );
    const header = { authorization: 'Bearer secret', Cookie: 'secret', 'X-Key': 'secret' };
    expect(await get(`${server.origin}/a`, 0, header)).to.have.length(1000);
    expect(JSON.stringify(other.seen[0]?.rawHeaders)).to.not.include('secret');
  });

  it('keeps credentials within one origin', async () => {
    const server = await serve((request, response) => {
      if (request.url === '/a') response.writeHead(302, { Location: '/b' }).end();
      else response.end(CONTENT);
    });
    await get(`${server.origin}/a`, 0, { Authorization: 'Bearer t' });
    expect(server.seen[1]?.headers.authorization).to.equal('Bearer t');
  });

  it('ends a circle of redirects', async () => {
    const server = await serve((_request, response) =>
      response.writeHead(302, { Location: '/a' }).end(),
    );
    expect(await codeOf(get(`${server.origin}/a`))).to.equal('UNSUPPORTED');
  });

  for (const href of [
    'file:///etc/passwd',
    'data:text/plain,x',
    'ftp://h/x',
    'not a url',
    'http://169.254.169.254/latest/meta-data',
    'http://[fe80::1]/x',
    'http://[::ffff:169.254.169.254]/x',
    'http://2852039166/',
  ]) {
    it(`refuses the address ${href}`, () => {
      expect(() => checkHref(href))
        .to.throw(DatamonError)
        .with.property('code', 'FORBIDDEN');
    });
  }

  it('refuses a header that would smuggle in another', async () => {
    const header = { Authorization: 'x\r\nX-Evil: 1' };
    expect(await codeOf(get('http://127.0.0.1:1/a', 0, header))).to.equal('FORBIDDEN');
  });
});
