/** Page and blob stores over a Map, for tests of what stands above them. They count what they are asked. */

import { collect } from '../../core/bytes.ts';
import { type BlobStore, EMPTY_RECEIPT, type PageStore } from '../../core/cas/blob-store.ts';
import { type Digest, digestOf } from '../../core/digest.ts';
import { DatamonError } from '../../core/errors.ts';

export interface FakePageStore extends PageStore {
  readonly stored: Map<Digest, Uint8Array>;
  /** Digests of every `getPage`, in order. */
  readonly reads: Digest[];
  /** Sizes of every `hasPages` call. */
  readonly asked: number[];
}

export function createFakePages(): FakePageStore {
  const stored = new Map<Digest, Uint8Array>();
  const reads: Digest[] = [];
  const asked: number[] = [];
  return {
    stored,
    reads,
    asked,
    async getPage(digest) {
      reads.push(digest);
      const page = stored.get(digest);
      if (page === undefined) throw new DatamonError('NOT_FOUND', `no page ${digest}`);
      return page;
    },
    async hasPages(digests) {
      asked.push(digests.length);
      return new Set(digests.filter((digest) => stored.has(digest)));
    },
    async putPages(pages, { keeps = null } = {}) {
      if (keeps !== null && !stored.has(keeps)) throw new DatamonError('INCOMPLETE', `no ${keeps}`);
      for (const page of pages) stored.set(digestOf(page), page);
      return { ...EMPTY_RECEIPT, requestCount: 1 };
    },
  };
}

/** Blobs put once are had; reading ranges is not offered. */
export function createFakeBlobs(): BlobStore & { readonly stored: Map<Digest, Buffer> } {
  const stored = new Map<Digest, Buffer>();
  const put: BlobStore['put'] = async (source) => {
    const bytes = await collect(source.open(), source.sizeBytes);
    if (digestOf(bytes) !== source.oid) throw new DatamonError('MISMATCH', `not ${source.oid}`);
    stored.set(source.oid, bytes);
    return { ...EMPTY_RECEIPT, fileCount: 1, logicalBytes: bytes.length, newBytes: bytes.length };
  };
  return {
    stored,
    put,
    async *putMany(sources) {
      for await (const source of sources) yield { oid: source.oid, receipt: await put(source) };
    },
    async *get(oid) {
      const bytes = stored.get(oid);
      if (bytes === undefined) throw new DatamonError('NOT_FOUND', `no blob ${oid}`);
      yield bytes;
    },
    async has(oids) {
      return new Map(
        oids.flatMap((oid) => {
          const bytes = stored.get(oid);
          return bytes === undefined ? [] : [[oid, bytes.length] as const];
        }),
      );
    },
  };
}
