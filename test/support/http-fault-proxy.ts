/**
 * An HTTP proxy that treats each request as told: passes it on, refuses it with a status, passes it on and then says that it failed
 * (a lost acknowledgement), or sends it several times and answers with the last answer. For requests that fit into memory.
 */
import {
  createServer,
  type IncomingMessage,
  type ServerResponse,
  request as send,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { splitmix64 } from './splitmix64.ts';

export type Treatment =
  | { readonly kind: 'pass' }
  | { readonly kind: 'refuse'; readonly status: number }
  | { readonly kind: 'lose answer'; readonly status: number }
  | { readonly kind: 'repeat'; readonly times: number };

export interface HttpFaultProxy {
  readonly origin: string;
  readonly requestCount: number;
  /** Requests that were not just passed on. */
  readonly faultCount: number;
  close(): Promise<void>;
}

export async function startHttpFaultProxy(
  targetPort: () => number,
  treatmentOf: (nth: number, method: string, path: string) => Treatment,
): Promise<HttpFaultProxy> {
  const counts = { requests: 0, faults: 0 };
  const server = createServer((request, response) => {
    counts.requests += 1;
    const treatment = treatmentOf(counts.requests, request.method ?? '', request.url ?? '');
    if (treatment.kind !== 'pass') counts.faults += 1;
    treat(request, response, treatment, targetPort()).catch(() => response.destroy());
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const { port } = server.address() as AddressInfo;
  return {
    origin: `http://127.0.0.1:${port}`,
    get requestCount() {
      return counts.requests;
    },
    get faultCount() {
      return counts.faults;
    },
    close() {
      server.closeAllConnections();
      return new Promise((closed) => server.close(() => closed()));
    },
  };
}

/** This share of requests fails with one of these statuses: one half unanswered before, the other half after they were done. */
export function failingShare(
  share: number,
  seed: number,
  statuses: readonly number[] = [500, 502, 503, 504],
): (nth: number) => Treatment {
  const random = splitmix64(seed);
  return () => {
    if (random() >= share) return { kind: 'pass' };
    const status = statuses[Math.floor(random() * statuses.length)] ?? 503;
    return random() < 0.5 ? { kind: 'refuse', status } : { kind: 'lose answer', status };
  };
}

async function treat(
  request: IncomingMessage,
  response: ServerResponse,
  treatment: Treatment,
  port: number,
): Promise<void> {
  const body = await buffer(request);
  if (treatment.kind !== 'refuse') {
    const times = treatment.kind === 'repeat' ? treatment.times : 1;
    for (let sent = 1; sent <= times; sent += 1) {
      const answer = await forward(request, body, port);
      const bytes = await buffer(answer);
      if (sent < times || treatment.kind === 'lose answer') continue;
      response.writeHead(answer.statusCode ?? 502, withoutHopHeaders(answer.headers));
      response.end(bytes);
      return;
    }
  }
  const status = 'status' in treatment ? treatment.status : 502;
  response.writeHead(status, { 'content-type': 'text/plain' });
  response.end('planned fault\n');
}

function forward(request: IncomingMessage, body: Buffer, port: number): Promise<IncomingMessage> {
  return new Promise((answered, failed) => {
    const { method, url, headers } = request;
    const upstream = send(
      {
        host: '127.0.0.1',
        port,
        method,
        path: url,
        headers: withoutHopHeaders(headers),
        agent: false,
      },
      answered,
    );
    upstream.on('error', failed);
    upstream.end(body);
  });
}

function withoutHopHeaders(headers: IncomingMessage['headers']): IncomingMessage['headers'] {
  const { connection, 'transfer-encoding': encoding, expect, ...rest } = headers;
  void connection;
  void encoding;
  void expect;
  return rest;
}
