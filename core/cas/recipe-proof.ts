/**
 * Proves what a client claims by recipe. Promises: a chunk counts only if it lies in a pack of this session or in a container of this
 * repo's own verified records; a blob counts only once it was read back and hashed as a whole.
 */
import type { Backend } from '../backend/backend.ts';
import type { Digest } from '../digest.ts';
import { DatamonError } from '../errors.ts';
import type { ContainerId } from '../keys.ts';
import type { BlobReader } from './blob-reader.ts';
import { inParallel } from './concurrency.ts';
import type { Condemned } from './condemned.ts';
import { readTables } from './container-reader.ts';
import { type ContainerRef, type Containers, refOf } from './containers.ts';
import { FRAME_HEADER_SIZE_BYTES, type FrameKind, type FrameProof } from './frame.ts';
import { type FrameHandle, RunBuilder } from './frame-handle.ts';
import { FRAME_ENTRY_SIZE_BYTES, type FrameTable } from './frame-table.ts';
import type { RecipeChunk, RecipeClaim } from './ingest.ts';
import type { KnownChunks } from './known-chunks.ts';
import { type PlacedBlob, readTogether, spansOf } from './read-small.ts';
import type { RecordDraft } from './segment-publisher.ts';
import type { PlacedRun } from './segment-tables.ts';
import { createThreadHasher } from './thread-hasher.ts';

const LOADS_IN_FLIGHT = 8;
const SPANS_AT_A_TIME = 2;

export interface RecipeProofOptions {
  readonly backend: Backend;
  readonly containers: Containers;
  readonly known: KnownChunks;
  readonly reader: BlobReader;
  readonly condemned: Condemned;
}

/** A blob that was found whole and hashed. */
export interface ProvedBlob {
  readonly draft: RecordDraft;
  readonly chunks: readonly RecipeChunk[];
  /** Of chunks that only this session's packs hold, each counted once. */
  readonly newBytes: number;
  /** The same as stored: framed, with their table entries. */
  readonly newStoredBytes: number;
}

interface FoundChunk {
  readonly handle: FrameHandle;
  /** Only this session's packs hold it. */
  readonly isFresh: boolean;
}

interface SessionPack {
  readonly ref: ContainerRef;
  readonly frames: FrameTable;
}

/** Claims of one request, against its packs. */
export class RecipeProof {
  readonly #options: RecipeProofOptions;
  readonly #packs: SessionPack[] = [];
  readonly #counted = new Set<Digest>();
  /** Chunks and pages that were looked for and not found. */
  readonly missing = new Set<Digest>();

  constructor(options: RecipeProofOptions) {
    this.#options = options;
  }

