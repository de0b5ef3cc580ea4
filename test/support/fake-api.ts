/** A small server with the calls a client makes, in memory and on a real socket; tests bend its answers. */
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { collect } from '../../core/bytes.ts';
import { EMPTY_RECEIPT } from '../../core/cas/blob-store.ts';
import {
  CONTAINER_HEADER_SIZE_BYTES,
  CONTAINER_TRAILER_SIZE_BYTES,
  OPEN_PACK_LACKS_BYTES,
} from '../../core/cas/container-format.ts';
import { framesOf } from '../../core/cas/container-reader.ts';
import type { PoolParameters } from '../../core/cas/pool.ts';
import { type Digest, digestOf } from '../../core/digest.ts';
import { hasCode } from '../../core/errors.ts';
import { type ContainerId, type PoolName, parseRepoName } from '../../core/keys.ts';
import type { RecordRequest } from '../../core/meta/api-wire.ts';
import { inFull, sendChunkList } from './fake-recipes.ts';

/** Small chunks, so that small files have many. */
export const FAKE_POOL: PoolParameters = {
  pool: 'acme' as PoolName,
  seed: 'ab'.repeat(32),
  minBytes: 1024,
  averageBytes: 4096,
  maxBytes: 16_384,
};

export interface Seen {
  readonly method: string;
  /** Below the repo: `/objects/has`; the whole path elsewhere. */
  readonly path: string;
  readonly query: string;
  readonly headers: http.IncomingHttpHeaders;
}

/** May answer instead of the server: true where it did. Sees the request before its body is read. */
export type Bend = (
  seen: Seen,
  response: http.ServerResponse,
  request: http.IncomingMessage,
) => boolean | Promise<boolean>;

export interface FakeApi {
  readonly origin: string;
  /** URL of the repo acme/weather. */
  readonly url: string;
  readonly seen: Seen[];
  /** Bodies of what was sent as JSON, in order, by path. */
  readonly bodies: { readonly path: string; readonly json: unknown }[];
  readonly blobs: Map<Digest, Buffer>;
  readonly chunks: Map<Digest, Buffer>;
  /** Chunks of the blobs, in order. */
  readonly recipes: Map<Digest, readonly Digest[]>;
  readonly pages: Map<Digest, Buffer>;
  /** Answers of other calls: `GET /branches` → body. */
  readonly answers: Map<string, unknown>;
  /** Size of every pack that was taken. */
  readonly packSizes: number[];
  bend: Bend;
  exists: boolean;
  /** Whether it tells chunk lists and takes copies of them; as JSON it tells none. */
  speaksLists: boolean;
  /** Where set, the only token that is let in. */
  token: string | null;
  count(path: string): number;
  close(): Promise<void>;
}

const BASE = '/api/v1/repos/acme%2Fweather';
const BODY_MAX_BYTES = 256 * 1024 * 1024;

const open = new Set<FakeApi>();
afterEach('close fake servers', async () => {
  for (const api of open) await api.close();
  open.clear();
});

export async function startFakeApi(): Promise<FakeApi> {
  const server = http.createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const api: FakeApi = {
    origin,
    url: `${origin}/acme/weather`,
    seen: [],
    bodies: [],
    blobs: new Map(),
    chunks: new Map(),
    recipes: new Map(),
    pages: new Map(),
    answers: new Map(),
    packSizes: [],
    bend: () => false,
    exists: true,
    speaksLists: true,
    token: null,
    count: (path) => api.seen.filter((seen) => seen.path === path).length,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  open.add(api);
  const packs = new Map<string, Map<Digest, Buffer>>();
  server.on('request', (request, response) => {
    serve({ api, packs, request, response }).catch((error) => {
      if (response.headersSent) return;
      const isConflict = hasCode(error, 'CONFLICT');
      const code = isConflict ? 'CONFLICT' : 'CORRUPT';
      sendJson(response, isConflict ? 409 : 500, { code, message: String(error) });
    });
  });
  return api;
}

interface Exchange {
  readonly api: FakeApi;
  readonly packs: Map<string, Map<Digest, Buffer>>;
  readonly request: http.IncomingMessage;
  readonly response: http.ServerResponse;
}

export function sendJson(response: http.ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'Content-Type': 'application/json' });
  response.end(body === undefined ? '' : JSON.stringify(body));
}

