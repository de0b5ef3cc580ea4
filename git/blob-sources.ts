/** Bytes of a bundle's files on this machine, and their way into a store: each oid once, previous versions named as basis. */
import { setImmediate as turn } from 'node:timers/promises';
import type { BlobSource, BlobStore, PutOptions, Receipt } from '../core/cas/blob-store.ts';
import type { Digest } from '../core/digest.ts';
import { type DatamonError, hasCode } from '../core/errors.ts';
import type { RawPath } from '../core/meta/model.ts';
import { displayPath } from '../core/meta/raw-path.ts';
import { TRUE_OBJECTS } from './commit.ts';
import type { Git } from './git.ts';
import { type LfsStore, readLfsObject } from './lfs-store.ts';

/** Files looked for before signals are heard again. */
const LOOKED_FOR_AT_ONCE = 256;

/** A file that a store should hold. */
export interface WantedBlob {
  readonly oid: Digest;
  readonly sizeBytes: number;
  readonly path: RawPath;
  readonly basis: readonly Digest[];
}

export interface BlobPlaces {
  readonly git: Git;
  readonly lfs: LfsStore;
  /** Git blobs by the digest of their bytes. */
  readonly gitBlobs: ReadonlyMap<Digest, string>;
}

/** The wanted files that are on this machine, as sources; and those that are not. */
export async function findSources(
  places: BlobPlaces,
  wanted: readonly WantedBlob[],
): Promise<{ readonly sources: readonly BlobSource[]; readonly absent: readonly WantedBlob[] }> {
  const sources: BlobSource[] = [];
  const absent: WantedBlob[] = [];
  for (const [index, blob] of wanted.entries()) {
    if (index % LOOKED_FOR_AT_ONCE === LOOKED_FOR_AT_ONCE - 1) await turn();
    const open = opener(places, blob);
    if (open === null) absent.push(blob);
    else {
      const { oid, sizeBytes, basis } = blob;
      sources.push({ oid, sizeBytes, basis, label: displayPath(blob.path), open });
    }
  }
  return { sources, absent };
}

function opener(places: BlobPlaces, { oid, sizeBytes }: WantedBlob): BlobSource['open'] | null {
  const file = places.lfs.find(oid, sizeBytes);
  if (file !== null) return (options) => readLfsObject(file, oid, options);
  const sha = places.gitBlobs.get(oid);
  if (sha === undefined) return null;
  return () => places.git.stream(['cat-file', 'blob', sha], { env: TRUE_OBJECTS });
}

export interface Uploaded {
  /** What each stored file cost. */
  readonly receipts: ReadonlyMap<Digest, Receipt>;
  readonly failed: readonly { readonly oid: Digest; readonly error: DatamonError }[];
}

/** Stores all sources in one pass. CANCELLED where stopped; other failures are told per file. */
export async function uploadSources(
  blobs: BlobStore,
  sources: readonly BlobSource[],
  options: PutOptions,
): Promise<Uploaded> {
  const receipts = new Map<Digest, Receipt>();
  const failed: { oid: Digest; error: DatamonError }[] = [];
  for await (const outcome of blobs.putMany(sources, options)) {
    if ('receipt' in outcome) receipts.set(outcome.oid, outcome.receipt);
    else if (hasCode(outcome.error, 'CANCELLED')) throw outcome.error;
    else failed.push({ oid: outcome.oid, error: outcome.error });
  }
  return { receipts, failed };
}
