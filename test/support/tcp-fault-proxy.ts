/**
 * A TCP proxy that behaves as bad networks do, connection by connection: late, slow, in tiny pieces, cut or reset after so many bytes,
 * silent, or with a byte changed on its way.
 */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export type Direction = 'up' | 'down';

/** What befalls one connection; nothing, unless told. */
export interface Toxics {
  /** Before each piece, either way. */
  readonly latencyMs?: number;
  readonly bytesPerSecond?: number;
  /** Pieces are no larger than this. */
  readonly sliceBytes?: number;
  /** After so many bytes that way the connection ends: closed, or reset, or it falls silent and stays open. */
  readonly limit?: {
    readonly direction: Direction;
    readonly bytes: number;
    readonly ending: 'close' | 'reset' | 'silence';
  };
  /** The byte at this offset of the stream has its bits turned over by this mask. */
  readonly patch?: {
    readonly direction: Direction;
    readonly offset: number;
    readonly mask: number;
  };
}

export interface TcpFaultProxy {
  readonly port: number;
  readonly origin: string;
  /** Connections so far. */
  readonly connectionCount: number;
  /** Connections that a limit ended or silenced. */
  readonly limitedCount: number;
  close(): Promise<void>;
}

export async function startTcpFaultProxy(
  targetPort: () => number,
  toxicsOf: (connection: number) => Toxics,
): Promise<TcpFaultProxy> {
  const sockets = new Set<Socket>();
  const counts = { connections: 0, limited: 0 };
  const server = createServer((down) => {
    const toxics = toxicsOf(counts.connections);
    counts.connections += 1;
    const up = connect(targetPort(), '127.0.0.1');
    for (const socket of [down, up]) {
      sockets.add(socket);
      // The other end sees it close; that is all there is to say.
      socket.on('error', () => {});
      socket.on('close', () => sockets.delete(socket));
    }
    const limited = (): void => {
      counts.limited += 1;
    };
    void pass({ from: down, to: up, direction: 'up', toxics, limited });
    void pass({ from: up, to: down, direction: 'down', toxics, limited });
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const { port } = server.address() as AddressInfo;
  return {
    port,
    origin: `http://127.0.0.1:${port}`,
    get connectionCount() {
      return counts.connections;
    },
    get limitedCount() {
      return counts.limited;
    },
    close() {
      for (const socket of sockets) socket.destroy();
      return new Promise((closed) => server.close(() => closed()));
    },
  };
}

interface Passing {
  readonly from: Socket;
  readonly to: Socket;
  readonly direction: Direction;
  readonly toxics: Toxics;
  readonly limited: () => void;
}

async function pass({ from, to, direction, toxics, limited }: Passing): Promise<void> {
  const limit = toxics.limit?.direction === direction ? toxics.limit : undefined;
  let passed = 0;
  try {
    for await (const bytes of from as AsyncIterable<Buffer>) {
      for (const piece of pieces(patched(bytes, passed, direction, toxics), toxics.sliceBytes)) {
        await pace(piece, toxics);
        const rest = (limit?.bytes ?? Number.POSITIVE_INFINITY) - passed;
        if (piece.length <= rest) await write(to, piece);
        else {
          if (rest > 0) await write(to, piece.subarray(0, rest));
          limited();
          return end(from, to, limit?.ending);
        }
        passed += piece.length;
      }
    }
    to.end();
  } catch {
    from.destroy();
    to.destroy();
  }
}

function end(
  from: Socket,
  to: Socket,
  ending: NonNullable<Toxics['limit']>['ending'] | undefined,
): void {
  if (ending === 'silence') {
    from.pause();
    return;
  }
  for (const socket of [from, to]) {
    if (ending === 'reset') socket.resetAndDestroy();
    else socket.destroy();
  }
}

function patched(bytes: Buffer, passed: number, direction: Direction, { patch }: Toxics): Buffer {
  const at = patch?.direction === direction ? patch.offset - passed : -1;
  if (patch === undefined || at < 0 || at >= bytes.length) return bytes;
  const copy = Buffer.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ patch.mask;
  return copy;
}

function* pieces(bytes: Buffer, sliceBytes = Number.POSITIVE_INFINITY): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += sliceBytes) {
    yield bytes.subarray(at, Math.min(bytes.length, at + sliceBytes));
  }
}

async function pace(piece: Buffer, { latencyMs = 0, bytesPerSecond }: Toxics): Promise<void> {
  const ms =
    latencyMs + (bytesPerSecond === undefined ? 0 : (piece.length * 1000) / bytesPerSecond);
  if (ms > 0) await sleep(ms);
}

async function write(to: Socket, bytes: Buffer): Promise<void> {
  if (to.destroyed) throw new Error('the other end is gone');
  if (to.write(bytes)) return;
  await new Promise<void>((drained) => {
    to.once('drain', drained);
    to.once('close', () => drained());
  });
}
