/**
 * A store in a bucket, whichever cloud's. Invariants: an object is one conditional PUT with its checksum, so it is there
 * whole or not at all and nothing is overwritten; every request ends (bucket-watch.ts); a request is made once, trying
 * again is the retrying decorator's.
 *
 * A put whose acknowledgement was lost is answered by `created: false` when it is tried again.
 */
import type { Backend, Body, ByteRange, ObjectInfo } from '../core/backend/backend.ts';
import { checkRange, resolveRange } from '../core/backend/range.ts';
import type { ByteStream } from '../core/bytes.ts';
import { DatamonError } from '../core/errors.ts';
import { type Key, parseKey } from '../core/keys.ts';
import { type Checksum, type ReadyBody, readyBody } from './bucket-body.ts';
import { type BucketFailure, bucketError } from './bucket-errors.ts';
import {
  type BucketPatience,
  DEFAULT_BUCKET_PATIENCE,
  openWatch,
  type Watch,
} from './bucket-watch.ts';

/** Most lists want the newest entry of a log. */
const FIRST_PAGE_COUNT = 32;
const PAGE_COUNT_MAX = 1000;
/** Whole segments that do not begin with a dot, and perhaps a part of one. */
const KEY_BEGINNING =
  /^(?:[a-z0-9_~=%A-F-][a-z0-9._~=%A-F-]*\/)*(?:[a-z0-9_~=%A-F-][a-z0-9._~=%A-F-]*)?$/;

export interface PageRequest {
  readonly prefix: string;
  /** Names after this one; the name itself may come, too. */
  readonly after: string;
  readonly countMax: number;
  /** As the page before gave it. */
  readonly token: string | null;
}

export interface Page {
  readonly objects: readonly (Omit<ObjectInfo, 'key'> & { readonly name: string })[];
  /** Null on the last page. */
  readonly token: string | null;
}

/** `absent`, `past-end` (of the object, of a range's start), or its bytes and how many will come. */
export type Reading =
  | 'absent'
  | 'past-end'
  | { readonly sizeBytes: number | null; readonly bytes: ByteStream };

/** One cloud's requests; each is made once, fails with its SDK's error, and stops when the watch says so. */
export interface BucketClient {
  /** `gs://bucket`, `s3://bucket`. */
  readonly url: string;
  readonly loginHint: string;
  newChecksum(): Checksum;
  explain(error: unknown): BucketFailure;
  /** Whether the object was created; false where one was there. */
  create(key: Key, body: ReadyBody, watch: Watch): Promise<boolean>;
  read(key: Key, range: ByteRange | null, watch: Watch): Promise<Reading>;
  stat(key: Key, watch: Watch): Promise<Omit<ObjectInfo, 'key'> | null>;
  page(request: PageRequest, watch: Watch): Promise<Page>;
  remove(key: Key, watch: Watch): Promise<void>;
  /** The Date of an answer; fails where the bucket is missing. */
  now(watch: Watch): Promise<Date>;
}

export interface BucketOptions {
  readonly patience?: BucketPatience;
  /** Where the API is. Default: as the cloud's own settings say. */
  readonly endpoint?: string;
}

export function createBucketBackend(client: BucketClient, options: BucketOptions = {}): Backend {
  const bucket: Bucket = {
    client,
    patience: options.patience ?? DEFAULT_BUCKET_PATIENCE,
    isKnown: false,
  };
  return {
    url: client.url,
    putIfAbsent: (key, body) => put(bucket, key, body),
    get: (key, range) => read(bucket, key, range),
    stat: (key) => stat(bucket, key),
    list: (prefix, after = '') => list(bucket, prefix, after),
    remove: async (key) => {
      parseKey(key);
      await request(bucket, `cannot remove ${client.url}/${key}`, (watch) =>
        client.remove(key, watch),
      );
    },
    now: () => now(bucket),
  };
}

interface Bucket {
  readonly client: BucketClient;
  readonly patience: BucketPatience;
  /** A request succeeded, so what is absent is an object and not the bucket. */
  isKnown: boolean;
}

async function request<T>(
  bucket: Bucket,
  doing: string,
  call: (watch: Watch) => Promise<T>,
): Promise<T> {
  const { stallMs, requestMs } = bucket.patience;
  const watch = openWatch(doing, stallMs, requestMs);
  try {
    return await watch.within(call(watch));
  } catch (error) {
    throw explained(bucket, doing, error);
  } finally {
    watch.close();
  }
}

function explained({ client }: Bucket, doing: string, error: unknown): DatamonError {
  if (error instanceof DatamonError) return error;
  const { loginHint } = client;
  return bucketError(client.explain(error), { doing, loginHint, cause: error });
}

async function put(bucket: Bucket, key: Key, body: Body): Promise<{ created: boolean }> {
  parseKey(key);
  const { client } = bucket;
  const ready = await readyBody(key, body, () => client.newChecksum());
  try {
    const created = await request(bucket, `cannot store ${client.url}/${key}`, (watch) =>
      client.create(key, ready, watch),
    );
    return { created };
  } catch (error) {
    const source = ready.failure();
    if (source !== null) throw source.error;
    if (ready.held === null && (await isThere(bucket, key, ready))) return { created: false };
    throw error;
  }
}

