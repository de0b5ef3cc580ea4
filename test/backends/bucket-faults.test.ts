/** What a cloud may do on a bad day, in both dialects: every failure gets its code and its end, and none is made worse here. */
import { expect } from 'chai';
import type { BucketOptions } from '../../backends/bucket.ts';
import { openGcsBackend } from '../../backends/gcs.ts';
import { openS3Backend } from '../../backends/s3.ts';
import { type Backend, bytesBody } from '../../core/backend/backend.ts';
import { createRetryingBackend } from '../../core/backend/retrying.ts';
import { asKey, listed, read, readText, textBody } from '../conformance/bodies.ts';
import { NO_CREDENTIALS, setEnvironment } from '../support/bucket-server.ts';
import { codeOf, errorOf } from '../support/code-of.ts';
import {
  answer,
  hang,
  hangUp,
  partly,
  type ScriptedServer,
  type Step,
  startEarly,
  startScript,
  startStuck,
} from '../support/scripted-server.ts';
import { seededBytes } from '../support/splitmix64.ts';

/** Long enough for a busy machine, short enough to be waited for. */
const PATIENCE = { stallMs: 600, requestMs: 5_000 };
const LARGE = seededBytes(6, 400_000);

interface Dialect {
  readonly name: string;
  readonly open: (bucket: string, options: BucketOptions) => Promise<Backend>;
  /** A refusal with the cloud's word for it. */
  readonly refuse: (status: number, reason: string, headers?: Record<string, string>) => Step;
  /** An object's description, where its bytes are not asked for. */
  readonly described: (sizeBytes: number) => Step;
  readonly list: (...names: readonly string[]) => Step;
  readonly created: Step;
  readonly damaged: Step;
  readonly precondition: (headers: Record<string, unknown>, url: string) => unknown;
}

const s3: Dialect = {
  name: 's3',
  open: openS3Backend,
  refuse: (status, reason, headers = {}) =>
    answer(status, headers, `<Error><Code>${reason}</Code><Message>no</Message></Error>`),
  described: (sizeBytes) =>
    answer(200, {
      'content-length': String(sizeBytes),
      'last-modified': 'Fri, 02 Jan 2026 03:04:05 GMT',
    }),
  list: (...names) =>
    answer(
      200,
      {},
      `<ListBucketResult><IsTruncated>false</IsTruncated>${names
        .map((name) => `<Contents><Key>${name}</Key><Size>1</Size></Contents>`)
        .join('')}</ListBucketResult>`,
    ),
  created: answer(200, { etag: '"x"' }),
  damaged: answer(400, {}, '<Error><Code>BadDigest</Code><Message>no</Message></Error>'),
  precondition: (headers) => headers['if-none-match'],
};

const json = (status: number, body: unknown, headers: Record<string, string> = {}): Step =>
  answer(status, { 'content-type': 'application/json', ...headers }, JSON.stringify(body));

const gcs: Dialect = {
  name: 'gcs',
  open: openGcsBackend,
  refuse: (status, reason, headers) =>
    json(status, { error: { code: status, message: 'no', errors: [{ reason }] } }, headers),
  described: (sizeBytes) =>
    json(200, { size: String(sizeBytes), timeCreated: '2026-01-02T03:04:05Z' }),
  list: (...names) =>
    json(200, {
      items: names.map((name) => ({ name, size: '1', timeCreated: '2026-01-02T03:04:05Z' })),
    }),
  created: json(200, { size: '1' }),
  damaged: json(400, {
    error: { message: 'Provided CRC32C "a" does not match calculated CRC32C "b".' },
  }),
  precondition: (_, url) => new URL(url, 'http://x').searchParams.get('ifGenerationMatch'),
};

const waits: number[] = [];
const world = {
  nowMs: () => 0,
  sleep: async (ms: number) => void waits.push(ms),
  random: () => 0,
};

