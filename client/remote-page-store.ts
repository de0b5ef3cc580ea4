/** `PageStore` over the API. Promise: a page is the bytes its digest names, or CORRUPT. */
import { collect } from '../core/bytes.ts';
import {
  EMPTY_RECEIPT,
  type PageStore,
  type PutPagesOptions,
  type Receipt,
  treeGone,
} from '../core/cas/blob-store.ts';
import {
  encodeFrame,
  FRAME_HEADER_SIZE_BYTES,
  FRAME_RAW_SIZE_MAX_BYTES,
} from '../core/cas/frame.ts';
import { KeptPages } from '../core/cas/kept-pages.ts';
import { type Digest, digestOf, parseDigest } from '../core/digest.ts';
import { DatamonError } from '../core/errors.ts';
import { API_OIDS_COUNT_MAX, parseRecordAnswer } from '../core/meta/api-wire.ts';
import { digest, listOf, record } from '../core/shape.ts';
import { PackSender } from './pack-sender.ts';
import type { RemoteStoreOptions } from './remote-blob-store.ts';
import type { RepoClient } from './repo-client.ts';

const parsePagesHas = record<{ have: readonly Digest[] }>({ have: listOf(digest) });

export class RemotePageStore implements PageStore {
  readonly #repo: RepoClient;
  readonly #options: RemoteStoreOptions;
  /** What the last `hasPages` did not find: whoever asked is about to put it, and need not ask twice. */
  #absent = new Set<Digest>();
  readonly #kept = new KeptPages();

  constructor(repo: RepoClient, options: RemoteStoreOptions) {
    this.#repo = repo;
    this.#options = options;
  }

  async getPage(page: Digest): Promise<Uint8Array> {
    const kept = this.#kept.get(page);
    if (kept !== null) return kept;
    const url = this.#repo.url(`/pages/${parseDigest(page)}`);
    const bytes = await this.#repo.api.read({ method: 'GET', url }, (answer) =>
      collect(answer.body, FRAME_RAW_SIZE_MAX_BYTES),
    );
    const actual = digestOf(bytes);
    if (actual === page) return bytes;
    throw new DatamonError('CORRUPT', `the server sent page ${actual} for ${page}`, {
      hint: 'Tell the operator to run: datamon fsck',
    });
  }

  async hasPages(digests: readonly Digest[]): Promise<ReadonlySet<Digest>> {
    const have = new Set<Digest>();
    for (let start = 0; start < digests.length; start += API_OIDS_COUNT_MAX) {
      const json = { digests: digests.slice(start, start + API_OIDS_COUNT_MAX) };
      const call = { method: 'POST', path: '/pages/has', json } as const;
      for (const page of (await this.#repo.send(call, parsePagesHas)).have) have.add(page);
    }
    this.#absent = new Set(digests.filter((page) => !have.has(page)));
    return have;
  }

  async putPages(
    pages: readonly Uint8Array[],
    { keeps = null }: PutPagesOptions = {},
  ): Promise<Receipt> {
    const requestsBefore = this.#repo.api.requestCount;
    const byDigest = new Map(pages.map((page) => [digestOf(page), page]));
    const absent = this.#absent;
    const unasked = [...byDigest.keys()].filter((page) => !absent.has(page));
    if (keeps !== null) unasked.push(keeps);
    const have = unasked.length > 0 ? await this.hasPages(unasked) : new Set<Digest>();
    if (keeps !== null && !have.has(keeps)) throw treeGone(keeps);
    for (const page of have) byDigest.delete(page);
    let receipt = EMPTY_RECEIPT;
    if (byDigest.size > 0) receipt = await this.#send(byDigest);
    for (const [page, bytes] of byDigest) {
      this.#absent.delete(page);
      this.#kept.keep(page, bytes);
    }
    const requestCount = this.#repo.api.requestCount - requestsBefore;
    return { ...receipt, logicalBytes: sumOf(pages), requestCount };
  }

  async #send(pages: ReadonlyMap<Digest, Uint8Array>): Promise<Receipt> {
    const { signal } = new AbortController();
    const sender = new PackSender({ ...this.#options, repo: this.#repo, signal });
    let storedBytes = 0;
    try {
      const packs = new Set<Promise<string>>();
      for (const [page, payload] of pages) {
        const frame = await encodeFrame({ kind: 'page', digest: page, payload });
        storedBytes += FRAME_HEADER_SIZE_BYTES + frame.storedLength;
        packs.add((await sender.add(frame, () => undefined)).ticket);
      }
      await sender.seal();
      await this.#record(await Promise.all(packs), [...pages.keys()]);
      const { packCount } = sender;
      return { ...EMPTY_RECEIPT, newBytes: sumOf(pages.values()), storedBytes, packCount };
    } finally {
      await sender.close();
    }
  }

  async #record(packs: readonly string[], pages: readonly Digest[]): Promise<void> {
    const json = { packs, blobs: [], pages };
    const call = { method: 'POST', path: '/objects', json } as const;
    const { failed, missing } = await this.#repo.send(call, parseRecordAnswer);
    const [failure] = failed;
    if (failure !== undefined) {
      throw new DatamonError(failure.code, `page ${failure.oid}: ${failure.message}`);
    }
    if (missing.length > 0) {
      throw new DatamonError('INCOMPLETE', `the server misses ${missing.length} tree pages`, {
        hint: 'Run the push again; if this stays, run: datamon doctor',
      });
    }
  }
}

function sumOf(pages: Iterable<Uint8Array>): number {
  let sum = 0;
  for (const page of pages) sum += page.length;
  return sum;
}