  /** INVALID for an id that no stored pack has. Condemned ones count as absent: what lies in them is missing. */
  async openPacks(ids: readonly ContainerId[]): Promise<void> {
    const open = [...new Set(ids)].filter((id) => !this.#options.condemned.has(id));
    await inParallel(open, LOADS_IN_FLIGHT, async (id) => {
      this.#packs.push(await this.#openPack(id));
    });
  }

  /** The blob with its runs, or null where chunks are missing. MISMATCH where the chunks make another file. */
  async prove(claim: RecipeClaim): Promise<ProvedBlob | null> {
    const { oid, sizeBytes } = claim;
    const runs = new RunBuilder();
    const chunks: RecipeChunk[] = [];
    let isWhole = true;
    let rawBytes = 0;
    const fresh = new Map<Digest, FrameHandle>();
    for (const digest of claim.chunks) {
      const chunk = await this.#find(digest);
      if (chunk === null) {
        this.missing.add(digest);
        isWhole = false;
        continue;
      }
      const { handle } = chunk;
      if (chunk.isFresh) fresh.set(digest, handle);
      runs.add(handle);
      rawBytes += handle.rawLength;
      chunks.push({ digest, sizeBytes: handle.rawLength });
    }
    if (!isWhole) return null;
    if (rawBytes !== sizeBytes) {
      throw new DatamonError(
        'MISMATCH',
        `${oid} has ${rawBytes} bytes by its recipe, not ${sizeBytes}`,
      );
    }
    const draft: RecordDraft = { oid, sizeBytes, kind: 'blob', runs };
    await this.#hash(draft);
    return { draft, chunks, ...this.#count(fresh) };
  }

  /**
   * Those that are one chunk, read back with their neighbours: a request for each of very many small files would take longer than
   * all the rest. What is not returned is to be proved alone, which tells why.
   */
  async proveTogether(claims: readonly RecipeClaim[]): Promise<ReadonlyMap<Digest, ProvedBlob>> {
    const found = new Map<Digest, FoundChunk>();
    const placed: PlacedBlob[] = [];
    for (const { oid, sizeBytes, chunks } of claims) {
      if (chunks.length !== 1 || chunks[0] !== oid) continue;
      const chunk = await this.#find(oid);
      const piece = chunk === null ? null : pieceOf(chunk.handle);
      if (chunk === null || piece === null || chunk.handle.rawLength !== sizeBytes) continue;
      found.set(oid, chunk);
      placed.push({ oid, piece });
    }
    const proved = new Map<Digest, ProvedBlob>();
    await inParallel(spansOf(placed), SPANS_AT_A_TIME, async (span) => {
      try {
        for await (const { oid } of readTogether(this.#options.reader, span)) {
          proved.set(oid, this.#provedChunk(oid, found.get(oid) as FoundChunk));
        }
      } catch (error) {
        if (!(error instanceof DatamonError)) throw error;
      }
    });
    return proved;
  }

  /** A page in this session's packs, read and proved; null where there is none. */
  async provePage(
    digest: Digest,
  ): Promise<{ readonly draft: RecordDraft; readonly page: Uint8Array } | null> {
    const handle = this.#findInPacks('page', digest);
    if (handle === null) return null;
    const runs = new RunBuilder();
    runs.add(handle);
    const draft: RecordDraft = { oid: digest, sizeBytes: handle.rawLength, kind: 'page', runs };
    const parts: Uint8Array[] = [];
    for await (const bytes of this.#readBack(draft)) parts.push(bytes);
    return { draft, page: Buffer.concat(parts) };
  }

  async #find(digest: Digest): Promise<FoundChunk | null> {
    await this.#options.known.follow(digest);
    const known = this.#options.known.find(digest);
    if (known !== null) return { handle: known, isFresh: false };
    const handle = this.#findInPacks('chunk', digest);
    return handle === null ? null : { handle, isFresh: true };
  }

  #provedChunk(digest: Digest, { handle, isFresh }: FoundChunk): ProvedBlob {
    const sizeBytes = handle.rawLength;
    const runs = new RunBuilder();
    runs.add(handle);
    const draft: RecordDraft = { oid: digest, sizeBytes, kind: 'blob', runs };
    const fresh = isFresh ? [[digest, handle] as const] : [];
    return { draft, chunks: [{ digest, sizeBytes }], ...this.#count(new Map(fresh)) };
  }

  #findInPacks(kind: FrameKind, digest: Digest): FrameHandle | null {
    for (const { ref, frames } of this.#packs) {
      const index = frames.find(kind, digest);
      if (index < 0) continue;
      const { offset, rawLength, ...frame } = frames.frame(index);
      const storedLength = FRAME_HEADER_SIZE_BYTES + frame.storedLength;
      const cell = { id: ref.id, ref };
      return { rawLength, waiting: null, location: { cell, offset, storedLength, frameCount: 1 } };
    }
    return null;
  }

  async #hash(draft: RecordDraft): Promise<void> {
    const actual = await this.#digestOf(draft, 'by the reader');
    if (actual === draft.oid) return;
    // Was it the recipe, or did the store not keep what it was given? Frames that do not prove themselves are the second.
    await this.#digestOf(draft, 'by digest');
    throw new DatamonError('MISMATCH', `the chunks sent for ${draft.oid} make ${actual}`, {
      hint: 'Was the file changed while it was being pushed? Add it again, commit, and push once more.',
    });
  }

  async #digestOf(draft: RecordDraft, proof: FrameProof): Promise<Digest> {
    const hasher = createThreadHasher(draft.sizeBytes);
    try {
      for await (const bytes of this.#readBack(draft, proof)) await hasher.update(bytes);
      return await hasher.digest();
    } finally {
      hasher.drop();
    }
  }

  #readBack(
    { oid, sizeBytes, kind, runs }: RecordDraft,
    proof: FrameProof = 'by digest',
  ): AsyncIterable<Uint8Array> {
    const placed = runs.runs(null) as PlacedRun[];
    const record = { oid, sizeBytes, kind, state: 'claimed' as const, runs: placed };
    return this.#options.reader.readRecord(record, 0, sizeBytes, proof);
  }

  #count(fresh: ReadonlyMap<Digest, FrameHandle>): Pick<ProvedBlob, 'newBytes' | 'newStoredBytes'> {
    let newBytes = 0;
    let newStoredBytes = 0;
    for (const [digest, { rawLength, location }] of fresh) {
      if (this.#counted.has(digest)) continue;
      this.#counted.add(digest);
      newBytes += rawLength;
      newStoredBytes += (location?.storedLength ?? 0) + FRAME_ENTRY_SIZE_BYTES;
    }
    return { newBytes, newStoredBytes };
  }

  async #openPack(id: ContainerId): Promise<SessionPack> {
    const { backend, containers } = this.#options;
    const key = containers.keyOf({ kind: 'pack', id, tier: 0 });
    const there = await backend.stat(key);
    if (there === null) throw new DatamonError('INVALID', `there is no pack ${id}`);
    const tables = await readTables(backend, key, { kind: 'pack', id }, there.sizeBytes);
    return { ref: refOf(tables, 0), frames: tables.frames };
  }
}

/** Where a stored frame lies, to be read whole. */
function pieceOf({ location, rawLength }: FrameHandle): PlacedBlob['piece'] | null {
  const container = location?.cell.ref ?? null;
  if (location === null || container === null) return null;
  const { offset, storedLength } = location;
  return { container, offset, storedLength, rawLength, skipBytes: 0, takeBytes: rawLength };
}
