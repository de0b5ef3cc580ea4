/** The proxies do to connections and requests what they are told, and nothing else. */
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { expect } from 'chai';
import { failingShare, startHttpFaultProxy, type Treatment } from './http-fault-proxy.ts';
import { startTcpFaultProxy, type Toxics } from './tcp-fault-proxy.ts';

const BODY = Buffer.alloc(50_000, 'abcdefghij');

describe('fault proxies', () => {
  const closing: (() => Promise<unknown>)[] = [];
  afterEach('close proxies', async () => {
    for (const close of closing.splice(0)) await close();
  });

  async function startServer(listener: RequestListener): Promise<number> {
    const server: Server = createServer(listener);
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    closing.push(() => {
      server.closeAllConnections();
      return new Promise((closed) => server.close(closed));
    });
    return (server.address() as AddressInfo).port;
  }

  async function echo(request: IncomingMessage, response: Parameters<RequestListener>[1]) {
    const bytes = await buffer(request);
    response.end(bytes);
  }

  const post = async (origin: string): Promise<Buffer> => {
    const answer = await fetch(origin, {
      method: 'POST',
      body: BODY,
      signal: AbortSignal.timeout(3000),
    });
    return Buffer.from(await answer.arrayBuffer());
  };

  /** What comes back through a proxy with these toxics, and how long that took; null where the connection broke. */
  async function through(
    toxics: Toxics,
  ): Promise<{ back: Buffer | null; ms: number; limited: number }> {
    const port = await startServer((request, response) => void echo(request, response));
    const proxy = await startTcpFaultProxy(
      () => port,
      () => toxics,
    );
    closing.push(() => proxy.close());
    const began = performance.now();
    const back = await post(proxy.origin).catch(() => null);
    return { back, ms: performance.now() - began, limited: proxy.limitedCount };
  }

  it('TCP: pass everything on where nothing is planned, in small pieces too', async () => {
    expect((await through({})).back?.equals(BODY)).to.equal(true);
    expect((await through({ sliceBytes: 999 })).back?.equals(BODY)).to.equal(true);
  });

  it('TCP: are late and slow', async () => {
    expect((await through({ latencyMs: 60 })).ms).to.be.greaterThan(110);
    const slow = await through({ bytesPerSecond: 200_000 });
    expect(slow.ms).to.be.greaterThan(400);
    expect(slow.back?.equals(BODY)).to.equal(true);
  });

  it('TCP: cut, reset and fall silent after so many bytes', async () => {
    for (const ending of ['close', 'reset'] as const) {
      for (const direction of ['up', 'down'] as const) {
        const { back, limited } = await through({ limit: { direction, bytes: 10_000, ending } });
        expect(back, `${direction} ${ending}`).to.equal(null);
        expect(limited).to.equal(1);
      }
    }
    const silent = await through({ limit: { direction: 'down', bytes: 0, ending: 'silence' } });
    expect(silent.back).to.equal(null);
    expect(silent.ms).to.be.greaterThan(2500);
  }).timeout(10_000);

  it('TCP: change one byte on its way', async () => {
    const { back } = await through({ patch: { direction: 'up', offset: 5000, mask: 1 } });
    const wrong = [...BODY.keys()].filter((index) => back?.[index] !== BODY[index]);
    expect(wrong).to.have.length(1);
  });

  async function treated(treatment: Treatment): Promise<{ status: number; seen: number }> {
    let seen = 0;
    const port = await startServer((request, response) => {
      seen += 1;
      void echo(request, response);
    });
    const proxy = await startHttpFaultProxy(
      () => port,
      () => treatment,
    );
    closing.push(() => proxy.close());
    const { status } = await fetch(proxy.origin, { method: 'POST', body: BODY });
    return { status, seen };
  }

  it('HTTP: pass, refuse, lose the answer and repeat', async () => {
    expect(await treated({ kind: 'pass' })).to.deep.equal({ status: 200, seen: 1 });
    expect(await treated({ kind: 'refuse', status: 503 })).to.deep.equal({ status: 503, seen: 0 });
    expect(await treated({ kind: 'lose answer', status: 502 })).to.deep.equal({
      status: 502,
      seen: 1,
    });
    expect(await treated({ kind: 'repeat', times: 3 })).to.deep.equal({ status: 200, seen: 3 });
  });

  it('HTTP: fail a share, by seed', () => {
    const kinds = (seed: number): string[] => {
      const treat = failingShare(0.5, seed);
      return Array.from({ length: 300 }, (_, n) => treat(n).kind);
    };
    expect(kinds(1)).to.deep.equal(kinds(1));
    expect(kinds(1)).to.not.deep.equal(kinds(2));
    expect(kinds(1).filter((kind) => kind === 'pass')).to.have.length.within(120, 180);
  });
});
