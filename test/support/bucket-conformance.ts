/** Runs the conformance suite, and what only buckets promise, on a server that is started for it. */
import { expect } from 'chai';
import type { BucketOptions } from '../../backends/bucket.ts';
import type { Backend } from '../../core/backend/backend.ts';
import { proveCapabilities } from '../../core/backend/capabilities.ts';
import { createPrefixedBackend } from '../../core/backend/prefixed.ts';
import { secureRandom } from '../../core/random.ts';
import { describeBackend } from '../conformance/backend.ts';
import { asKey, listed, put, readText, textBody } from '../conformance/bodies.ts';
import { type BucketServer, setEnvironment } from './bucket-server.ts';
import { errorOf } from './code-of.ts';
import { seededBytes } from './splitmix64.ts';

const SERVER_START_TIMEOUT_MS = 40_000;
/** These servers share the machine with whatever else runs. */
const CHECK_TIMEOUT_MS = 20_000;
/** More than the first page and a full one. */
const PAGES_KEY_COUNT = 1100;

export interface BucketConformance {
  readonly start: () => Promise<BucketServer>;
  readonly open: (bucket: string, options?: BucketOptions) => Promise<Backend>;
  readonly excused?: Readonly<Record<string, string>>;
}

export function describeBucketBackend(
  name: string,
  { start, open, excused = {} }: BucketConformance,
): void {
  describe(name, function onServer() {
    this.timeout(CHECK_TIMEOUT_MS);
    let server: BucketServer | null = null;
    let reset = (): void => {};
    let bucket = '';
    let count = 0;

    before('start the server', async function startServer() {
      this.timeout(SERVER_START_TIMEOUT_MS);
      server = await start();
      reset = setEnvironment(server.env);
      bucket = await server.bucket();
    });

    after('stop the server', async () => {
      reset();
      await server?.stop();
    });

    const openFresh = async (): Promise<Backend> => {
      count += 1;
      return createPrefixedBackend(await open(bucket), `check-${count}/`);
    };

    describeBackend(name, { open: async () => ({ backend: await openFresh() }), excused });

    it('lists page after page', async function listPages() {
      this.timeout(30_000);
      const backend = await openFresh();
      const keys = Array.from({ length: PAGES_KEY_COUNT }, (_, n) => `p/${String(n + 10_000)}`);
      for (let at = 0; at < keys.length; at += 50) {
        await Promise.all(keys.slice(at, at + 50).map((key) => put(backend, key)));
      }
      expect(await listed(backend, 'p/')).to.deep.equal(keys);
      expect(await listed(backend, 'p/', keys[40])).to.deep.equal(keys.slice(41));
    });

    it('tells a missing bucket from a missing object, whatever is asked', async () => {
      const missing = await open('no-such-bucket-here');
      const calls: readonly (() => Promise<unknown>)[] = [
        () => missing.putIfAbsent(asKey('a'), textBody('a')),
        () => readText(missing, 'a'),
        () => readText(missing, 'a', { start: 2, end: 2 }),
        () => missing.stat(asKey('a')),
        () => listed(missing, ''),
        () => missing.now(),
      ];
      for (const call of calls) {
        const error = await errorOf(call());
        expect(error.code, `${call}: ${error.message}`).to.equal('INVALID');
        expect(error.message).to.contain('no such bucket');
        expect(error.hint).to.contain('make it with the cloud’s own tools');
      }
    });

    it('keeps what is proven of a service, and nothing stays of the proof', async () => {
      const backend = await openFresh();
      await proveCapabilities(backend, secureRandom);
      expect(await listed(backend, '')).to.deep.equal([]);
    });

    it('has the store refuse bytes that were damaged on the way', async () => {
      const backend = await openFresh();
      const sent = seededBytes(3, 300_000);
      let reading = 0;
      const body = {
        sizeBytes: sent.length,
        async *open() {
          reading += 1;
          const bytes = Buffer.from(sent);
          // The first reading makes the checksum, the second is what travels.
          if (reading === 2) bytes.writeUInt8(bytes.readUInt8(0) ^ 1, 0);
          yield bytes;
        },
      };
      const error = await errorOf(backend.putIfAbsent(asKey('a'), body));
      expect(error.code, error.message).to.equal('UNAVAILABLE');
      expect(error.message).to.contain('damaged on the way');
      expect(await backend.stat(asKey('a'))).to.equal(null);
      // Tried again, it comes through.
      expect(await backend.putIfAbsent(asKey('a'), body)).to.deep.equal({ created: true });
    });

    it('passes over what has no key’s name', async () => {
      const fresh = (await server?.bucket()) ?? '';
      const backend = await open(fresh);
      for (const name of ['Not A Key', 'a/B/c', 'a/b/.c', 'z/é']) {
        await server?.putForeign(fresh, name);
      }
      await put(backend, 'a/b/c');
      expect(await listed(backend, '')).to.deep.equal(['a/b/c']);
    });
  });
}