for (const dialect of [s3, gcs]) {
  describe(`a bad day of ${dialect.name}`, function onBadDays() {
    this.timeout(20_000);
    let reset = (): void => {};
    beforeEach('have credentials', () => {
      waits.length = 0;
      reset = setEnvironment({
        AWS_ACCESS_KEY_ID: 'k',
        AWS_SECRET_ACCESS_KEY: 's',
        AWS_REGION: 'us-east-1',
        AWS_EC2_METADATA_DISABLED: 'true',
      });
    });
    afterEach('forget them', () => reset());

    const over = async (
      ...steps: readonly Step[]
    ): Promise<ScriptedServer & { backend: Backend; patient: Backend }> => {
      const server = await startScript(...steps);
      const backend = await dialect.open('bucket', {
        endpoint: server.endpoint,
        patience: PATIENCE,
      });
      return { ...server, backend, patient: createRetryingBackend(backend, world) };
    };
    const refusal = async (step: Step) => {
      const { backend } = await over(step);
      return errorOf(backend.putIfAbsent(asKey('a/b'), textBody('x')));
    };

    it('a put is one request, conditional, of known length', async () => {
      const { backend, seen } = await over(dialect.created);
      await backend.putIfAbsent(asKey('a/b'), bytesBody(LARGE));
      expect(seen).to.have.length(1);
      const { headers = {}, url = '', body = Buffer.of() } = seen[0] ?? {};
      expect(dialect.precondition(headers, url)).to.be.oneOf(['*', '0']);
      expect(headers['transfer-encoding']).to.equal(undefined);
      expect(body.includes(LARGE)).to.equal(true);
    });

    it('makes each request once: trying again is not the SDK’s', async () => {
      for (const status of [429, 500, 502, 503, 504]) {
        const { backend, seen } = await over(dialect.refuse(status, ''));
        expect(await codeOf(backend.stat(asKey('a'))), `${status}`).to.equal('UNAVAILABLE');
        expect(seen, `${status}`).to.have.length(1);
      }
    });

    for (const status of [429, 503]) {
      it(`${status}: carries how long the store asks to wait, where it says so`, async () => {
        const asked = async (header: string) =>
          (await refusal(dialect.refuse(status, 'SlowDown', { 'retry-after': header })))
            .retryAfterMs;
        expect(await asked('1')).to.equal(1000);
        expect(await asked('301')).to.equal(301_000);
        const inFive = new Date(Date.now() + 5_000).toUTCString();
        expect(await asked(inFive)).to.be.within(1, 5_000);
        for (const garbage of ['soon', '-5', '1.5', '']) {
          expect(await asked(garbage), garbage).to.equal(undefined);
        }
      });
    }

    it('is waited for as it asks, and given up where that is too long', async () => {
      const busy = (seconds: string) => dialect.refuse(503, '', { 'retry-after': seconds });
      const { patient } = await over(busy('1'), busy('300'), dialect.created);
      // Together they are more than five minutes.
      expect(await codeOf(patient.putIfAbsent(asKey('a'), textBody('x')))).to.equal('UNAVAILABLE');
      expect(waits).to.deep.equal([1000]);
      const second = await over(busy('300'), dialect.created);
      expect(await second.patient.putIfAbsent(asKey('a'), textBody('x'))).to.deep.equal({
        created: true,
      });
    });

    it('409 on a put: the whole put is made again', async () => {
      const conflict = dialect.refuse(409, 'ConditionalRequestConflict');
      const { patient, seen } = await over(conflict, dialect.created);
      expect(await patient.putIfAbsent(asKey('a'), textBody('x'))).to.deep.equal({ created: true });
      expect(seen.map(({ body }) => body.includes('x'))).to.deep.equal([true, true]);
    });

    it('412 on a put: another was first', async () => {
      const { backend } = await over(dialect.refuse(412, 'PreconditionFailed'));
      expect(await backend.putIfAbsent(asKey('a'), textBody('x'))).to.deep.equal({
        created: false,
      });
    });

    it('a lost acknowledgement: the second try finds the object there', async () => {
      const { patient, left } = await over(hangUp, dialect.refuse(412, 'PreconditionFailed'));
      expect(await patient.putIfAbsent(asKey('a'), textBody('x'))).to.deep.equal({
        created: false,
      });
      expect(left()).to.equal(0);
    });

    it('a lost acknowledgement of a large put: a look spares sending it again', async () => {
      const { backend, seen } = await over(hangUp, dialect.described(LARGE.length));
      expect(await backend.putIfAbsent(asKey('a'), bytesBody(LARGE))).to.deep.equal({
        created: false,
      });
      expect(seen).to.have.length(2);
      const other = await over(hangUp, dialect.described(LARGE.length - 1));
      expect(await codeOf(other.backend.putIfAbsent(asKey('a'), bytesBody(LARGE)))).to.equal(
        'UNAVAILABLE',
      );
    });

    it('an answer that comes before the end of the body is heeded, and closes its source', async () => {
      const endpoint = await startEarly(dialect.refuse(412, 'PreconditionFailed'));
      const backend = await dialect.open('bucket', { endpoint, patience: PATIENCE });
      const readings = { opened: 0, closed: 0 };
      const body = {
        sizeBytes: LARGE.length * 40,
        async *open() {
          readings.opened += 1;
          try {
            for (let count = 0; count < 40; count += 1) yield LARGE;
          } finally {
            readings.closed += 1;
          }
        },
      };
      expect(await backend.putIfAbsent(asKey('a'), body)).to.deep.equal({ created: false });
      await new Promise((done) => setTimeout(done, 20));
      expect(readings.closed).to.equal(readings.opened);
    });

    it('damage on the way is told by the store, and the put made again', async () => {
      const { patient } = await over(dialect.damaged, dialect.created);
      expect(await patient.putIfAbsent(asKey('a'), textBody('x'))).to.deep.equal({ created: true });
      expect((await refusal(dialect.damaged)).message).to.contain('damaged on the way');
    });

    it('an answer that never comes is waited for so long, and named', async () => {
      const { backend } = await over(hang, hang, hang, hang, hang, hang);
      const calls: readonly (() => Promise<unknown>)[] = [
        () => backend.putIfAbsent(asKey('a'), textBody('x')),
        () => readText(backend, 'a'),
        () => backend.stat(asKey('a')),
        () => listed(backend, ''),
        () => backend.remove(asKey('a')),
        () => backend.now(),
      ];
      for (const error of await Promise.all(calls.map((call) => errorOf(call())))) {
        expect(error.code, error.message).to.equal('UNAVAILABLE');
        expect(error.message).to.match(/:\/\/bucket.*: nothing moved for 0.6 s/);
      }
    });

    it('a put that nobody takes is given up, and named', async () => {
      const endpoint = await startStuck();
      const backend = await dialect.open('bucket', { endpoint, patience: PATIENCE });
      const error = await errorOf(
        backend.putIfAbsent(asKey('a'), bytesBody(Buffer.alloc(12 * 1024 * 1024))),
      );
      expect(error.code, error.message).to.equal('UNAVAILABLE');
      expect(error.message).to.contain('cannot store').and.to.contain('nothing moved for 0.6 s');
    });

    it('a read that stalls or breaks in the middle goes on where it was', async () => {
      for (const then of ['nothing', 'the end'] as const) {
        const { patient, seen } = await over(
          partly(LARGE.length, LARGE.subarray(0, 100_000), then),
          partly(LARGE.length, LARGE.subarray(100_000), 'nothing'),
        );
        expect((await read(patient, 'a')).equals(LARGE), then).to.equal(true);
        expect(seen[1]?.headers.range, then).to.equal('bytes=100000-');
      }
    });

    it('a slow reader is not held against the store', async () => {
      const { backend, seen } = await over(partly(LARGE.length, LARGE, 'nothing'));
      let sizeBytes = 0;
      for await (const bytes of backend.get(asKey('a'))) {
        if (sizeBytes === 0) await new Promise((done) => setTimeout(done, PATIENCE.stallMs * 2));
        sizeBytes += bytes.length;
      }
      expect([sizeBytes, seen.length]).to.deep.equal([LARGE.length, 1]);
    });

    const refusals: readonly (readonly [number, string, string])[] = [
      [401, 'Unauthorized', 'UNAUTHENTICATED'],
      [403, 'AccessDenied', 'FORBIDDEN'],
      [403, 'InvalidAccessKeyId', 'UNAUTHENTICATED'],
      [403, 'RequestTimeTooSkewed', 'FORBIDDEN'],
      [403, 'rateLimitExceeded', 'UNAVAILABLE'],
      [408, '', 'UNAVAILABLE'],
      [413, 'EntityTooLarge', 'TOO_LARGE'],
      [507, 'XMinioStorageFull', 'NO_SPACE'],
      [403, 'QuotaExceeded', 'NO_SPACE'],
      [404, 'NoSuchBucket', 'INVALID'],
      [501, 'NotImplemented', 'UNSUPPORTED'],
      [400, 'SomethingElse', 'INVALID'],
    ];
    it('every refusal has its code, names the object, and says what to do about access', async () => {
      for (const [status, reason, code] of refusals) {
        const error = await refusal(dialect.refuse(status, reason));
        expect(error.code, `${status} ${reason}: ${error.message}`).to.equal(code);
        expect(error.message).to.match(/cannot store (s3|gs):\/\/bucket\/a\/b: /);
        if (code === 'FORBIDDEN' || code === 'UNAUTHENTICATED') {
          expect(error.hint, reason).to.match(/aws|gcloud|timedatectl/);
        }
      }
    });

    it('follows no redirect, and sends nothing to where one points', async () => {
      const elsewhere = await startScript();
      const error = await refusal(answer(307, { location: `${elsewhere.endpoint}/bucket/a` }));
      expect(error.code).to.equal('INVALID');
      expect(error.message).to.contain('points to another address');
      expect(elsewhere.seen).to.deep.equal([]);
    });

    it('a list out of order is refused', async () => {
      const { backend } = await over(dialect.list('a/1', 'a/3', 'a/2'));
      const error = await errorOf(listed(backend, 'a/'));
      expect(error.code).to.equal('UNSUPPORTED');
      expect(error.message).to.contain('a/2 came after a/3');
    });

    it('a store that tells no time is named', async () => {
      const { backend } = await over((response) => {
        response.sendDate = false;
        dialect.list()(response, { method: '', url: '', headers: {}, body: Buffer.of() });
      });
      expect((await errorOf(backend.now())).message).to.contain('tells no time');
    });

    it('nobody at the address: UNAVAILABLE', async () => {
      const backend = await dialect.open('bucket', { endpoint: 'http://127.0.0.1:9' });
      const error = await errorOf(backend.stat(asKey('a')));
      expect(error.code).to.equal('UNAVAILABLE');
      expect(error.message).to.contain('cannot be reached').and.to.contain('ECONNREFUSED');
    });
  });
}

describe('without credentials', () => {
  let reset = (): void => {};
  before('hide what this machine has', () => {
    reset = setEnvironment(NO_CREDENTIALS);
  });
  after('show it again', () => reset());

  it('S3 says how to get some', async () => {
    const server = await startScript();
    const backend = await openS3Backend('bucket', { endpoint: server.endpoint });
    const error = await errorOf(backend.stat(asKey('a')));
    expect(error.code, error.message).to.equal('UNAUTHENTICATED');
    expect(error.hint).to.contain('aws configure');
    expect(server.seen).to.deep.equal([]);
  });

  it('GCS says how to get some', async () => {
    const error = await errorOf((await openGcsBackend('bucket')).stat(asKey('a')));
    expect(error.code, error.message).to.equal('UNAUTHENTICATED');
    expect(error.hint).to.contain('gcloud auth application-default login');
  });
});
