/**
 * A store in a Google Cloud Storage bucket (`gs://bucket`), over the JSON API. Endpoint and credentials come from Google's
 * own chain (STORAGE_EMULATOR_HOST; application default credentials); an emulator is sent no credentials.
 */
import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { Storage } from '@google-cloud/storage';
import { Gaxios, GaxiosError, type GaxiosOptions, type GaxiosResponse } from 'gaxios';
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
import { crc32c, crc32cText } from './crc32c.ts';

export async function openGcsBackend(name: string, options: BucketOptions = {}): Promise<Backend> {
  const api = openApi(options.endpoint);
  const objects = `${api.endpoint}/storage/v1/b/${name}/o`;
  const client: BucketClient = {
    url: `gs://${name}`,
    loginHint:
      'Check who you are for Google: gcloud auth list; to log in: gcloud auth application-default login',
    newChecksum() {
      let crc = 0;
      return {
        update(bytes) {
          crc = crc32c(bytes, crc);
        },
        base64: () => crc32cText(crc),
      };
    },
    explain,
    create: (key, body, watch) =>
      create(api, `${api.endpoint}/upload/storage/v1/b/${name}/o`, key, body, watch),
    read: (key, range, watch) => read(api, urlOf(objects, key), range, watch),
    stat: (key, watch) => stat(api, urlOf(objects, key), watch),
    page: (request, watch) => page(api, objects, request, watch),
    async remove(key, watch) {
      await unlessAbsent(
        api.request({ url: urlOf(objects, key), method: 'DELETE', responseType: 'text' }, watch),
      );
    },
    now: (watch) => now(api, objects, watch),
  };
  return createBucketBackend(client, options);
}

interface Api {
  readonly endpoint: string;
  request<T>(options: GaxiosOptions & { url: string }, watch: Watch): Promise<GaxiosResponse<T>>;
}

/**
 * Endpoint and credentials are the SDK's; requests are made with its HTTP client, for those of the SDK itself cannot be
 * stopped, hide the Date of answers, and remove an object whose checksum they find wrong.
 */
function openApi(given: string | undefined): Api {
  const { apiEndpoint, customEndpoint, authClient } = new Storage(
    given === undefined ? {} : { apiEndpoint: given },
  );
  const http = new Gaxios();
  return {
    endpoint: apiEndpoint,
    async request(options, watch) {
      const credentials = customEndpoint ? new Headers() : await headersOf(authClient, options.url);
      for (const [field, value] of Object.entries(options.headers ?? {})) {
        credentials.set(field, String(value));
      }
      return http.request({
        ...options,
        headers: credentials,
        signal: watch.signal,
        retry: false,
        redirect: 'manual',
      });
    },
  };
}

async function headersOf(client: Storage['authClient'], url: string): Promise<Headers> {
  try {
    return new Headers(await client.getRequestHeaders(url));
  } catch (cause) {
    if (explain(cause).status === null && isNetwork(cause)) throw cause;
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new NoCredentials(message, { cause });
  }
}

class NoCredentials extends Error {}

const isNetwork = (error: unknown): boolean =>
  /^E(AI_AGAIN|NOTFOUND|CONN[A-Z]+|TIMEDOUT|[A-Z]+UNREACH|PIPE)$/.test(
    (error as NodeJS.ErrnoException).code ?? '',
  );

const urlOf = (objects: string, key: Key): string => `${objects}/${encodeURIComponent(key)}`;

async function create(
  api: Api,
  url: string,
  key: Key,
  body: ReadyBody,
  watch: Watch,
): Promise<boolean> {
  const description = JSON.stringify({
    name: key,
    crc32c: body.checksum,
    contentType: 'application/octet-stream',
  });
  // Random, or a file could be made that ends its own upload.
  const boundary = randomUUID();
  const head = Buffer.from(
    `--${boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n${description}\r\n--${boundary}\r\nContent-Type: application/octet-stream\r\n\r\n`,
  );
  const tail = Buffer.from(`\r\n--${boundary}--\r\n`);
  const data = Readable.from(wrapped(head, body.send(watch), tail), { objectMode: false });
  const options = {
    url,
    method: 'POST',
    params: { uploadType: 'multipart', ifGenerationMatch: '0', fields: 'size', name: key },
    headers: {
      'Content-Type': `multipart/related; boundary=${boundary}`,
      'Content-Length': String(head.length + body.sizeBytes + tail.length),
    },
    data,
    responseType: 'text',
  } as const;
  try {
    await ofBucket(api.request(options, watch));
    return true;
  } catch (error) {
    if (explain(error).status === 412) return false;
    throw error;
  } finally {
    // Or the source stays open where the answer came before its end.
    data.destroy();
  }
}

