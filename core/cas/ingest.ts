/**
 * The Ingest port: what a server needs to let others write into a repo by packs and recipes, and to hand out many files at once.
 * Nothing a client says is believed unread.
 */
import type { ByteStream } from '../bytes.ts';
import type { Digest } from '../digest.ts';
import type { DatamonError } from '../errors.ts';
import type { ContainerId } from '../keys.ts';
import type { Receipt } from './blob-store.ts';
import type { PackOffer } from './pack-proof.ts';

export interface RecipeChunk {
  readonly digest: Digest;
  readonly sizeBytes: number;
}

/** A blob as its chunks, in order. */
export interface Recipe {
  readonly oid: Digest;
  readonly sizeBytes: number;
  readonly chunks: readonly RecipeChunk[];
}

export interface AcceptedPack {
  readonly id: ContainerId;
  readonly frameCount: number;
  readonly sizeBytes: number;
}

export interface RecipeClaim {
  readonly oid: Digest;
  readonly sizeBytes: number;
  readonly chunks: readonly Digest[];
}

/** A pack that comes in. */
export interface IncomingPack extends PackOffer {
  readonly stream: ByteStream;
}

export interface RecordRequest {
  /** Packs that `acceptPack` took from this client for this repo: the caller vouches for that. */
  readonly packs: readonly ContainerId[];
  readonly blobs: readonly RecipeClaim[];
  /** Oids that `blobs` resemble; their chunks are looked at first. */
  readonly basis?: readonly Digest[];
  /** Pages that lie in `packs`. */
  readonly pages: readonly Digest[];
}

export interface RecordOutcome {
  /** Durable, re-hashed, recorded; those that were recorded before too. */
  readonly recorded: readonly { readonly oid: Digest; readonly receipt: Receipt }[];
  /** Chunks and pages that neither the packs nor this repo's own records hold; send them and ask again. */
  readonly missing: readonly Digest[];
  /** Blobs (and pages, by digest) that are not what was claimed. */
  readonly failed: readonly { readonly oid: Digest; readonly error: DatamonError }[];
}

/** A whole file, proved. */
export interface SmallBlob {
  readonly oid: Digest;
  readonly bytes: Uint8Array;
}

export interface Ingest {
  /**
   * Checks a whole pack, frame by frame, while spooling it, then stores it. Durable when resolved; the same pack again is
   * success. An open pack gets its end here. INVALID for anything that is not an intact pack `id` of `sizeBytes`; CONFLICT where the id is
   * taken by other bytes.
   */
  acceptPack(pack: IncomingPack): Promise<AcceptedPack>;
  /** For each digest, whether a container of this repo's own verified records holds that chunk. `basis`: oids to look at first. */
  knownChunks(digests: readonly Digest[], basis: readonly Digest[]): Promise<boolean[]>;
  /** NOT_FOUND; the empty blob has no chunks. */
  recipeOf(oid: Digest): Promise<Recipe>;
  /** Records blobs and pages. A blob is read back and hashed as a whole before its record says verified. */
  recordByRecipe(request: RecordRequest): Promise<RecordOutcome>;
  /**
   * Those of `oids` that have at most `sizeMaxBytes`, in the order that costs fewest requests, each held in memory whole. What is
   * absent or does not read is left out: its own request says why.
   */
  readSmall(oids: readonly Digest[], sizeMaxBytes: number): AsyncIterable<SmallBlob>;
}
