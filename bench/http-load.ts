/** Batch requests to an LFS server over many connections at once, each answer checked; how many a second, and how long each took. */
import { Agent, type IncomingMessage, request } from 'node:http';
import type { Digest } from '../core/digest.ts';
import { DatamonError } from '../core/errors.ts';

const LFS_TYPE = 'application/vnd.git-lfs+json';

export interface LfsObject {
  readonly oid: Digest;
  readonly bytes: Uint8Array;
}

interface Action {
  readonly href: string;
  readonly header?: Readonly<Record<string, string>>;
}

interface BatchAnswer {
  readonly objects: readonly {
    readonly oid: string;
    readonly actions?: Readonly<Record<string, Action>>;
  }[];
}

export interface LoadResult {
  readonly requestsPerSecond: number;
  readonly latenciesMs: readonly number[];
}

/** Puts objects on a server as any LFS client does. */
export async function uploadObjects(lfsUrl: string, objects: readonly LfsObject[]): Promise<void> {
  const response = await fetch(`${lfsUrl}/objects/batch`, {
    method: 'POST',
    headers: { 'Content-Type': LFS_TYPE, Accept: LFS_TYPE },
    body: batchBody('upload', objects),
  });
  const answer = (await response.json()) as BatchAnswer;
  for (const { oid, actions = {} } of answer.objects) {
    const object = objects.find((one) => one.oid === oid);
    const { upload, verify } = actions;
    if (object === undefined || upload === undefined) continue;
    const headers = { 'Content-Type': 'application/octet-stream', ...upload.header };
    const body = Buffer.from(object.bytes);
    await expectOk(await fetch(upload.href, { method: 'PUT', headers, body }), upload.href);
    if (verify === undefined) continue;
    await expectOk(
      await fetch(verify.href, {
        method: 'POST',
        headers: { 'Content-Type': LFS_TYPE, Accept: LFS_TYPE, ...verify.header },
        body: JSON.stringify({ oid, size: object.bytes.length }),
      }),
      verify.href,
    );
  }
}

/** Asks where to download those objects, `requestCount` times over `connectionCount` connections. */
export async function loadBatches(options: {
  readonly lfsUrl: string;
  readonly objects: readonly LfsObject[];
  readonly requestCount: number;
  readonly connectionCount: number;
}): Promise<LoadResult> {
  const { lfsUrl, objects, requestCount, connectionCount } = options;
  const agent = new Agent({ keepAlive: true, maxSockets: connectionCount });
  const url = new URL(`${lfsUrl}/objects/batch`);
  const body = Buffer.from(batchBody('download', objects));
  const latenciesMs: number[] = [];
  let left = requestCount;
  const connection = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      const began = performance.now();
      checkAnswer(await post(url, agent, body), objects);
      latenciesMs.push(performance.now() - began);
    }
  };
  try {
    // The first answer of a server may build what later ones use.
    checkAnswer(await post(url, agent, body), objects);
    const began = performance.now();
    await Promise.all(Array.from({ length: connectionCount }, connection));
    const seconds = (performance.now() - began) / 1000;
    return { requestsPerSecond: requestCount / seconds, latenciesMs };
  } finally {
    agent.destroy();
  }
}

const batchBody = (operation: 'upload' | 'download', objects: readonly LfsObject[]): string =>
  JSON.stringify({
    operation,
    transfers: ['basic'],
    objects: objects.map(({ oid, bytes }) => ({ oid, size: bytes.length })),
  });

function post(url: URL, agent: Agent, body: Buffer): Promise<Buffer> {
  return new Promise((done, failed) => {
    const headers = { 'Content-Type': LFS_TYPE, Accept: LFS_TYPE, 'Content-Length': body.length };
    const sent = request(url, { method: 'POST', agent, headers }, (response: IncomingMessage) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('error', failed);
      response.on('end', () => {
        const answer = Buffer.concat(parts);
        if (response.statusCode === 200) done(answer);
        else failed(refused(url.href, response.statusCode, answer.toString('utf8')));
      });
    });
    sent.on('error', failed);
    sent.end(body);
  });
}

/** Cheap, since it shares the machine with the server: every object must have its way to be downloaded. */
function checkAnswer(answer: Buffer, objects: readonly LfsObject[]): void {
  const { objects: answered } = JSON.parse(answer.toString('utf8')) as BatchAnswer;
  const offered = answered.filter(({ actions }) => actions?.['download'] !== undefined);
  if (offered.length === objects.length) return;
  throw new DatamonError(
    'MISMATCH',
    `a batch answer offers ${offered.length} of ${objects.length} objects`,
  );
}

async function expectOk(response: Response, href: string): Promise<void> {
  const text = await response.text();
  if (!response.ok) throw refused(href, response.status, text);
}

const refused = (href: string, status: number | undefined, text: string): DatamonError =>
  new DatamonError('UNAVAILABLE', `${href} answered ${status}: ${text.slice(0, 300)}`);
