/** Counts what goes through to a backend, for receipts and for tests that hold a promise about cost. */
import type { ByteStream } from '../bytes.ts';
import type { Backend, Body } from './backend.ts';
import { passReplicated } from './healing.ts';

/** A list counts once, however many keys it yields; a failed request counts too. */
export interface BackendCounts {
  readonly requestCount: number;
  readonly putCount: number;
  readonly getCount: number;
  readonly statCount: number;
  readonly listCount: number;
  readonly removeCount: number;
  /** Questions for the time. */
  readonly nowCount: number;
  /** Objects that a put created. */
  readonly createdCount: number;
  /** Their sizes in sum: what the store grew by. */
  readonly createdBytes: number;
  /** Bytes read from bodies, also for puts that failed or found the object there. */
  readonly sentBytes: number;
  /** Bytes of objects passed on to readers. */
  readonly receivedBytes: number;
}

export interface MeteredBackend {
  readonly backend: Backend;
  /** Since this meter was made. */
  counts(): BackendCounts;
}

type Counts = { -readonly [K in keyof BackendCounts]: BackendCounts[K] };
type Verb = 'put' | 'get' | 'stat' | 'list' | 'remove' | 'now';

export function createMeteredBackend(backend: Backend): MeteredBackend {
  const counts = noCounts();
  const count = (verb: Verb): void => {
    counts.requestCount += 1;
    counts[`${verb}Count`] += 1;
  };
  const metered: Backend = {
    url: backend.url,
    async putIfAbsent(key, body) {
      count('put');
      const outcome = await backend.putIfAbsent(key, countedBody(body, counts));
      if (outcome.created) {
        counts.createdCount += 1;
        counts.createdBytes += body.sizeBytes;
      }
      return outcome;
    },
    async *get(key, range) {
      count('get');
      for await (const bytes of backend.get(key, range)) {
        counts.receivedBytes += bytes.length;
        yield bytes;
      }
    },
    stat(key) {
      count('stat');
      return backend.stat(key);
    },
    async *list(prefix, after) {
      count('list');
      yield* backend.list(prefix, after);
    },
    remove(key) {
      count('remove');
      return backend.remove(key);
    },
    now() {
      count('now');
      return backend.now();
    },
  };
  return { backend: passReplicated(backend, metered), counts: () => ({ ...counts }) };
}

function countedBody(body: Body, counts: Counts): Body {
  return {
    sizeBytes: body.sizeBytes,
    async *open(): ByteStream {
      for await (const bytes of body.open()) {
        counts.sentBytes += bytes.length;
        yield bytes;
      }
    },
  };
}

function noCounts(): Counts {
  return {
    requestCount: 0,
    putCount: 0,
    getCount: 0,
    statCount: 0,
    listCount: 0,
    removeCount: 0,
    nowCount: 0,
    createdCount: 0,
    createdBytes: 0,
    sentBytes: 0,
    receivedBytes: 0,
  };
}
