/** A store in a bucket, opened as programs open it: made and used where the service keeps its promises, refused by name where not. */
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { expect } from 'chai';
import { openBackend } from '../../backends/open.ts';
import { openRepositoryUrl } from '../../client/open.ts';
import { openStoreBackend, proveStore } from '../../client/open-store.ts';
import { probeRepository } from '../../client/probe.ts';
import { bytesBody } from '../../core/backend/backend.ts';
import { collect } from '../../core/bytes.ts';
import { digestOf } from '../../core/digest.ts';
import { main } from '../../lfs-server/main.ts';
import { listed } from '../conformance/bodies.ts';
import { type BucketServer, setEnvironment } from '../support/bucket-server.ts';
import { errorOf } from '../support/code-of.ts';
import { startGcsServer } from '../support/gcs-server.ts';
import { startLyingGcs, startLyingS3 } from '../support/lying-buckets.ts';
import { startS3Server } from '../support/s3-server.ts';

const CREATE = { by: 'ada', remote: null } as const;

interface Cloud {
  readonly scheme: 'gs' | 's3';
  readonly start: () => Promise<BucketServer>;
  /** The environment that leads to a service that ignores preconditions. */
  readonly lying: (honest: BucketServer) => Promise<Record<string, string>>;
}

const CLOUDS: readonly Cloud[] = [
  {
    scheme: 'gs',
    start: startGcsServer,
    lying: async ({ endpoint }) => ({ STORAGE_EMULATOR_HOST: await startLyingGcs(endpoint) }),
  },
  {
    scheme: 's3',
    start: () => startS3Server('versity'),
    lying: async () => ({ AWS_ENDPOINT_URL_S3: await startLyingS3() }),
  },
];

for (const { scheme, start, lying } of CLOUDS) {
  describe(`a ${scheme}:// store`, function onServer() {
    this.timeout(40_000);
    let server: BucketServer;
    let url = '';
    let count = 0;
    let reset = (): void => {};
    let resetLies = (): void => {};

    before('start the server', async () => {
      server = await start();
      reset = setEnvironment(server.env);
      const bucket = await server.bucket();
      url = `${scheme}://${bucket}/`;
    });
    after('stop the server', async () => {
      reset();
      await server.stop();
    });
    afterEach('lie no more', () => {
      resetLies();
      resetLies = () => {};
    });

    const freshUrl = (): string => {
      count += 1;
      return `${url}store-${count}`;
    };
    const lie = async (): Promise<string> => {
      const variables = await lying(server);
      resetLies = setEnvironment(variables);
      return freshUrl();
    };

    it('is made, written and read through its URL', async () => {
      const store = freshUrl();
      const repository = await openRepositoryUrl(`${store}//team/weather`, { create: CREATE });
      const bytes = Buffer.from('rain '.repeat(50_000));
      const oid = digestOf(bytes);
      await repository.blobs.put({ oid, sizeBytes: bytes.length, open: bytesBody(bytes).open });
      await repository.close();
      const again = await openRepositoryUrl(`${store}//team/weather`);
      expect((await collect(again.blobs.get(oid), 1_000_000)).equals(bytes)).to.equal(true);
      await again.close();
      expect(await listed(await openBackend(store), 'probe/')).to.deep.equal([]);
    });

    it('makes no store where preconditions are ignored, and says which promise that breaks', async () => {
      const store = await lie();
      const opened = openRepositoryUrl(`${store}//team/weather`, { create: CREATE });
      const error = await errorOf(opened);
      expect(error.code, error.message).to.equal('UNSUPPORTED');
      expect(error.message).to.contain('lacks exclusive creation').and.to.contain(`${scheme}://`);
      expect(await listed(await openBackend(store), '')).to.deep.equal([]);
    });

    it('serve and doctor look again at a store that is there', async () => {
      const store = freshUrl();
      const repo = `${store}//team/weather`;
      await (await openRepositoryUrl(repo, { create: CREATE })).close();
      expect(await probeRepository(repo, {})).to.include({ mayWrite: true, broken: null });
      await proveStore(store, await openStoreBackend(store));

      resetLies = setEnvironment(await lying(server));
      const [stdout, stderr] = [new PassThrough(), new PassThrough()];
      const io = { stdin: new PassThrough(), stdout, stderr, env: {}, cwd: '/', isTerminal: false };
      const status = await main(['--store', store, '--anonymous', 'read'], {
        ...io,
        signal: AbortSignal.abort(),
      });
      stderr.end();
      expect([status, await text(stderr)].join(' ')).to.match(/^1 .*lacks exclusive creation/s);
      if (scheme === 'gs') {
        // The relay leads to the same store, so that it can be opened and doubted.
        const { mayWrite, broken } = await probeRepository(repo, {});
        expect(mayWrite).to.equal(false);
        expect(broken).to.contain('lacks exclusive creation');
      }
    });
  });
}
