/**
 * A network as far away as wanted: a TCP proxy that holds all bytes back for half a round trip each way, a connection's first
 * ones for the handshake's round trip too, and counts them. Latency alone: no loss, no limit of bandwidth. Bytes and their order are kept.
 */
import { connect, createServer, type Socket } from 'node:net';

/** Bytes under way in one direction; what more is sent waits with the sender, as with a full window. */
const IN_FLIGHT_MAX_BYTES = 64 * 1024 * 1024;

export interface ProxyCounts {
  /** From clients to the server, and back. */
  readonly upBytes: number;
  readonly downBytes: number;
  readonly connectionCount: number;
}

export interface DelayProxy {
  readonly port: number;
  counts(): ProxyCounts;
  close(): Promise<void>;
}

export interface DelayProxyOptions {
  /** Asked for each connection: the server may start after the proxy. */
  readonly targetPort: () => number;
  readonly roundTripMs: number;
}

export async function openDelayProxy(options: DelayProxyOptions): Promise<DelayProxy> {
  const { targetPort, roundTripMs } = options;
  const counts = { upBytes: 0, downBytes: 0, connectionCount: 0 };
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    counts.connectionCount += 1;
    const upstream = connect({ port: targetPort(), host: '127.0.0.1', allowHalfOpen: true });
    upstream.setNoDelay(true);
    for (const socket of [client, upstream]) keep(sockets, socket, [client, upstream]);
    const notBeforeMs = performance.now() + roundTripMs;
    new DelayLine({ from: client, to: upstream, delayMs: roundTripMs / 2, notBeforeMs }).onBytes(
      (sizeBytes) => {
        counts.upBytes += sizeBytes;
      },
    );
    new DelayLine({ from: upstream, to: client, delayMs: roundTripMs / 2, notBeforeMs: 0 }).onBytes(
      (sizeBytes) => {
        counts.downBytes += sizeBytes;
      },
    );
  });
  await new Promise<void>((listening, failed) => {
    server.once('error', failed);
    server.listen(0, '127.0.0.1', listening);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the proxy has no port');
  return {
    port: address.port,
    counts: () => ({ ...counts }),
    close: () =>
      new Promise((closed) => {
        server.close(() => closed());
        for (const socket of sockets) socket.resetAndDestroy();
      }),
  };
}

function keep(sockets: Set<Socket>, socket: Socket, pair: readonly Socket[]): void {
  sockets.add(socket);
  // A broken side breaks the other, as a cut line does; why is the programs' affair.
  socket.on('error', () => {
    for (const one of pair) one.resetAndDestroy();
  });
  socket.on('close', () => sockets.delete(socket));
}

interface DelayLineOptions {
  readonly from: Socket;
  readonly to: Socket;
  readonly delayMs: number;
  /** Nothing passes the sender's end before this moment. */
  readonly notBeforeMs: number;
}

/** One direction of one connection. */
class DelayLine {
  readonly #options: DelayLineOptions;
  /** Null is the end of the stream. */
  readonly #waiting: { readonly dueMs: number; readonly bytes: Buffer | null }[] = [];
  #waitingBytes = 0;
  #timer: NodeJS.Timeout | null = null;
  #count: (sizeBytes: number) => void = () => undefined;

  constructor(options: DelayLineOptions) {
    this.#options = options;
    const { from, to } = options;
    from.on('data', (bytes: Buffer) => this.#take(bytes));
    from.on('end', () => this.#take(null));
    to.on('drain', () => this.#pass());
    // The other direction of the pair may still have bytes under way: `from` is left alone.
    to.on('close', () => clearTimeout(this.#timer ?? undefined));
  }

  onBytes(count: (sizeBytes: number) => void): void {
    this.#count = count;
  }

  #take(bytes: Buffer | null): void {
    const { from, delayMs, notBeforeMs } = this.#options;
    const dueMs = Math.max(performance.now(), notBeforeMs) + delayMs;
    this.#waiting.push({ dueMs, bytes });
    this.#waitingBytes += bytes?.length ?? 0;
    this.#count(bytes?.length ?? 0);
    if (this.#waitingBytes > IN_FLIGHT_MAX_BYTES) from.pause();
    this.#pass();
  }

  /** Hands on what is due; comes again for the rest when that is, or when the receiver has room. */
  #pass(): void {
    const { from, to } = this.#options;
    if (this.#timer !== null || to.writableNeedDrain || to.destroyed) return;
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      const waitMs = next.dueMs - performance.now();
      if (waitMs > 0) {
        this.#timer = setTimeout(() => {
          this.#timer = null;
          this.#pass();
        }, waitMs);
        return;
      }
      this.#waiting.shift();
      if (next.bytes === null) {
        to.end();
        return;
      }
      this.#waitingBytes -= next.bytes.length;
      if (this.#waitingBytes <= IN_FLIGHT_MAX_BYTES && from.isPaused()) from.resume();
      if (!to.write(next.bytes)) return;
    }
  }
}
