/** A server that answers as its script says, one step a request: for what the servers of others cannot be made to do. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import {
  type AddressInfo,
  createServer as createTcpServer,
  type Socket,
  type Server as TcpServer,
} from 'node:net';

export interface SeenRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

/** Gets the request with its body read, unless the step is `early`. */
export type Step = (response: ServerResponse, request: SeenRequest) => void;

export interface ScriptedServer {
  readonly endpoint: string;
  readonly seen: readonly SeenRequest[];
  /** Steps that were not asked for yet. */
  left(): number;
}

export const answer =
  (
    status: number,
    headers: Readonly<Record<string, string>> = {},
    body: string | Buffer = '',
  ): Step =>
  (response) => {
    response.writeHead(status, headers).end(body);
  };

/** The request was taken, the answer never comes. */
export const hang: Step = () => {};

/** The request was taken, the connection breaks before the answer. */
export const hangUp: Step = (response) => {
  response.socket?.destroy();
};

/** Announces `sizeBytes`, sends `bytes`, and then nothing or the end of the connection. */
export const partly =
  (sizeBytes: number, bytes: Buffer, then: 'nothing' | 'the end'): Step =>
  (response, { headers }) => {
    const start = Number(/bytes=(\d+)/.exec(headers.range ?? '')?.[1] ?? 0);
    const status = headers.range === undefined ? 200 : 206;
    response.writeHead(status, { 'content-length': String(sizeBytes - start) });
    response.write(bytes, () => {
      if (then === 'the end') response.socket?.destroy();
    });
  };

const running = new Set<() => void>();

afterEach('stop scripted servers', () => {
  for (const stop of running) stop();
  running.clear();
});

/** Its endpoint; it runs until the test that asked for it ends. */
async function listen(server: Server | TcpServer, stop: () => void): Promise<string> {
  running.add(() => {
    stop();
    server.close();
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A request beyond the script is answered with 599. */
export async function startScript(...steps: readonly Step[]): Promise<ScriptedServer> {
  const seen: SeenRequest[] = [];
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('error', () => {});
    request.on('end', () => {
      const { method = '', url = '', headers } = request;
      const told: SeenRequest = { method, url, headers, body: Buffer.concat(parts) };
      seen.push(told);
      const step = steps[seen.length - 1] ?? answer(599);
      step(response, told);
    });
  });
  return {
    endpoint: await listen(server, () => server.closeAllConnections()),
    seen,
    left: () => Math.max(0, steps.length - seen.length),
  };
}

/** Accepts connections and reads nothing. Gives back the endpoint. */
export function startStuck(): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createTcpServer({ pauseOnConnect: true }, (socket) => {
    sockets.add(socket.on('error', () => {}));
  });
  return listen(server, () => {
    for (const socket of sockets) socket.destroy();
  });
}

/** Answers every request with `step` when its headers are there, and never reads its body. Gives back the endpoint. */
export function startEarly(step: Step): Promise<string> {
  const server = createServer(({ method = '', url = '', headers }, response) => {
    step(response, { method, url, headers, body: Buffer.of() });
  });
  return listen(server, () => server.closeAllConnections());
}