/**
 * A store that has the object may answer before a large body is sent, and hang up: the answer is then lost on every try.
 * A look costs less than sending a pack again.
 */
async function isThere(bucket: Bucket, key: Key, body: ReadyBody): Promise<boolean> {
  const found = await stat(bucket, key).catch(() => null);
  return found?.sizeBytes === body.sizeBytes;
}

async function stat(bucket: Bucket, key: Key): Promise<ObjectInfo | null> {
  parseKey(key);
  const { client } = bucket;
  const found = await request(bucket, `cannot look at ${client.url}/${key}`, (watch) =>
    client.stat(key, watch),
  );
  if (found !== null) return { ...found, key };
  await requireBucket(bucket);
  return null;
}

async function* read(bucket: Bucket, key: Key, range: ByteRange | undefined): ByteStream {
  parseKey(key);
  checkRange(range, key);
  const { client, patience } = bucket;
  // No request asks for no bytes.
  if (range !== undefined && range.end === range.start)
    return await readNothing(bucket, key, range);
  const doing = `cannot read ${client.url}/${key}`;
  const watch = openWatch(doing, patience.stallMs);
  try {
    const isWhole = range === undefined || (range.start === 0 && range.end === undefined);
    const reading = await watch.within(client.read(key, isWhole ? null : range, watch));
    if (reading === 'past-end') return await readNothing(bucket, key, range);
    if (reading === 'absent') return await refuseAbsent(bucket, key);
    yield* received(reading, doing, watch);
  } catch (error) {
    throw explained(bucket, doing, error);
  } finally {
    watch.close();
  }
}

async function* received(
  reading: Exclude<Reading, string>,
  doing: string,
  watch: Watch,
): ByteStream {
  const { sizeBytes, bytes } = reading;
  const iterator = bytes[Symbol.asyncIterator]();
  let receivedBytes = 0;
  for (;;) {
    watch.progress();
    const next = await watch.within(iterator.next());
    // The reader's time is not the store's.
    watch.pause();
    if (next.done === true) break;
    receivedBytes += next.value.length;
    yield next.value;
  }
  if (sizeBytes !== null && receivedBytes < sizeBytes) {
    throw new DatamonError(
      'UNAVAILABLE',
      `${doing}: ${receivedBytes} of ${sizeBytes} bytes came, then the connection ended`,
    );
  }
}

/** Nothing comes of this range of the object; INVALID where it starts past the end. */
async function readNothing(bucket: Bucket, key: Key, range: ByteRange | undefined): Promise<void> {
  const found = await stat(bucket, key);
  if (found === null) return refuseAbsent(bucket, key);
  resolveRange(range, found.sizeBytes, key);
}

async function refuseAbsent(bucket: Bucket, key: Key): Promise<never> {
  await requireBucket(bucket);
  throw new DatamonError('NOT_FOUND', `${key} is not in the store`);
}

/** A missing bucket must not pass for a missing object: who reads would take a wrong URL for an empty store. */
async function requireBucket(bucket: Bucket): Promise<void> {
  if (!bucket.isKnown) await now(bucket);
}

async function now(bucket: Bucket): Promise<Date> {
  const { client } = bucket;
  const date = await request(bucket, `cannot ask ${client.url} for the time`, (watch) =>
    client.now(watch),
  );
  bucket.isKnown = true;
  if (!Number.isNaN(date.getTime())) return date;
  throw new DatamonError('UNSUPPORTED', `${client.url} tells no time: its answers have no Date`);
}

async function* list(bucket: Bucket, prefix: string, after: string): AsyncIterable<ObjectInfo> {
  // Some servers refuse to look for what no key can begin with.
  if (!KEY_BEGINNING.test(prefix)) return;
  const { client } = bucket;
  let last = after;
  let token: string | null = null;
  let countMax = FIRST_PAGE_COUNT;
  do {
    const asked: PageRequest = { prefix, after, countMax, token };
    const page = await request(bucket, `cannot list ${client.url}/${prefix}`, (watch) =>
      client.page(asked, watch),
    );
    bucket.isKnown = true;
    for (const { name, sizeBytes, createdAt } of page.objects) {
      // What has no key's name is none of ours and is passed over.
      if (name === last || !isKey(name)) continue;
      if (name < last) throw outOfOrder(client, name, last);
      last = name;
      yield { key: name, sizeBytes, createdAt };
    }
    token = page.token;
    countMax = PAGE_COUNT_MAX;
  } while (token !== null);
}

function isKey(name: string): name is Key {
  try {
    parseKey(name);
    return true;
  } catch {
    return false;
  }
}

const outOfOrder = ({ url }: BucketClient, name: string, last: string): DatamonError =>
  new DatamonError('UNSUPPORTED', `${url} lists out of order: ${name} came after ${last}`, {
    hint: 'datamon needs a store that lists by name. An S3 directory bucket does not: use a general purpose bucket.',
  });
