/** What backends/bucket.ts makes of a cloud's answers, whichever cloud's: a missing bucket is no missing object, a part is no whole. */
import { expect } from 'chai';
import { type BucketClient, createBucketBackend } from '../../backends/bucket.ts';
import { asKey, readText } from '../conformance/bodies.ts';
import { codeOf } from '../support/code-of.ts';

/** A bucket with nothing in it, or none at all. */
const emptyClient = (change: Partial<BucketClient> = {}): BucketClient => ({
  url: 'x://bucket',
  loginHint: 'log in',
  newChecksum: () => ({ update: () => {}, base64: () => '' }),
  explain: () => ({ status: 404, reason: 'NoSuchBucket', message: 'no', retryAfter: null }),
  create: async () => true,
  read: async () => 'absent',
  stat: async () => null,
  page: async () => ({ objects: [], token: null }),
  remove: async () => {},
  now: async () => new Date(0),
  ...change,
});

describe('backends/bucket', () => {
  it('asks once for the bucket where an object is absent', async () => {
    let asked = 0;
    const now = async (): Promise<Date> => {
      asked += 1;
      return new Date(0);
    };
    const backend = createBucketBackend(emptyClient({ now }));
    expect(await backend.stat(asKey('a'))).to.equal(null);
    expect(await codeOf(readText(backend, 'a'))).to.equal('NOT_FOUND');
    expect(asked).to.equal(1);
  });

  it('takes a missing bucket for no empty store', async () => {
    const now = async (): Promise<Date> => {
      throw new Error('no bucket');
    };
    const missing = createBucketBackend(emptyClient({ now }));
    expect(await codeOf(missing.stat(asKey('a')))).to.equal('INVALID');
    expect(await codeOf(readText(missing, 'a'))).to.equal('INVALID');
  });

  it('takes a body that ends too soon for no whole one', async () => {
    const read: BucketClient['read'] = async () => ({
      sizeBytes: 3,
      bytes: (async function* () {
        yield Buffer.from('ab');
      })(),
    });
    const backend = createBucketBackend(emptyClient({ read }));
    expect(await codeOf(readText(backend, 'a'))).to.equal('UNAVAILABLE');
  });
});
