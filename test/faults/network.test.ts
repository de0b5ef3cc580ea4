/** A push through the real server over networks that repeat, cut, reset, fall silent, slow down or change bytes. */
import { expect } from 'chai';
import { collect } from '../../core/bytes.ts';
import { type Digest, digestOf } from '../../core/digest.ts';
import type { Repository } from '../../core/meta/repository.ts';
import { openQuick } from '../support/api-world.ts';
import { HistoryChecker } from '../support/history-checker.ts';
import { startHttpFaultProxy } from '../support/http-fault-proxy.ts';
import { type RealServer, startRealServer } from '../support/real-server.ts';
import { sightOfRepository } from '../support/sights.ts';
import { fileEntry, pushIdOf, recordSimplePush } from '../support/simple-push.ts';
import { sourceOf } from '../support/source-of.ts';
import { seededBytes } from '../support/splitmix64.ts';
import { startTcpFaultProxy, type Toxics } from '../support/tcp-fault-proxy.ts';

const FILES = [seededBytes(1, 700_000), seededBytes(2, 3000), Buffer.alloc(40_000, 'words ')];
const portOf = (server: RealServer) => (): number => Number(new URL(server.origin).port);

describe('network faults', () => {
  const closing: { close(): Promise<unknown> }[] = [];
  afterEach('close proxies', async () => {
    for (const each of closing.splice(0)) await each.close();
  });

  const open = (origin: string): Promise<Repository> =>
    openQuick(`${origin}/acme/soak`, { create: { by: 'ada', remote: null } });

  /** Pushes the files through `origin`; what was told is noted. */
  async function push(origin: string): Promise<HistoryChecker> {
    const history = new HistoryChecker();
    const repository = await open(origin);
    const sources = FILES.map((bytes) => sourceOf(bytes));
    for await (const outcome of repository.blobs.putMany(sources)) {
      if ('error' in outcome) throw outcome.error;
      const { oid } = outcome;
      history.end(history.begin({ kind: 'object', name: oid, content: oid }), 'acknowledged');
    }
    const entries = sources.map(({ oid, sizeBytes }) => fileEntry(oid, oid, sizeBytes));
    const attempt = history.begin({ kind: 'entry', name: 'main', content: pushIdOf('one') });
    await recordSimplePush(repository, { name: 'one', entries });
    history.end(attempt, 'acknowledged');
    await repository.close();
    return history;
  }

  async function expectKept(server: RealServer, history: HistoryChecker): Promise<void> {
    const repository = await open(server.origin);
    expect(await history.check(sightOfRepository(repository))).to.deep.equal([]);
    expect(history.counts.acknowledged).to.equal(FILES.length + 1);
    await repository.close();
  }

  for (const times of [1, 2, 3]) {
    it(`every request ${times} times: one push, and each file once`, async () => {
      const server = await startRealServer();
      const proxy = await startHttpFaultProxy(portOf(server), () => ({ kind: 'repeat', times }));
      closing.push(proxy);
      await expectKept(server, await push(proxy.origin));
      const repository = await open(server.origin);
      let entries = 0;
      for await (const _ of repository.history.branchLog('main')) entries += 1;
      expect(entries).to.equal(1);
      expect(proxy.requestCount).to.be.greaterThan(5);
    }).timeout(20_000);
  }

  const networks: Readonly<Record<string, (connection: number) => Toxics>> = {
    'slow, in small pieces': () => ({ bytesPerSecond: 4_000_000, sliceBytes: 1400 }),
    'late each way': () => ({ latencyMs: 5 }),
    'reset after 256 KiB sent, five times': (connection) =>
      connection < 5 ? { limit: { direction: 'up', bytes: 262_144, ending: 'reset' } } : {},
    'closed after half an answer, every other time': (connection) =>
      connection % 2 === 0 ? { limit: { direction: 'down', bytes: 300, ending: 'close' } } : {},
    'silent after some answers, twice': (connection) =>
      connection < 2 ? { limit: { direction: 'down', bytes: 1500, ending: 'silence' } } : {},
  };
  for (const [name, toxicsOf] of Object.entries(networks)) {
    it(`${name}: the push goes through`, async () => {
      const server = await startRealServer();
      const proxy = await startTcpFaultProxy(portOf(server), toxicsOf);
      closing.push(proxy);
      await expectKept(server, await push(proxy.origin));
      if (/reset|closed|silent/.test(name)) expect(proxy.limitedCount).to.be.greaterThan(0);
    }).timeout(30_000);
  }

  it('a byte changed on its way up is never stored as the file', async () => {
    const server = await startRealServer();
    // Far enough in to be a file's, wherever requests begin.
    for (const offset of [5000, 100_000, 400_000]) {
      const proxy = await startTcpFaultProxy(portOf(server), () => ({
        patch: { direction: 'up', offset, mask: 4 },
      }));
      closing.push(proxy);
      await push(proxy.origin).catch(() => {});
    }
    const repository = await open(server.origin);
    const held = await repository.blobs.has(FILES.map((bytes) => digestOf(bytes)));
    for (const oid of held.keys()) {
      const bytes = await collect(repository.blobs.get(oid), 2 ** 20);
      expect(digestOf(bytes) === (oid as Digest)).to.equal(true);
    }
    await expectKept(server, await push(server.origin));
  }).timeout(30_000);

  it('a byte changed on its way down is never taken for the file', async () => {
    const server = await startRealServer();
    await push(server.origin);
    const large = digestOf(FILES[0] ?? '');
    for (const offset of [2000, 90_000, 500_000]) {
      const proxy = await startTcpFaultProxy(portOf(server), (connection) =>
        connection < 8 ? { patch: { direction: 'down', offset, mask: 4 } } : {},
      );
      closing.push(proxy);
      const repository = await open(proxy.origin);
      const read = await collect(repository.blobs.get(large), 2 ** 20).catch(() => null);
      if (read !== null) expect(digestOf(read)).to.equal(large);
    }
  }).timeout(30_000);
});
