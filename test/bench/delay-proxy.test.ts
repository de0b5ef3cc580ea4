/** The network between: keeps bytes and their order, holds them back for as long as it is asked to, and counts them. */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { expect } from 'chai';
import { type DelayProxy, openDelayProxy } from '../../bench/delay-proxy.ts';
import { seededBytes } from '../support/splitmix64.ts';

const MIB = 1024 * 1024;

describe('bench: delay proxy', () => {
  let server: Server;
  let port: number;
  let proxy: DelayProxy | null = null;
  let serve: (socket: Socket) => void;

  beforeEach(async () => {
    server = createServer({ allowHalfOpen: true }, (socket) => {
      socket.on('error', () => {});
      serve(socket);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    port = (server.address() as { port: number }).port;
  });
  afterEach(async () => {
    await proxy?.close();
    proxy = null;
    server.close();
  });

  const through = async (roundTripMs: number): Promise<Socket> => {
    proxy = await openDelayProxy({ targetPort: () => port, roundTripMs });
    const socket = connect({ port: proxy.port, host: '127.0.0.1', allowHalfOpen: true });
    await once(socket, 'connect');
    return socket;
  };
  const closed = (socket: Socket): Promise<unknown> =>
    new Promise((done) => {
      socket.on('error', () => {});
      socket.once('close', done);
    });
  const readAll = async (socket: Socket): Promise<Buffer> => {
    const parts: Buffer[] = [];
    for await (const part of socket) parts.push(part as Buffer);
    return Buffer.concat(parts);
  };

  it('passes bytes on in order, both ways, and counts each way', async () => {
    const down = seededBytes(2, 3 * MIB);
    let received: Promise<Buffer> | null = null;
    serve = (socket) => {
      received = readAll(socket);
      socket.end(down);
    };
    const up = seededBytes(1, 2 * MIB);
    const socket = await through(4);
    socket.end(up);
    expect((await readAll(socket)).equals(down)).to.equal(true);
    expect((await (received ?? Promise.resolve(Buffer.alloc(0)))).equals(up)).to.equal(true);
    expect(proxy?.counts()).to.deep.equal({
      upBytes: up.length,
      downBytes: down.length,
      connectionCount: 1,
    });
  });

  it('waits for a slow reader and loses nothing', async () => {
    const down = seededBytes(3, 24 * MIB);
    serve = (socket) => {
      socket.resume();
      socket.end(down);
    };
    const socket = await through(0);
    socket.end();
    await new Promise((later) => setTimeout(later, 300));
    expect((await readAll(socket)).equals(down)).to.equal(true);
  });

  it('takes two round trips to the first answer, the handshake being one, and one to each after it', async () => {
    serve = (socket) => socket.pipe(socket);
    const socket = await through(60);
    const ask = async (): Promise<number> => {
      const began = performance.now();
      socket.write('x');
      await once(socket, 'data');
      return performance.now() - began;
    };
    expect(await ask()).to.be.within(115, 1000);
    const later = await ask();
    expect(later).to.be.within(58, 1000);
    socket.destroy();
  });

  it('holds nothing back at no distance', async () => {
    serve = (socket) => socket.pipe(socket);
    const socket = await through(0);
    socket.end('x');
    expect((await readAll(socket)).toString()).to.equal('x');
  });

  it('delivers what is under way when the server has already hung up', async () => {
    serve = (socket) => {
      socket.resume();
      socket.end('the last words');
    };
    const socket = await through(80);
    socket.end();
    expect((await readAll(socket)).toString()).to.equal('the last words');
  });

  it('cuts the client where the server is gone', async () => {
    serve = (socket) => socket.resetAndDestroy();
    const socket = await through(0);
    const gone = closed(socket);
    socket.write('x');
    await gone;
  });

  it('closes while connections are open', async () => {
    serve = () => {};
    const socket = await through(0);
    const gone = closed(socket);
    await proxy?.close();
    await gone;
    proxy = null;
  });
});
