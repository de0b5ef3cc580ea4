/** `BlobStore` over the API. */
import type { ByteRange } from '../core/backend/backend.ts';
import type { ByteStream } from '../core/bytes.ts';
import type {
  BlobSource,
  BlobStore,
  PutOptions,
  PutOutcome,
  Receipt,
} from '../core/cas/blob-store.ts';
import { inParallel } from '../core/cas/concurrency.ts';
import type { UploadJournal } from '../core/cas/upload-journal.ts';
import { type Digest, parseDigest } from '../core/digest.ts';
import { DatamonError } from '../core/errors.ts';
import { isFast } from '../core/fast-paths.ts';
import { API_OIDS_COUNT_MAX, parseHasAnswer } from '../core/meta/api-wire.ts';
import type { Random } from '../core/random.ts';
import { download } from './download.ts';
import { OutcomeQueue } from './outcome-queue.ts';
import { PackPace } from './pack-sender.ts';
import type { RepoClient } from './repo-client.ts';
import { UploadRun } from './upload-run.ts';

const QUESTIONS_AT_A_TIME = 4;
/** Remembered ones; what is forgotten is asked about again. */
const ABSENT_COUNT_MAX = 200_000;

export interface RemoteStoreOptions {
  readonly spoolDir: string;
  readonly random: Random;
  /** Where packs end; tests choose it small. */
  readonly packSizeMaxBytes?: number;
  /** Remembers packs over interruptions; without one an interrupted put begins anew. */
  readonly journal?: UploadJournal;
}

export class RemoteBlobStore implements BlobStore {
  readonly #repo: RepoClient;
  readonly #options: RemoteStoreOptions;
  /** Shared by all puts: the agent makes one for each object. */
  readonly #pace = new PackPace();
  /** What `has` did not find: whoever asked is about to put it. Stored by somebody else meanwhile, it is sent for nothing. */
  readonly #absent = new Set<Digest>();

  constructor(repo: RepoClient, options: RemoteStoreOptions) {
    this.#repo = repo;
    this.#options = options;
  }

  async put(source: BlobSource, options: PutOptions = {}): Promise<Receipt> {
    for await (const outcome of this.putMany([source], options)) {
      if ('error' in outcome) throw outcome.error;
      return outcome.receipt;
    }
    throw new DatamonError('UNAVAILABLE', `nothing was said about ${source.oid}`);
  }

  async *putMany(
    sources: Iterable<BlobSource> | AsyncIterable<BlobSource>,
    options: PutOptions = {},
  ): AsyncIterable<PutOutcome> {
    const stop = new AbortController();
    const signal = options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal;
    const outcomes = new OutcomeQueue();
    const work = this.#upload(sources, { ...options, signal }, outcomes).then(
      () => outcomes.end(),
      (error) => outcomes.end(error),
    );
    try {
      yield* outcomes;
    } finally {
      stop.abort();
      await work;
    }
  }

  async #upload(
    sources: Iterable<BlobSource> | AsyncIterable<BlobSource>,
    options: PutOptions & { readonly signal: AbortSignal },
    outcomes: OutcomeQueue,
  ): Promise<void> {
    const { signal } = options;
    const run = new UploadRun({
      ...this.#options,
      repo: this.#repo,
      journal: this.#options.journal ?? null,
      pace: this.#pace,
      pool: () => this.#repo.pool(),
      has: (oids) => this.#hasStill(oids, signal),
      onProgress: options.onProgress,
      onOutcome: (outcome) => outcomes.push(outcome),
      signal,
    });
    await run.run(sources);
  }

  get(oid: Digest, range?: ByteRange): ByteStream {
    return download(this.#repo, parseDigest(oid), range);
  }

  async has(oids: readonly Digest[]): Promise<ReadonlyMap<Digest, number>> {
    const sizes = await this.#has(oids);
    if (this.#absent.size + oids.length > ABSENT_COUNT_MAX) this.#absent.clear();
    for (const oid of oids) {
      if (sizes.has(oid)) this.#absent.delete(oid);
      else this.#absent.add(oid);
    }
    return sizes;
  }

  /** As `has`, without asking again, once, about what it did not find. */
  async #hasStill(
    oids: readonly Digest[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<Digest, number>> {
    if (!isFast('ask-once')) return await this.#has(oids, signal);
    return await this.#has(
      oids.filter((oid) => !this.#absent.delete(oid)),
      signal,
    );
  }

  async #has(oids: readonly Digest[], signal?: AbortSignal): Promise<ReadonlyMap<Digest, number>> {
    const sizes = new Map<Digest, number>();
    await inParallel(slices(oids, API_OIDS_COUNT_MAX), QUESTIONS_AT_A_TIME, async (asked) => {
      const json = { oids: asked };
      const { objects } = await this.#repo.send(
        { method: 'POST', path: '/objects/has', json, signal },
        parseHasAnswer,
      );
      for (const { oid, size } of objects) sizes.set(oid, size);
    });
    return sizes;
  }
}

function slices<T>(all: readonly T[], countMax: number): readonly (readonly T[])[] {
  const count = Math.ceil(all.length / countMax);
  return Array.from({ length: count }, (_, index) =>
    all.slice(index * countMax, (index + 1) * countMax),
  );
}
