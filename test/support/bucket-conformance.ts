/** Runs the conformance suite, and what only buckets promise, on a server that is started for it. */
import { expect } from 'chai';
import type { BucketOptions } from '../../backends/bucket.ts';
import type { Backend } from '../../core/backend/backend.ts';
import { createPrefixedBackend } from '../../core/backend/prefixed.ts';
import { describeBackend } from '../conformance/backend.ts';
import { asKey, listed, put, readText, textBody } from '../conformance/bodies.ts';
import { type BucketServer, setEnvironment } from './bucket-server.ts';
import { errorOf } from './code-of.ts';

const SERVER_START_TIMEOUT_MS = 40_000;
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
  describe(name, () => {
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
