/** Listening and stopping: timeouts against slow and idle connections, and an end that loses no request. */
import http, { type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { DatamonError } from '../core/errors.ts';

const HEADERS_TIMEOUT_MS = 10_000;
const KEEP_ALIVE_MS = 30_000;
const CHECK_INTERVAL_MS = 2_000;
const SWEEP_INTERVAL_MS = 100;
const CONNECTION_COUNT_MAX = 4_096;
/** What a request in flight is given once the server was told to stop. */
export const STOP_GRACE_MS = 30_000;

export interface Listening {
  readonly host: string;
  readonly port: number;
  /** Takes no more connections, lets requests end, cuts those that do not within `graceMs`. */
  stop(graceMs?: number): Promise<void>;
}

export async function listen(
  app: RequestListener,
  address: { readonly host: string; readonly port: number },
): Promise<Listening> {
  // No requestTimeout: an upload may take hours; `body.ts` holds every body to a minimum rate instead.
  const server = http.createServer(
    {
      requestTimeout: 0,
      headersTimeout: HEADERS_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      connectionsCheckingInterval: CHECK_INTERVAL_MS,
    },
    app,
  );
  server.maxConnections = CONNECTION_COUNT_MAX;
  await bind(server, address);
  const { port } = server.address() as AddressInfo;
  return { host: address.host, port, stop: (graceMs = STOP_GRACE_MS) => stop(server, graceMs) };
}

function bind(server: http.Server, address: { host: string; port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    // Stays after it listens: a failed `accept`, as when files run out, must not end the process.
    server.on('error', (cause: NodeJS.ErrnoException) => {
      const where = `${address.host}:${address.port}`;
      const why = {
        EADDRINUSE: 'somebody else does already',
        EACCES: 'the system does not allow it',
        EADDRNOTAVAIL: 'this machine has no such address',
        ENOTFOUND: 'there is no such host',
      }[cause.code ?? ''];
      reject(
        new DatamonError('INVALID', `cannot listen on ${where}: ${why ?? cause.message}`, {
          cause,
          hint: 'Choose another address: --listen 127.0.0.1:0 takes a free port.',
        }),
      );
    });
    server.listen(address.port, address.host, resolve);
  });
}

function stop(server: http.Server, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    // A connection that was busy stays open for the next request unless it is looked for again.
    const sweep = setInterval(() => server.closeIdleConnections(), SWEEP_INTERVAL_MS);
    const cut = setTimeout(() => server.closeAllConnections(), graceMs);
    server.close(() => {
      clearInterval(sweep);
      clearTimeout(cut);
      resolve();
    });
  });
}