async function serve(exchange: Exchange): Promise<void> {
  const { api, request, response } = exchange;
  const [rawPath = '', query = ''] = (request.url ?? '').split('?');
  const path = rawPath.startsWith(BASE) ? rawPath.slice(BASE.length) : rawPath;
  const seen = { method: request.method ?? '', path, query, headers: request.headers };
  api.seen.push(seen);
  if (await api.bend(seen, response, request)) return;
  if (api.token !== null && request.headers.authorization !== `Bearer ${api.token}`) {
    sendJson(response, 401, { code: 'UNAUTHENTICATED', message: 'a token is needed' });
    return;
  }
  await route(exchange, seen);
}

async function route(exchange: Exchange, { method, path, query }: Seen): Promise<void> {
  const { api, response, request } = exchange;
  if (path.startsWith('/packs/')) return await takePack(exchange, path.slice('/packs/'.length));
  if (method === 'GET' && path.startsWith('/objects/')) return sendObject(exchange, path.slice(9));
  if (method === 'GET' && path.startsWith('/pages/')) {
    const page = api.pages.get(path.slice(7) as Digest);
    if (page === undefined)
      return sendJson(response, 404, { code: 'NOT_FOUND', message: 'no page' });
    response.end(page);
    return;
  }
  const bytes = await collect(request, BODY_MAX_BYTES);
  const json = bytes.length === 0 ? null : JSON.parse(bytes.toString('utf8'));
  if (json !== null) api.bodies.push({ path, json });
  const key = `${method} ${path}`;
  if (api.answers.has(key) || api.answers.has(`${key}?${query}`)) {
    return sendJson(response, 200, api.answers.get(`${key}?${query}`) ?? api.answers.get(key));
  }
  const answer = await ANSWERS[key]?.(exchange, json as never);
  if (answer === undefined) sendJson(response, 404, { code: 'NOT_FOUND', message: `no ${key}` });
  else sendJson(response, 200, answer);
}

type Answer = (exchange: Exchange, json: never) => unknown;

const ANSWERS: Readonly<Record<string, Answer>> = {
  'GET /acme/weather': ({ api }) => ({
    datamon: {
      version: 1,
      api: `${api.origin}/api/v1`,
      repo: 'acme/weather',
      transfers: ['datamon', 'basic'],
    },
  }),
  'GET ': ({ api }) => describe_(api),
  'PUT ': ({ api }) => {
    api.exists = true;
    return describe_(api);
  },
  'POST /objects/has': ({ api }, { oids }: { oids: Digest[] }) => ({
    objects: oids.flatMap((oid) => {
      const blob = api.blobs.get(oid);
      return blob === undefined ? [] : [{ oid, size: blob.length }];
    }),
  }),
  'POST /chunks/has': ({ api }, { digests }: { digests: Digest[] }) => ({
    have: digests.flatMap((digest, index) => (api.chunks.has(digest) ? [index] : [])),
  }),
  'POST /pages/has': ({ api }, { digests }: { digests: Digest[] }) => ({
    have: digests.filter((digest) => api.pages.has(digest)),
  }),
  'POST /objects': (exchange, json: RecordRequest) => recordObjects(exchange, json),
};

function describe_(api: FakeApi): object {
  return {
    repo: parseRepoName('acme/weather'),
    info: api.exists
      ? { pool: 'acme', remote: null, createdBy: 'ada', createdAt: '2026-01-01T00:00:00.000Z' }
      : null,
    webUrl: api.url,
    verbs: ['read', 'write'],
    pool: api.exists ? FAKE_POOL : null,
  };
}

