/** How little a server is asked and waited for while files are put, and that nothing else depends on it. */
import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'chai';
import type { PutOutcome } from '../../core/cas/blob-store.ts';
import { digestOf } from '../../core/digest.ts';
import { FAST_PATHS_OFF, switchOffFastPaths } from '../../core/fast-paths.ts';
import { openQuick, sourceOf } from '../support/api-world.ts';
import { type FakeApi, sendJson, startFakeApi } from '../support/fake-api.ts';
import { useFastPaths } from '../support/fast-paths.ts';
import { seededBytes } from '../support/splitmix64.ts';

/** Less than the pool's smallest chunk, so each file is one. */
const SMALL_SIZE_BYTES = 500;
/** One more than a group takes. */
const MANY_COUNT = 2049;

const small = (seed: number): Buffer => seededBytes(seed, SMALL_SIZE_BYTES);
const countsOf = (api: FakeApi) =>
  ['/objects/has', '/chunks/has', '/objects'].map((path) => api.count(path));

async function outcomesOf(outcomes: AsyncIterable<PutOutcome>): Promise<readonly string[]> {
  const said: string[] = [];
  for await (const outcome of outcomes) {
    said.push('receipt' in outcome ? 'stored' : outcome.error.code);
  }
  return said;
}

for (const off of ['', 'ask-once']) {
  describe(`putting small files${off && `, without ${off}`}`, () => {
    before(() => switchOffFastPaths({ [FAST_PATHS_OFF]: off }));
    after(() => switchOffFastPaths(process.env));

    it('asks about no file twice, nor about one as its only chunk', async () => {
      const api = await startFakeApi();
      const { blobs } = await openQuick(api.url);
      const files = Array.from({ length: 5 }, (_, index) => small(index));
      // In two questions, and one about nothing: each is remembered beside the others.
      for (const asked of [files.slice(0, 3), files.slice(3), []]) {
        expect((await blobs.has(asked.map(digestOf))).size).to.equal(0);
      }
      const outcomes = await outcomesOf(blobs.putMany(files.map((bytes) => sourceOf(bytes))));
      expect(outcomes).to.deep.equal(Array(5).fill('stored'));
      expect(countsOf(api)).to.deep.equal(off === '' ? [2, 0, 1] : [3, 1, 1]);
      for (const bytes of files) {
        expect(api.blobs.get(digestOf(bytes))?.equals(bytes)).to.equal(true);
      }
    });

    it('asks again once it has put what was absent', async () => {
      const api = await startFakeApi();
      const { blobs } = await openQuick(api.url);
      await blobs.has([digestOf(small(1))]);
      await blobs.put(sourceOf(small(1)));
      const asked = api.count('/objects/has');
      expect((await blobs.put(sourceOf(small(1)))).newBytes).to.equal(0);
      expect(api.count('/objects/has')).to.equal(asked + 1);
      expect(api.packSizes.length).to.equal(1);
    });

    it('asks about the chunks of files that have many', async () => {
      const api = await startFakeApi();
      const { blobs } = await openQuick(api.url);
      const bytes = seededBytes(9, 100_000);
      await blobs.put(sourceOf(bytes));
      const longer = Buffer.concat([bytes, small(3)]);
      expect((await blobs.put(sourceOf(longer))).newBytes).to.be.below(40_000);
      expect(api.count('/chunks/has')).to.equal(2);
    });
  });
}

describe('putting more files than one call records', () => {
  const sources = () => Array.from({ length: MANY_COUNT }, (_, index) => sourceOf(small(index)));

  describe('reads on while the server records', () => {
    useFastPaths();

    it('sends the next group’s pack before the one before is answered', async () => {
      const api = await startFakeApi();
      let packCount = 0;
      api.bend = async ({ method, path }) => {
        if (method === 'PUT') packCount += 1;
        // The first call is answered once the second group’s pack is here.
        for (let tries = 0; path === '/objects' && packCount < 2; tries += 1) {
          if (tries > 3000) throw new Error('waited in vain for the second pack');
          await pause(10);
        }
        return false;
      };
      const { blobs } = await openQuick(api.url);
      expect(await outcomesOf(blobs.putMany(sources()))).to.deep.equal(
        Array(MANY_COUNT).fill('stored'),
      );
      expect(api.count('/objects')).to.equal(2);
    }).timeout(60_000);
  });

  for (const off of ['', 'record-ahead']) {
    describe(off === '' ? 'as ever' : `without ${off}`, () => {
      before(() => switchOffFastPaths({ [FAST_PATHS_OFF]: off }));
      after(() => switchOffFastPaths(process.env));

      it('what the server misses of the first group is sent again, and all is stored', async () => {
        const api = await startFakeApi();
        let isFirst = true;
        api.bend = ({ path }, response, request) => {
          if (path !== '/objects' || !isFirst) return false;
          isFirst = false;
          request.resume();
          const missing = [digestOf(small(0)), digestOf(small(1))];
          sendJson(response, 200, { recorded: [], failed: [], missing });
          return true;
        };
        const { blobs } = await openQuick(api.url);
        const outcomes = await outcomesOf(blobs.putMany(sources()));
        expect(outcomes).to.deep.equal(Array(MANY_COUNT).fill('stored'));
        expect(api.blobs.size).to.equal(MANY_COUNT);
      }).timeout(60_000);

      it('a server that refuses the first group fails all that is left, and each file is told of once', async () => {
        const api = await startFakeApi();
        api.bend = ({ path }, response, request) => {
          if (path !== '/objects') return false;
          request.resume();
          sendJson(response, 403, { code: 'FORBIDDEN', message: 'not here' });
          return true;
        };
        const { blobs } = await openQuick(api.url);
        const outcomes = await outcomesOf(blobs.putMany(sources()));
        expect(outcomes).to.deep.equal(Array(MANY_COUNT).fill('FORBIDDEN'));
      }).timeout(60_000);

      it('a file that changes in the second group fails alone', async () => {
        const api = await startFakeApi();
        const { blobs } = await openQuick(api.url);
        const all = sources();
        const last = all[MANY_COUNT - 1] as (typeof all)[0];
        all[MANY_COUNT - 1] = { ...last, open: sourceOf(small(9_999)).open };
        const outcomes = await outcomesOf(blobs.putMany(all));
        expect(outcomes.filter((outcome) => outcome === 'stored').length).to.equal(MANY_COUNT - 1);
        expect(outcomes.filter((outcome) => outcome === 'MISMATCH').length).to.equal(1);
      }).timeout(60_000);
    });
  }
});
