/** Calls over a real socket: retries, tokens, redirects, and errors in words. */
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import net from 'node:net';
import { expect } from 'chai';
import { ApiClient, type ApiOptions } from '../../client/api-client.ts';
import { exchange, HTTP_LIMITS, redirected } from '../../client/http.ts';
import type { RetryNotice } from '../../client/retry.ts';
import { NO_TOKENS, Session, type TokenSource } from '../../client/session.ts';
import { bytesBody } from '../../core/backend/backend.ts';
import { collect } from '../../core/bytes.ts';
import { DatamonError } from '../../core/errors.ts';
import { count, record } from '../../core/shape.ts';
import { createFastPace } from '../support/api-world.ts';
import { codeOf, errorOf } from '../support/code-of.ts';

type Handler = (request: http.IncomingMessage, response: http.ServerResponse) => void;

const servers: http.Server[] = [];

async function serve(handler: Handler): Promise<string> {
  const server = http.createServer(handler);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

afterEach('close servers', async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

const LIMITS = { answerTimeoutMs: 1_000, stallTimeoutMs: 1_000 };
const parseN = record<{ n: number }>({ n: count });

function clientFor(
  url: string,
  tokens: TokenSource = NO_TOKENS,
  options: ApiOptions = {},
): ApiClient {
  return new ApiClient(new Session(url, tokens), {
    pace: createFastPace(),
    limits: LIMITS,
    ...options,
  });
}

const json = (response: http.ServerResponse, status: number, body: unknown, headers = {}): void => {
  response.writeHead(status, { 'Content-Type': 'application/json', ...headers });
  response.end(JSON.stringify(body));
};

/** A source with one answer per `get`, which remembers what was rejected. */
function tokensOf(...given: (string | null)[]): TokenSource & { readonly rejected: string[] } {
  const rejected: string[] = [];
  return {
    rejected,
    get: async () => given.shift() ?? null,
    reject: async (_url, token) => void rejected.push(token),
  };
}

describe('api client: retries', () => {
  it('tries again what may pass, a bounded number of times, and tells', async () => {
    let requests = 0;
    const url = await serve((_request, response) => {
      requests += 1;
      json(response, 503, { code: 'UNAVAILABLE', message: 'not now' });
    });
    const notices: RetryNotice[] = [];
    const api = clientFor(url, NO_TOKENS, { onRetry: (notice) => notices.push(notice) });
    const error = await errorOf(api.json({ method: 'GET', url }, parseN));
    expect(error.code).to.equal('UNAVAILABLE');
    expect(error.message).to.equal('not now');
    expect(requests).to.equal(10);
    expect(notices.map(({ attempt }) => attempt)).to.deep.equal([1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  for (const [status, code] of [
    [400, 'INVALID'],
    [401, 'UNAUTHENTICATED'],
    [403, 'FORBIDDEN'],
    [404, 'NOT_FOUND'],
    [409, 'CONFLICT'],
    [413, 'TOO_LARGE'],
    [423, 'LOCKED'],
    [501, 'UNSUPPORTED'],
    [507, 'NO_SPACE'],
  ] as const) {
    it(`does not repeat a ${status}, which is ${code} where the body says nothing`, async () => {
      let requests = 0;
      const url = await serve((_request, response) => {
        requests += 1;
        response.writeHead(status).end('<html>');
      });
      expect(await codeOf(clientFor(url).json({ method: 'GET', url }, parseN))).to.equal(code);
      expect(requests).to.equal(1);
    });
  }

  for (const status of [408, 425, 429, 500, 502, 503, 504]) {
    it(`takes a ${status} without words for something that may pass`, async () => {
      let requests = 0;
      const url = await serve((_request, response) => {
        requests += 1;
        if (requests === 1) response.writeHead(status).end();
        else json(response, 200, { n: 7 });
      });
      expect(await clientFor(url).json({ method: 'GET', url }, parseN)).to.deep.equal({ n: 7 });
    });
  }

  it('goes by the code of the body, not by the status', async () => {
    let requests = 0;
    const url = await serve((_request, response) => {
      requests += 1;
      json(response, 500, { code: 'CORRUPT', message: 'damaged', hint: 'Run: datamon fsck' });
    });
    const error = await errorOf(clientFor(url).json({ method: 'GET', url }, parseN));
    expect([error.code, error.message, error.hint]).to.deep.equal([
      'CORRUPT',
      'damaged',
      'Run: datamon fsck',
    ]);
    expect(requests).to.equal(1);
  });

  it('waits as long as the server asks', async () => {
    let requests = 0;
    const url = await serve((_request, response) => {
      requests += 1;
      if (requests > 1) json(response, 200, { n: 1 });
      else response.writeHead(429, { 'Retry-After': '17' }).end();
    });
    const pace = createFastPace();
    await clientFor(url, NO_TOKENS, { pace }).json({ method: 'GET', url }, parseN);
    expect(pace.sleeps).to.deep.equal([17_000]);
  });

  it('understands a date to wait for', async () => {
    let requests = 0;
    const url = await serve((_request, response) => {
      requests += 1;
      if (requests > 1) json(response, 200, { n: 1 });
      else response.writeHead(503, { 'Retry-After': 'Thu, 01 Jan 2026 00:00:30 GMT' }).end();
    });
    const pace = createFastPace();
    await clientFor(url, NO_TOKENS, { pace }).json({ method: 'GET', url }, parseN);
    expect(pace.sleeps).to.deep.equal([30_000]);
  });

  it('does not wait for more than five minutes, and says how long it was asked to', async () => {
    const url = await serve((_request, response) => {
      response.writeHead(503, { 'Retry-After': '601' }).end();
    });
    const pace = createFastPace();
    const error = await errorOf(
      clientFor(url, NO_TOKENS, { pace }).json({ method: 'GET', url }, parseN),
    );
    expect(error.code).to.equal('UNAVAILABLE');
    expect(error.message).to.include('11 minutes');
    expect(pace.sleeps).to.deep.equal([]);
  });

  it('waits at random, up to bounds that double', async () => {
    const url = await serve((_request, response) => void response.writeHead(503).end());
    const pace = { ...createFastPace(), random: () => 0.999_999 };
    await errorOf(clientFor(url, NO_TOKENS, { pace }).json({ method: 'GET', url }, parseN));
    expect(pace.sleeps).to.deep.equal([250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000, 10_000]);
  });

  it('reads a JSON body again that was cut', async () => {
    let requests = 0;
    const url = await serve((_request, response) => {
      requests += 1;
      if (requests > 1) return json(response, 200, { n: 5 });
      response.writeHead(200, { 'Content-Length': 100 });
      response.write('{"n":', () => response.destroy());
    });
    expect(await clientFor(url).json({ method: 'GET', url }, parseN)).to.deep.equal({ n: 5 });
  });

  it('stops between attempts when told to', async () => {
    const stop = new AbortController();
    const url = await serve((_request, response) => {
      response.writeHead(503).end();
      stop.abort();
    });
    const api = clientFor(url, NO_TOKENS, { signal: stop.signal });
    expect(await codeOf(api.json({ method: 'GET', url }, parseN))).to.equal('CANCELLED');
  });

  it('stops a request that is under way', async () => {
    const stop = new AbortController();
    const url = await serve(() => stop.abort());
    const api = clientFor(url, NO_TOKENS, { signal: stop.signal });
    expect(await codeOf(api.json({ method: 'GET', url }, parseN))).to.equal('CANCELLED');
  });
});

describe('api client: what cannot be reached', () => {
  const once = { policy: { attemptCount: 1, baseDelayMs: 1, maxDelayMs: 1 } };

  it('says that nobody listens, where, and what to run', async () => {
    const server = net.createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    await new Promise((resolve) => server.close(resolve));
    const error = await errorOf(
      clientFor(url, NO_TOKENS, once).json({ method: 'GET', url }, parseN),
    );
    expect(error.code).to.equal('UNAVAILABLE');
    expect(error.message).to.equal(`cannot reach ${url} (connection refused)`);
    expect(error.hint).to.include('datamon doctor');
  });

  it('says that there is no such host', async () => {
    const url = 'http://nothing.invalid';
    const error = await errorOf(
      clientFor(url, NO_TOKENS, once).json({ method: 'GET', url }, parseN),
    );
    expect(error.code).to.equal('UNAVAILABLE');
    expect(error.message).to.match(/no such host|cannot be looked up/);
  });

  it('does not wait for ever for an answer', async () => {
    const url = await serve(() => undefined);
    const limits = { answerTimeoutMs: 40, stallTimeoutMs: 40 };
    const api = clientFor(url, NO_TOKENS, { ...once, limits });
    const error = await errorOf(api.json({ method: 'GET', url }, parseN));
    expect(error.code).to.equal('UNAVAILABLE');
    expect(error.message).to.include('no byte for');
  });

  it('does not wait for ever for a server that takes no more of a body', async () => {
    const url = await serve((request) => request.pause());
    const limits = { answerTimeoutMs: 80, stallTimeoutMs: 80 };
    const api = clientFor(url, NO_TOKENS, { ...once, limits });
    const body = bytesBody(Buffer.alloc(64 * 1024 * 1024));
    expect(await codeOf(api.json({ method: 'PUT', url, body }, parseN))).to.equal('UNAVAILABLE');
  });

  it('hears an answer that comes before the body was sent', async () => {
    const url = await serve((_request, response) => {
      json(response, 507, { code: 'NO_SPACE', message: 'the disk is full' });
    });
    const body = {
      sizeBytes: 1_000_000_000,
      async *open() {
        for (let index = 0; index < 1000; index += 1) yield Buffer.alloc(1_000_000);
      },
    };
    const error = await errorOf(clientFor(url).json({ method: 'PUT', url, body }, parseN));
    expect(['NO_SPACE', 'UNAVAILABLE']).to.include(error.code);
  });

  it('passes on why a body could not be read', async () => {
    const url = await serve((request) => request.resume());
    const body = {
      sizeBytes: 10,
      // biome-ignore lint/correctness/useYield: it fails before its first byte
      async *open() {
        throw new DatamonError('NO_SPACE', 'no space left for temporary files');
      },
    };
    const error = await errorOf(clientFor(url).json({ method: 'PUT', url, body }, parseN));
    expect(error.code).to.equal('NO_SPACE');
  });

  for (const [name, body] of [
    ['a page', '<html>welcome</html>'],
    ['another shape', '{"n":"many"}'],
    ['nothing', ''],
  ] as const) {
    it(`does not take ${name} for an answer`, async () => {
      const url = await serve((_request, response) => void response.end(body));
      const error = await errorOf(clientFor(url).json({ method: 'GET', url }, parseN));
      expect(error.code).to.equal('UNSUPPORTED');
      expect(error.message).to.include("is not datamon's");
    });
  }

  it('lets no server move the cursor of a terminal', async () => {
    const url = await serve((_request, response) => {
      json(response, 400, { code: 'INVALID', message: 'a\u001b[2Jb\nc', hint: 'd\re' });
    });
    const error = await errorOf(clientFor(url).json({ method: 'GET', url }, parseN));
    expect([error.message, error.hint]).to.deep.equal(['a [2Jb c', 'd e']);
  });
});

describe('api client: tokens', () => {
  const guard =
    (accepted: () => string, seen: (string | undefined)[] = []): Handler =>
    (request, response) => {
      seen.push(request.headers.authorization);
      if (request.headers.authorization === `Bearer ${accepted()}`) json(response, 200, { n: 1 });
      else json(response, 401, { code: 'UNAUTHENTICATED', message: 'token expired 2 days ago' });
    };

  it('sends none until it is asked for one, and then with every request', async () => {
    const seen: (string | undefined)[] = [];
    const url = await serve(guard(() => 'good', seen));
    const api = clientFor(url, tokensOf('good'));
    await api.json({ method: 'GET', url }, parseN);
    await api.json({ method: 'GET', url }, parseN);
    expect(seen).to.deep.equal([undefined, 'Bearer good', 'Bearer good']);
  });

  it('gives a refused token back, does not ask again, and says how to log in', async () => {
    const url = await serve(guard(() => 'good'));
    const tokens = tokensOf('bad', 'good');
    const error = await errorOf(clientFor(url, tokens).json({ method: 'GET', url }, parseN));
    expect(error.code).to.equal('UNAUTHENTICATED');
    expect(error.message).to.include('expired 2 days ago');
    expect(error.hint).to.equal(`Run: datamon login ${url}`);
    expect(tokens.rejected).to.deep.equal(['bad']);
  });

  it('says how to log in where there is no token', async () => {
    const url = await serve(guard(() => 'good'));
    const error = await errorOf(clientFor(url).json({ method: 'GET', url }, parseN));
    expect([error.code, error.hint]).to.deep.equal([
      'UNAUTHENTICATED',
      `Run: datamon login ${url}`,
    ]);
  });

  it('asks for a new one where one that worked has expired', async () => {
    let accepted = 'first';
    const url = await serve(guard(() => accepted));
    const tokens = tokensOf('first', 'second');
    const api = clientFor(url, tokens);
    await api.json({ method: 'GET', url }, parseN);
    accepted = 'second';
    expect(await api.json({ method: 'GET', url }, parseN)).to.deep.equal({ n: 1 });
    expect(tokens.rejected).to.deep.equal(['first']);
  });

  it('asks once although many requests are refused at once', async () => {
    const url = await serve(guard(() => 'good'));
    let asked = 0;
    const tokens: TokenSource = {
      get: async () => {
        asked += 1;
        return 'good';
      },
      reject: async () => undefined,
    };
    const api = clientFor(url, tokens);
    await Promise.all([1, 2, 3, 4, 5].map(() => api.json({ method: 'GET', url }, parseN)));
    expect(asked).to.equal(1);
  });

  it('refuses a token that would break out of its header', async () => {
    const url = await serve(guard(() => 'good'));
    const tokens = tokensOf('good\r\nX-Evil: canary');
    const error = await errorOf(clientFor(url, tokens).json({ method: 'GET', url }, parseN));
    expect(error.code).to.equal('INVALID');
    expect(error.message).not.to.include('canary');
  });
});

describe('http: redirects', () => {
  const get = (url: string) =>
    exchange(
      { method: 'GET', url, headers: { Authorization: 'Bearer canary', Accept: '*/*' } },
      HTTP_LIMITS,
    );

  it('follows a GET within its origin, with the token', async () => {
    const url = await serve((request, response) => {
      if (request.url === '/a') response.writeHead(302, { Location: '/b' }).end();
      else response.end(request.headers.authorization);
    });
    const answer = await get(`${url}/a`);
    expect((await collect(answer.body, 100)).toString()).to.equal('Bearer canary');
    expect(answer.url).to.equal(`${url}/b`);
  });

  it('takes no token to another origin', async () => {
    const other = await serve((request, response) => {
      response.end(`${request.headers.authorization} ${request.headers.accept}`);
    });
    const url = await serve((_request, response) => {
      response.writeHead(302, { Location: `${other}/b` }).end();
    });
    const answer = await get(`${url}/a`);
    expect((await collect(answer.body, 100)).toString()).to.equal('undefined */*');
  });

  for (const location of [
    'file:///etc/passwd',
    'data:text/plain,x',
    'http://a:b@127.0.0.1/',
    'http://',
  ]) {
    it(`does not go to ${location}`, async () => {
      const url = await serve((_request, response) => {
        response.writeHead(302, { Location: location }).end();
      });
      expect(await codeOf(get(`${url}/a`))).to.equal('FORBIDDEN');
    });
  }

  it('does not go from https to http, not even on the same host', () => {
    const request = { method: 'GET', url: 'https://host/a', headers: {} } as const;
    expect(redirected(request, 'https://host/b').url).to.equal('https://host/b');
    expect(() => redirected(request, 'http://host/b')).to.throw(DatamonError, 'from https to http');
  });

  it('does not follow for ever', async () => {
    const url = await serve((_request, response) => {
      response.writeHead(302, { Location: '/again' }).end();
    });
    expect(await codeOf(get(`${url}/a`))).to.equal('UNSUPPORTED');
  });

  it('sends no body elsewhere', async () => {
    const url = await serve((request, response) => {
      request.resume();
      response.writeHead(307, { Location: '/b' }).end();
    });
    const put = exchange(
      { method: 'PUT', url: `${url}/a`, headers: {}, body: bytesBody(Buffer.from('x')) },
      HTTP_LIMITS,
    );
    expect(await codeOf(put)).to.equal('FORBIDDEN');
  });
});
