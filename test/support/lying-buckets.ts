/** Services that speak a cloud's protocol and do not heed preconditions: S3 in memory, and GCS as a relay that drops them. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';

const running = new Set<Server>();

afterEach('stop lying services', () => {
  for (const server of running) {
    server.closeAllConnections();
    server.close();
  }
  running.clear();
});

async function serve(
  handle: (request: IncomingMessage, body: Buffer, response: ServerResponse) => Promise<void>,
): Promise<string> {
  const server = createServer((request, response) => {
    void buffer(request)
      .then((body) => handle(request, body, response))
      .catch(() => response.destroy());
  });
  running.add(server);
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Every PUT is taken, whatever its `If-None-Match` says. Gives back the endpoint. */
export function startLyingS3(): Promise<string> {
  const objects = new Map<string, Buffer>();
  return serve(async ({ method = '', url = '' }, body, response) => {
    const { pathname, searchParams } = new URL(url, 'http://x');
    const key = decodeURIComponent(pathname.slice(pathname.indexOf('/', 1) + 1));
    if (searchParams.has('list-type')) {
      const prefix = searchParams.get('prefix') ?? '';
      const after = searchParams.get('start-after') ?? '';
      const keys = [...objects.keys()].filter((name) => name.startsWith(prefix) && name > after);
      const contents = keys.sort().map((name) => `<Contents><Key>${name}</Key></Contents>`);
      response.end(`<ListBucketResult>${contents.join('')}</ListBucketResult>`);
    } else if (method === 'PUT') {
      objects.set(key, body);
      response.end();
    } else if (method === 'DELETE') {
      objects.delete(key);
      response.writeHead(204).end();
    } else {
      const found = objects.get(key);
      response.writeHead(found === undefined ? 404 : 200).end(found);
    }
  });
}

/** Passes everything on to `honest` without `ifGenerationMatch`. Gives back the endpoint. */
export function startLyingGcs(honest: string): Promise<string> {
  return serve(async ({ method = 'GET', url = '', headers }, body, response) => {
    const target = new URL(url, honest);
    target.searchParams.delete('ifGenerationMatch');
    const type = headers['content-type'];
    const answer = await fetch(target, {
      method,
      ...(body.length > 0 && { body }),
      ...(type !== undefined && { headers: { 'Content-Type': type } }),
    });
    response.writeHead(answer.status, {
      'content-type': answer.headers.get('content-type') ?? 'application/json',
    });
    response.end(Buffer.from(await answer.arrayBuffer()));
  });
}