async function* wrapped(head: Uint8Array, bytes: ByteStream, tail: Uint8Array): ByteStream {
  yield head;
  yield* bytes;
  yield tail;
}

async function read(
  api: Api,
  url: string,
  range: ByteRange | null,
  watch: Watch,
): Promise<Reading> {
  const last = range?.end === undefined ? '' : range.end - 1;
  const options = {
    url,
    params: { alt: 'media' },
    headers: {
      'Accept-Encoding': 'identity',
      ...(range !== null && { Range: `bytes=${range.start}-${last}` }),
    },
    responseType: 'stream',
  } as const;
  try {
    const { data, headers } = await api.request<Readable>(options, watch);
    const length = headers.get('content-length');
    return { sizeBytes: length === null ? null : Number(length), bytes: data };
  } catch (error) {
    const { status, reason } = explain(error);
    if (status === 404 && reason !== 'NoSuchBucket') return 'absent';
    if (status === 416) return 'past-end';
    throw error;
  }
}

/** An object as the API describes it. */
interface Described {
  readonly name: string;
  readonly size: string;
  readonly timeCreated: string;
}

async function stat(
  api: Api,
  url: string,
  watch: Watch,
): Promise<{ readonly sizeBytes: number; readonly createdAt: Date } | null> {
  const params = { fields: 'size,timeCreated' };
  const found = await unlessAbsent(
    api.request<Described>({ url, params, responseType: 'json' }, watch),
  );
  return found === null ? null : infoOf(found.data);
}

const infoOf = ({ size, timeCreated }: Omit<Described, 'name'>) => ({
  sizeBytes: Number(size),
  createdAt: new Date(timeCreated),
});

async function page(
  api: Api,
  url: string,
  { prefix, after, countMax, token }: PageRequest,
  watch: Watch,
): Promise<Page> {
  const params = {
    prefix,
    maxResults: String(countMax),
    fields: 'items(name,size,timeCreated),nextPageToken',
    ...(after !== '' && { startOffset: after }),
    ...(token !== null && { pageToken: token }),
  };
  const { data } = await ofBucket(
    api.request<{
      readonly items?: readonly Described[];
      readonly nextPageToken?: string;
    }>({ url, params, responseType: 'json' }, watch),
  );
  return {
    objects: (data.items ?? []).map((item) => ({ name: item.name, ...infoOf(item) })),
    token: data.nextPageToken ?? null,
  };
}

/** Of a list of one: it needs no right that a store does not need anyway, and fails where the bucket is missing. */
async function now(api: Api, url: string, watch: Watch): Promise<Date> {
  const params = { maxResults: '1', fields: 'nextPageToken' };
  const { headers } = await ofBucket(api.request({ url, params, responseType: 'json' }, watch));
  return new Date(headers.get('date') ?? '');
}

/** Nothing but the bucket can be missing where objects are listed or made. */
async function ofBucket<T>(call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    if (explain(error).status !== 404) throw error;
    throw new NoBucket('no such bucket', { cause: error });
  }
}

class NoBucket extends Error {}

async function unlessAbsent<T>(call: Promise<T>): Promise<T | null> {
  try {
    return await call;
  } catch (error) {
    const { status, reason } = explain(error);
    if (status === 404 && reason !== 'NoSuchBucket') return null;
    throw error;
  }
}

interface ApiError {
  readonly message?: string;
  readonly errors?: readonly { readonly reason?: string }[];
}

function explain(error: unknown): BucketFailure {
  const message = error instanceof Error ? error.message : String(error);
  const silent = { message, retryAfter: null };
  if (error instanceof NoBucket) return { status: 404, reason: 'NoSuchBucket', ...silent };
  if (error instanceof NoCredentials) return { status: 401, reason: '', ...silent };
  const answer = error instanceof GaxiosError ? error.response : undefined;
  if (answer === undefined) {
    const code = (error as { readonly code?: unknown }).code;
    return { status: null, reason: typeof code === 'string' ? code : '', ...silent };
  }
  const told = apiErrorOf(answer.data);
  const words = told.message ?? message;
  const isBucket = answer.status === 404 && /bucket does not exist/i.test(words);
  return {
    status: answer.status,
    reason: isBucket ? 'NoSuchBucket' : (told.errors?.[0]?.reason ?? ''),
    message: words,
    retryAfter: answer.headers.get('retry-after'),
  };
}

/** The error in an answer's body, which is text where text or a stream was asked for. */
function apiErrorOf(body: unknown): ApiError {
  try {
    const parsed: unknown = typeof body === 'string' ? JSON.parse(body) : body;
    const { error } = parsed as { readonly error?: unknown };
    return typeof error === 'object' && error !== null ? error : { message: String(error) };
  } catch {
    return typeof body === 'string' ? { message: body } : {};
  }
}
