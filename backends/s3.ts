/**
 * A store in an S3 bucket (`s3://bucket`), on AWS or any server that speaks S3 and heeds `If-None-Match`. Credentials,
 * region and endpoint come from AWS's own chain (environment, profile, machine role).
 */
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type PutObjectCommandOutput,
  S3Client,
  S3ServiceException,
} from '@aws-sdk/client-s3';
import type { Backend, ByteRange } from '../core/backend/backend.ts';
import type { ByteStream } from '../core/bytes.ts';
import type { Key } from '../core/keys.ts';
import {
  type BucketClient,
  type BucketOptions,
  createBucketBackend,
  type Page,
  type PageRequest,
  type Reading,
} from './bucket.ts';
import type { ReadyBody } from './bucket-body.ts';
import type { BucketFailure } from './bucket-errors.ts';
import type { Watch } from './bucket-watch.ts';

const CONNECT_TIMEOUT_MS = 10_000;
/** A request that waits for a socket would pass for one that stalls: a server has many slow readers. */
const SOCKET_COUNT_MAX = 1000;
/** What servers that are not AWS call their only region; on AWS the bucket's own is found by the first request. */
const DEFAULT_REGION = 'us-east-1';

const SILENT = { debug() {}, info() {}, warn() {}, error() {} };

export async function openS3Backend(name: string, options: BucketOptions = {}): Promise<Backend> {
  const s3 = await openClient(options.endpoint);
  const client: BucketClient = {
    url: `s3://${name}`,
    loginHint:
      'Check whom AWS takes you for: aws sts get-caller-identity; to get credentials: aws configure',
    newChecksum() {
      const hash = createHash('sha256');
      return { update: (bytes) => void hash.update(bytes), base64: () => hash.digest('base64') };
    },
    explain,
    create: (key, body, watch) => create(s3, name, key, body, watch),
    read: (key, range, watch) => read(s3, name, key, range, watch),
    stat: (key, watch) => stat(s3, name, key, watch),
    page: (request, watch) => page(s3, name, request, watch),
    async remove(key, { signal }) {
      const command = new DeleteObjectCommand({ Bucket: name, Key: key });
      await s3.send(command, { abortSignal: signal });
    },
    now: (watch) => now(s3, name, watch),
  };
  return createBucketBackend(client, options);
}

async function openClient(given: string | undefined): Promise<S3Client> {
  const common = {
    // Trying again is ours: core/backend/retrying.ts.
    maxAttempts: 1,
    // Servers that are not AWS refuse bodies with trailing checksums; ours go in a header.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    followRegionRedirects: true,
    requestHandler: {
      connectionTimeout: CONNECT_TIMEOUT_MS,
      httpAgent: { keepAlive: true, maxSockets: SOCKET_COUNT_MAX },
      httpsAgent: { keepAlive: true, maxSockets: SOCKET_COUNT_MAX },
    },
    // The SDK writes advice to the console, which belongs to the programs: stdout may be a protocol.
    logger: SILENT,
  } as const;
  const plain = new S3Client(common);
  const region = await plain.config.region().catch(() => DEFAULT_REGION);
  // From AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL or the profile; such servers seldom have a host name per bucket.
  const endpoint = given ?? (await plain.config.serviceConfiguredEndpoint?.());
  return new S3Client({
    ...common,
    region,
    ...(endpoint !== undefined && { endpoint, forcePathStyle: true }),
  });
}

async function create(
  s3: S3Client,
  bucket: string,
  key: Key,
  body: ReadyBody,
  watch: Watch,
): Promise<boolean> {
  const bytes = body.held ?? Readable.from(body.send(watch), { objectMode: false });
  const command = new PutObjectCommand({
    Bucket: bucket,
    Key: key,
    IfNoneMatch: '*',
    Body: bytes,
    ContentLength: body.sizeBytes,
    ContentType: 'application/octet-stream',
    ChecksumSHA256: body.checksum,
  });
  signDigest(command, body);
  try {
    await s3.send(command, { abortSignal: watch.signal });
    return true;
  } catch (error) {
    const { status, reason } = explain(error);
    if (status === 412 || reason === 'PreconditionFailed') return false;
    throw error;
  } finally {
    // Or the source stays open where the answer came before its end.
    if (bytes instanceof Readable) bytes.destroy();
  }
}

