/** A client that speaks HTTP by hand, badly where the test wants it. */
import { connect, type Socket } from 'node:net';

export interface RawClient {
  readonly socket: Socket;
  write(text: string | Buffer): void;
  /** Everything the server sent, once it has hung up. */
  untilClosed(): Promise<string>;
  /** What the server sent so far, once it contains `text`. */
  until(text: string): Promise<string>;
}

export async function rawClient(port: number): Promise<RawClient> {
  const socket = connect(port, '127.0.0.1');
  let received = '';
  const watchers = new Set<() => void>();
  socket.on('data', (bytes) => {
    received += bytes.toString('latin1');
    for (const watch of watchers) watch();
  });
  // A cut connection is what many of these tests are about.
  socket.on('error', () => {});
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  await new Promise<void>((resolve) => socket.once('connect', resolve));
  return {
    socket,
    write: (text) => void socket.write(text),
    untilClosed: async () => {
      await closed;
      return received;
    },
    until: (text) =>
      new Promise((resolve) => {
        const watch = () => {
          if (!received.includes(text)) return;
          watchers.delete(watch);
          resolve(received);
        };
        watchers.add(watch);
        watch();
      }),
  };
}

/** Status of a raw answer. */
export const statusOf = (raw: string): number => Number(/^HTTP\/1\.1 (\d{3})/.exec(raw)?.[1]);
