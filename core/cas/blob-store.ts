/** The BlobStore port: whole files in, whole files or ranges out. Programs are written against it and never see a chunk. */
import type { ByteRange } from '../backend/backend.ts';
import type { ByteStream } from '../bytes.ts';
import type { Digest } from '../digest.ts';
import { DatamonError } from '../errors.ts';

/** One file to store, announced by oid and size before its bytes are read. */
export interface BlobSource {
  readonly oid: Digest;
  readonly sizeBytes: number;
  /** The bytes from the first on. May be called again for a retry; a stream that cannot be reopened throws UNAVAILABLE then. */
  open(options?: OpenOptions): ByteStream;
  /** How messages name this file, usually its path in the work tree. */
  readonly label?: string;
  /** Oids of files this one probably resembles, best first: the previous version at the same path. A hint, never trusted. */
  readonly basis?: readonly Digest[];
}

export interface OpenOptions {
  /** The reader is done with each buffer when it asks for the next one, so that its memory may be used again. Default: buffers are the reader's. */
  readonly buffers?: 'lent' | 'given';
  /**
   * Memory of the reader in which the next bytes may be put, asked for anew each time: what is yielded is then a view of its beginning. For
   * lent buffers; a source that has its bytes elsewhere need not care.
   */
  readonly room?: () => Uint8Array;
}

/** What storing cost. All sizes in bytes. */
export interface Receipt {
  /** Files asked to be stored. */
  readonly fileCount: number;
  /** Their sizes in sum. */
  readonly logicalBytes: number;
  /** Of these, bytes (uncompressed) of chunks that were not in the repo before. 0 means nothing was new. */
  readonly newBytes: number;
  /** Of the new bytes, those that an interrupted put of this client had stored already: they were not sent again. */
  readonly resumedBytes: number;
  /** What the store grew by: new chunks compressed and framed, plus records and recipes. */
  readonly storedBytes: number;
  /** Packs written. */
  readonly packCount: number;
  /** Requests made to the backend or the server. */
  readonly requestCount: number;
}

export const EMPTY_RECEIPT: Receipt = {
  fileCount: 0,
  logicalBytes: 0,
  newBytes: 0,
  resumedBytes: 0,
  storedBytes: 0,
  packCount: 0,
  requestCount: 0,
};

export function addReceipts(a: Receipt, b: Receipt): Receipt {
  return {
    fileCount: a.fileCount + b.fileCount,
    logicalBytes: a.logicalBytes + b.logicalBytes,
    newBytes: a.newBytes + b.newBytes,
    resumedBytes: a.resumedBytes + b.resumedBytes,
    storedBytes: a.storedBytes + b.storedBytes,
    packCount: a.packCount + b.packCount,
    requestCount: a.requestCount + b.requestCount,
  };
}

/** Share of `bytes` that was not new, in whole percent rounded down; 100 only where nothing was new. */
export function reusedPercent(bytes: number, newBytes: number): number {
  if (newBytes <= 0) return 100;
  if (bytes <= 0) return 0;
  return Math.max(0, Math.min(99, Math.floor(((bytes - newBytes) * 100) / bytes)));
}

export interface PutOptions {
  /** Bytes of this file that need no more reading, ever growing; the last call equals its size. */
  readonly onProgress?: (oid: Digest, doneBytes: number) => void;
  /** Stops the work: CANCELLED, nothing is published. */
  readonly signal?: AbortSignal;
  /**
   * What to do where the same file is being stored at this moment: wait for the other one (the default), or store this one too.
   * A server takes the latter: the other client may have stalled, and this one's bytes come once only.
   */
  readonly meanwhile?: 'wait' | 'store-too';
}

/** How one file of `putMany` fared. One failed file fails no other. */
export type PutOutcome =
  | { readonly oid: Digest; readonly receipt: Receipt }
  | { readonly oid: Digest; readonly error: DatamonError };

export interface HasOptions {
  /**
   * How a file counts that leans on a pack which is gone or was read damaged: as absent, so that it is sent again (the default); or
   * as listed, for who wants to read it: most files of such a pack still read, and for the others the read says what is wrong.
   */
  readonly broken?: 'absent' | 'listed';
}

/** Blobs of one repo, each named by the SHA-256 of its bytes. */
export interface BlobStore {
  /**
   * Stores one file. Resolves only when its bytes are durable, hash to `oid` and are recorded (promise A1).
   * MISMATCH when the bytes read are not the ones announced (nothing is recorded); NO_SPACE, UNAVAILABLE, FORBIDDEN.
   */
  put(source: BlobSource, options?: PutOptions): Promise<Receipt>;
  /** Stores many, small ones packed together, a bounded number in flight. Each outcome is yielded once that file is durable, in any order. */
  putMany(
    sources: Iterable<BlobSource> | AsyncIterable<BlobSource>,
    options?: PutOptions,
  ): AsyncIterable<PutOutcome>;
  /**
   * The bytes, each frame verified before it is passed on; without a range the whole, too, at its end. NOT_FOUND; CORRUPT, after at most the
   * bytes before the damage.
   */
  get(oid: Digest, range?: ByteRange): ByteStream;
  /** Sizes in bytes of those that this repo holds, verified. Asks the store before it says that one is absent. */
  has(oids: readonly Digest[], options?: HasOptions): Promise<ReadonlyMap<Digest, number>>;
}

export interface PutPagesOptions {
  readonly keeps?: Digest | null;
}

/** Of `keeps`: nothing was stored. */
export const treeGone = (tree: Digest): DatamonError =>
  new DatamonError('INCOMPLETE', `the tree ${tree} is not stored any more`, {
    hint: 'Record the commit again with all its files: datamon record',
  });

/** Pages of bundle trees, named by the digest of their plain bytes. Kept apart from blobs: no page is ever served as an LFS object. */
export interface PageStore {
  /** NOT_FOUND; CORRUPT. */
  getPage(digest: Digest): Promise<Uint8Array>;
  /** Those of `digests` that are stored. */
  hasPages(digests: readonly Digest[]): Promise<ReadonlySet<Digest>>;
  /**
   * Stores pages, children before parents or together; durable when resolved. `keeps`: a tree whose pages these ones list too;
   * INCOMPLETE where its root is not stored, as nothing below a stored page is asked for.
   */
  putPages(pages: readonly Uint8Array[], options?: PutPagesOptions): Promise<Receipt>;
}