/** The signature covers the digest, so that also a server that knows no checksum headers refuses other bytes. */
function signDigest(command: PutObjectCommand, { checksum }: ReadyBody): void {
  const digest = Buffer.from(checksum, 'base64').toString('hex');
  command.middlewareStack.add(
    (next) => (args) => {
      const { headers } = args.request as { headers: Record<string, string> };
      headers['x-amz-content-sha256'] = digest;
      return next(args) as Promise<{ output: PutObjectCommandOutput; response: unknown }>;
    },
    { step: 'build', name: 'signDigest' },
  );
}

async function read(
  s3: S3Client,
  bucket: string,
  key: Key,
  range: ByteRange | null,
  watch: Watch,
): Promise<Reading> {
  const last = range?.end === undefined ? '' : range.end - 1;
  const command = new GetObjectCommand({
    Bucket: bucket,
    Key: key,
    ...(range !== null && { Range: `bytes=${range.start}-${last}` }),
  });
  try {
    const { Body, ContentLength } = await s3.send(command, { abortSignal: watch.signal });
    const bytes = Body as Readable | undefined;
    return { sizeBytes: ContentLength ?? null, bytes: bytes === undefined ? none() : bytes };
  } catch (error) {
    const { status, reason } = explain(error);
    if (reason === 'NoSuchKey') return 'absent';
    if (status === 416 || reason === 'InvalidRange') return 'past-end';
    throw error;
  }
}

async function* none(): ByteStream {}

async function stat(
  s3: S3Client,
  bucket: string,
  key: Key,
  watch: Watch,
): Promise<{ readonly sizeBytes: number; readonly createdAt: Date } | null> {
  try {
    const command = new HeadObjectCommand({ Bucket: bucket, Key: key });
    const { ContentLength, LastModified } = await s3.send(command, { abortSignal: watch.signal });
    return { sizeBytes: ContentLength ?? 0, createdAt: LastModified ?? new Date(Number.NaN) };
  } catch (error) {
    // The answer to a HEAD has no body, so it does not say what is absent.
    if (explain(error).status === 404) return null;
    throw error;
  }
}

async function page(
  s3: S3Client,
  bucket: string,
  { prefix, after, countMax, token }: PageRequest,
  watch: Watch,
): Promise<Page> {
  const command = new ListObjectsV2Command({
    Bucket: bucket,
    Prefix: prefix,
    MaxKeys: countMax,
    ...(after !== '' && { StartAfter: after }),
    ...(token !== null && { ContinuationToken: token }),
  });
  const listed = await s3.send(command, { abortSignal: watch.signal });
  return {
    objects: (listed.Contents ?? []).map(({ Key: name, Size, LastModified }) => ({
      name: name ?? '',
      sizeBytes: Size ?? 0,
      createdAt: LastModified ?? new Date(Number.NaN),
    })),
    token: listed.IsTruncated === true ? (listed.NextContinuationToken ?? null) : null,
  };
}

async function now(s3: S3Client, bucket: string, watch: Watch): Promise<Date> {
  const command = new HeadBucketCommand({ Bucket: bucket });
  let date = '';
  command.middlewareStack.add(
    (next) => async (args) => {
      const result = await next(args);
      const { headers } = result.response as { headers: Record<string, string> };
      date = headers['date'] ?? '';
      return result;
    },
    { step: 'deserialize', name: 'keepDate' },
  );
  try {
    await s3.send(command, { abortSignal: watch.signal });
  } catch (error) {
    if (explain(error).status !== 404) throw error;
    throw Object.assign(new Error('no such bucket', { cause: error }), { name: 'NoSuchBucket' });
  }
  return new Date(date);
}

/** Names of errors that say that no credentials were found, or that they cannot be renewed. */
const CREDENTIALS = /Credentials|TokenProvider|SSOToken/;

function explain(error: unknown): BucketFailure {
  if (!(error instanceof Error)) {
    return { status: null, reason: '', message: String(error), retryAfter: null };
  }
  const { name, message } = error;
  const code = (error as NodeJS.ErrnoException).code ?? '';
  if (name === 'NoSuchBucket') return { status: 404, reason: name, message, retryAfter: null };
  if (CREDENTIALS.test(name)) return { status: 401, reason: name, message, retryAfter: null };
  const response = (error as Partial<S3ServiceException>).$response;
  const isAnswer = response !== undefined && error instanceof S3ServiceException;
  return {
    status: response?.statusCode ?? null,
    reason: isAnswer ? name : code,
    message,
    retryAfter: response?.headers['retry-after'] ?? null,
  };
}