async function takePack({ api, packs, request, response }: Exchange, id: string): Promise<void> {
  const bytes = await collect(request, BODY_MAX_BYTES);
  const isOpen = request.url?.includes('form=open') === true;
  const trailerBytes = CONTAINER_TRAILER_SIZE_BYTES - (isOpen ? OPEN_PACK_LACKS_BYTES : 0);
  const tablesOffset = Number(bytes.readBigUInt64LE(bytes.length - trailerBytes));
  const frames = new Map<Digest, Buffer>();
  const body = (async function* () {
    yield bytes.subarray(CONTAINER_HEADER_SIZE_BYTES, tablesOffset);
  })();
  for await (const frame of framesOf(body, id as ContainerId, CONTAINER_HEADER_SIZE_BYTES, id)) {
    frames.set(frame.digest, Buffer.from(frame.payload));
  }
  packs.set(`ticket-${id}`, frames);
  api.packSizes.push(bytes.length);
  sendJson(response, 200, { pack: `ticket-${id}` });
}

/** False where there is none to send. */
function sendRecipe(api: FakeApi, response: http.ServerResponse, oid: Digest): boolean {
  if (api.speaksLists) return sendChunkList(response, api.recipes.get(oid));
  sendJson(response, 200, { oid, size: 0, chunks: [] });
  return true;
}

function sendObject({ api, request, response }: Exchange, oid: string): void {
  const recipe = /^([0-9a-f]{64})\/recipe$/.exec(oid)?.[1];
  if (recipe !== undefined && sendRecipe(api, response, recipe as Digest)) return;
  const blob = api.blobs.get(oid as Digest);
  if (blob === undefined) {
    sendJson(response, 404, { code: 'NOT_FOUND', message: `this repo has no object ${oid}` });
    return;
  }
  const match = /^bytes=([0-9]+)-([0-9]*)$/.exec(request.headers.range ?? '');
  if (match === null) {
    response.writeHead(200, { 'Content-Length': blob.length });
    response.end(blob);
    return;
  }
  const start = Number(match[1]);
  if (start >= blob.length) {
    sendJson(response, 416, { code: 'INVALID', message: 'the range starts past the end' });
    return;
  }
  const end = match[2] === '' ? blob.length : Math.min(blob.length, Number(match[2]) + 1);
  response.writeHead(206, {
    'Content-Length': end - start,
    'Content-Range': `bytes ${start}-${end - 1}/${blob.length}`,
  });
  response.end(blob.subarray(start, end));
}

async function recordObjects({ api, packs }: Exchange, request: RecordRequest): Promise<object> {
  const sent = new Map(request.packs.flatMap((ticket) => [...(packs.get(ticket) ?? [])]));
  const find = (digest: Digest): Buffer | undefined => sent.get(digest) ?? api.chunks.get(digest);
  const missing = new Set<Digest>();
  const recorded: object[] = [];
  const failed: object[] = [];
  for (const { oid, size, chunks } of await inFull(api.recipes, request)) {
    const absent = chunks.filter((chunk) => find(chunk) === undefined);
    for (const chunk of absent) missing.add(chunk);
    if (absent.length > 0) continue;
    const bytes = Buffer.concat(chunks.flatMap((chunk) => find(chunk) ?? []));
    if (digestOf(bytes) !== oid || bytes.length !== size) {
      failed.push({ oid, code: 'MISMATCH', message: 'these chunks are not that blob' });
      continue;
    }
    for (const chunk of chunks) api.chunks.set(chunk, find(chunk) ?? Buffer.alloc(0));
    api.blobs.set(oid, bytes);
    api.recipes.set(oid, chunks);
    recorded.push({ oid, receipt: { ...EMPTY_RECEIPT, fileCount: 1, storedBytes: 100 } });
  }
  for (const page of request.pages) {
    const bytes = sent.get(page);
    if (bytes === undefined) missing.add(page);
    else api.pages.set(page, bytes);
  }
  return { recorded, missing: [...missing], failed };
}
