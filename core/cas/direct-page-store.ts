/** Tree pages straight on a backend. Promise: what `getPage` returns has the digest asked for; a stored page is never stored twice. */
import { collect } from '../bytes.ts';
import { type Digest, digestOf } from '../digest.ts';
import type { BlobReader } from './blob-reader.ts';
import {
  addReceipts,
  EMPTY_RECEIPT,
  type PageStore,
  type PutPagesOptions,
  type Receipt,
  treeGone,
} from './blob-store.ts';
import type { BlobWriter } from './blob-writer.ts';
import { type BoundedCache, createBoundedCache } from './bounded-cache.ts';
import type { Committer } from './committer.ts';
import { encodeFrame, FRAME_RAW_SIZE_MAX_BYTES } from './frame.ts';
import { RunBuilder } from './frame-handle.ts';
import type { SegmentIndex } from './segment-index.ts';
import { type RecordDraft, waitingBytes } from './segment-publisher.ts';

const PAGE_CACHE_SIZE_BYTES = 8 * 1024 * 1024;

export interface DirectPageStoreOptions {
  readonly reader: BlobReader;
  readonly writer: BlobWriter;
  readonly index: SegmentIndex;
  readonly committer: Committer;
}

export class DirectPageStore implements PageStore {
  readonly #options: DirectPageStoreOptions;
  readonly #cache: BoundedCache<Digest, Uint8Array>;

  constructor(options: DirectPageStoreOptions) {
    this.#options = options;
    this.#cache = createBoundedCache({
      budgetBytes: PAGE_CACHE_SIZE_BYTES,
      load: (digest) => collect(options.reader.read(digest, 'page'), FRAME_RAW_SIZE_MAX_BYTES),
      weigh: (page) => page.length,
    });
  }

  getPage(digest: Digest): Promise<Uint8Array> {
    return this.#cache.get(digest);
  }

  /** Whoever asks counts on them: a page that is stored stands for all that is below it. */
  async hasPages(digests: readonly Digest[]): Promise<ReadonlySet<Digest>> {
    const { index, writer } = this.#options;
    const counted = await writer.counted(await index.find(digests, 'page'));
    return new Set(counted.map(({ oid }) => oid));
  }

  async putPages(
    pages: readonly Uint8Array[],
    { keeps = null }: PutPagesOptions = {},
  ): Promise<Receipt> {
    const { index, writer } = this.#options;
    // Before anything is published: a root above pages that are gone would pass for a whole tree.
    if (keeps !== null && !(await this.hasPages([keeps])).has(keeps)) throw treeGone(keeps);
    const named = new Map(pages.map((page) => [digestOf(page), page]));
    // The pages of an edited tree are few and new but for a race, so no list call is spent on them.
    const found = await index[keeps === null ? 'find' : 'peek']([...named.keys()], 'page');
    for (const { oid } of await writer.counted(found)) named.delete(oid);
    return named.size === 0 ? EMPTY_RECEIPT : this.#store([...named]);
  }

  async #store(pages: readonly (readonly [Digest, Uint8Array])[]): Promise<Receipt> {
    const { packs, sink } = this.#options.writer.newSink();
    try {
      const records: RecordDraft[] = [];
      for (const [digest, payload] of pages) {
        const runs = new RunBuilder();
        runs.add(await sink.add(await encodeFrame({ kind: 'page', digest, payload })));
        records.push({ oid: digest, sizeBytes: payload.length, kind: 'page', runs });
      }
      const waiting = await sink.finish();
      const inlineBytes = waitingBytes(waiting);
      const cost = await this.#options.committer.commit({ records, waiting });
      // Pages are no files and no new bytes of anybody's data; what they take is told all the same.
      return addReceipts(EMPTY_RECEIPT, {
        ...EMPTY_RECEIPT,
        storedBytes: packs.storedBytes + inlineBytes + cost.overheadBytes - cost.sharedStoredBytes,
        packCount: packs.packCount + cost.packCount,
        requestCount: packs.packCount + cost.requestCount,
      });
    } finally {
      await packs.dispose();
    }
  }
}
