/**
 * The Ingest port straight on a backend. Promise: nothing is recorded that was not proved: blobs read back and hashed whole, pages
 * above stored pages only.
 */
import type { Digest } from '../digest.ts';
import { DatamonError, hasCode } from '../errors.ts';
import { isFast } from '../fast-paths.ts';
import type { BlobReader } from './blob-reader.ts';
import { EMPTY_RECEIPT, type PageStore, type Receipt } from './blob-store.ts';
import type { BlobWriter } from './blob-writer.ts';
import type { Committer } from './committer.ts';
import { inParallel } from './concurrency.ts';
import type { Condemned } from './condemned.ts';
import { asDatamonError } from './failure.ts';
import type {
  AcceptedPack,
  IncomingPack,
  Ingest,
  Recipe,
  RecipeChunk,
  RecordOutcome,
  RecordRequest,
  SmallBlob,
} from './ingest.ts';
import { type PackIntakeOptions, takePack } from './pack-intake.ts';
import { CHUNK_SIZE_AVERAGE_BYTES } from './pool.ts';
import { readSmallBlobs } from './read-small.ts';
import { type ProvedBlob, RecipeProof, type RecipeProofOptions } from './recipe-proof.ts';
import { RecipeWriter } from './recipe-writer.ts';
import type { SegmentIndex } from './segment-index.ts';
import { type RecordDraft, waitingBytes } from './segment-publisher.ts';
import type { PlacedRun } from './segment-tables.ts';

/** Blobs that are read back and hashed at a time. */
const BLOBS_PROVED_AT_A_TIME = 4;

export interface DirectIngestOptions extends PackIntakeOptions, RecipeProofOptions {
  readonly index: SegmentIndex;
  readonly condemned: Condemned;
  readonly committer: Committer;
  readonly writer: BlobWriter;
  readonly reader: BlobReader;
  readonly pages: PageStore;
  readonly childrenOf: (page: Uint8Array) => readonly Digest[];
}

interface Recorded {
  readonly oid: Digest;
  readonly receipt: Receipt;
}

interface PageDraft {
  readonly draft: RecordDraft;
  readonly children: readonly Digest[];
}

interface Failed {
  readonly oid: Digest;
  readonly error: DatamonError;
}

export class DirectIngest implements Ingest {
  readonly #options: DirectIngestOptions;

  constructor(options: DirectIngestOptions) {
    this.#options = options;
  }

  async acceptPack(pack: IncomingPack): Promise<AcceptedPack> {
    if (this.#options.condemned.has(pack.id)) {
      throw new DatamonError('CONFLICT', `the pack id ${pack.id} was condemned`);
    }
    return takePack(this.#options, pack);
  }

  async knownChunks(digests: readonly Digest[], basis: readonly Digest[]): Promise<boolean[]> {
    const { known, index } = this.#options;
    await index.refresh();
    await known.prepare(digests.length * CHUNK_SIZE_AVERAGE_BYTES, basis);
    const answers: boolean[] = [];
    for (const digest of digests) {
      await known.follow(digest);
      answers.push(known.find(digest) !== null);
    }
    return answers;
  }

  async recipeOf(oid: Digest): Promise<Recipe> {
    const records = (await this.#options.index.find([oid], 'blob')).get(oid) ?? [];
    let failure: unknown = new DatamonError('NOT_FOUND', `${oid} is not stored in this repo`);
    for (const record of records) {
      try {
        const chunks: RecipeChunk[] = [];
        for (const run of record.runs) chunks.push(...(await this.#chunksOf(run)));
        return { oid, sizeBytes: record.sizeBytes, chunks };
      } catch (error) {
        if (!hasCode(error, 'CORRUPT') && !hasCode(error, 'NOT_FOUND')) throw error;
        failure = new DatamonError('CORRUPT', `${oid} does not read back`, { cause: error });
      }
    }
    throw failure;
  }

  async recordByRecipe(request: RecordRequest): Promise<RecordOutcome> {
    const { writer, known } = this.#options;
    await writer.learn();
    const largest = request.blobs.reduce((most, { sizeBytes }) => Math.max(most, sizeBytes), 0);
    await known.prepare(largest, []);
    // Also, not instead: this may be another server than the one that was asked what it knows.
    if (request.basis !== undefined) await known.prepare(largest, request.basis);
    const proof = new RecipeProof(this.#options);
    await proof.openPacks(request.packs);
    const recorded: Recorded[] = [];
    const failed: Failed[] = [];
    const proved: ProvedBlob[] = [];
    const claims = new Map(request.blobs.map((claim) => [claim.oid, claim]));
    const counted = await writer.countedOf([...claims.keys()]);
    const open = [...claims.values()].filter(({ oid }) => !counted.has(oid));
    const together = isFast('joint-proof') ? await proof.proveTogether(open) : new Map();
    await inParallel([...claims.values()], BLOBS_PROVED_AT_A_TIME, async (claim) => {
      const { oid, sizeBytes } = claim;
      try {
        if (counted.has(oid)) {
          recorded.push({
            oid,
            receipt: { ...EMPTY_RECEIPT, fileCount: 1, logicalBytes: sizeBytes },
          });
          return;
        }
        const blob = together.get(oid) ?? (await proof.prove(claim));
        if (blob !== null) proved.push(blob);
      } catch (error) {
        failed.push({ oid, error: asDatamonError(error, { oid }) });
      }
    });
    const pages = await this.#provePages(request.pages, proof, failed);
    recorded.push(...(await this.#commit(proved, pages)));
    return { recorded, missing: [...proof.missing], failed };
  }

  readSmall(oids: readonly Digest[], sizeMaxBytes: number): AsyncIterable<SmallBlob> {
    return readSmallBlobs({ ...this.#options, sizeMaxBytes }, oids);
  }

  /** Pages whose children are stored, or come along and are fine themselves. */
  async #provePages(
    digests: readonly Digest[],
    proof: RecipeProof,
    failed: Failed[],
  ): Promise<RecordDraft[]> {
    const { pages, childrenOf } = this.#options;
    const stored = await pages.hasPages(digests);
    const drafts = new Map<Digest, PageDraft>();
    for (const digest of new Set(digests)) {
      if (stored.has(digest)) continue;
      try {
        const found = await proof.provePage(digest);
        if (found === null) proof.missing.add(digest);
        else drafts.set(digest, { draft: found.draft, children: childrenOf(found.page) });
      } catch (error) {
        failed.push({ oid: digest, error: asDatamonError(error, { oid: digest }) });
      }
    }
    const children = [...drafts.values()].flatMap((page) => page.children);
    const storedChildren = await pages.hasPages([...new Set(children)]);
    dropOrphans(drafts, storedChildren, proof.missing);
    return [...drafts.values()].map(({ draft }) => draft);
  }

  async #commit(proved: readonly ProvedBlob[], pages: readonly RecordDraft[]): Promise<Recorded[]> {
    if (proved.length + pages.length === 0) return [];
    const { packs, sink } = this.#options.writer.newSink();
    try {
      const recipeBytes: number[] = [];
      for (const { draft, chunks } of proved) {
        const recipe = new RecipeWriter(draft, sink);
        for (const chunk of chunks) await recipe.add(chunk);
        await recipe.finish();
        recipeBytes.push(recipe.frameBytes);
      }
      const waiting = await sink.finish();
      const inlineBytes = waitingBytes(waiting);
      const records = [...proved.map(({ draft }) => draft), ...pages];
      const cost = await this.#options.committer.commit({ records, waiting });
      const recipes = recipeBytes.reduce((sum, bytes) => sum + bytes, 0);
      const overhead = packs.storedBytes + inlineBytes + cost.overheadBytes - recipes;
      const share = Math.floor(overhead / Math.max(1, proved.length));
      return proved.map(({ draft, newBytes, newStoredBytes }, index) => ({
        oid: draft.oid,
        receipt: {
          fileCount: 1,
          logicalBytes: draft.sizeBytes,
          newBytes,
          resumedBytes: 0,
          storedBytes: newStoredBytes + (recipeBytes[index] ?? 0) + share,
          packCount: index === 0 ? packs.packCount + cost.packCount : 0,
          requestCount: index === 0 ? packs.packCount + cost.requestCount : 0,
        },
      }));
    } finally {
      await packs.dispose();
    }
  }

  async #chunksOf(run: PlacedRun): Promise<RecipeChunk[]> {
    const { frames } = await this.#options.containers.tables(run.container);
    const first = frames.indexAt(run.offset);
    if (first < 0 || first + run.frameCount > frames.count) {
      throw new DatamonError('CORRUPT', `a run does not fit the container ${run.container.id}`);
    }
    return Array.from({ length: run.frameCount }, (_, index) => {
      const { digest, rawLength } = frames.frame(first + index);
      return { digest, sizeBytes: rawLength };
    });
  }
}

/** Takes away pages that would stand above something absent, and notes what is. A page takes its parents with it. */
function dropOrphans(
  drafts: Map<Digest, PageDraft>,
  stored: ReadonlySet<Digest>,
  missing: Set<Digest>,
): void {
  for (let fallen = true; fallen; ) {
    fallen = false;
    for (const [digest, { children }] of drafts) {
      const absent = children.filter((child) => !stored.has(child) && !drafts.has(child));
      for (const child of absent) missing.add(child);
      if (absent.length > 0) fallen = drafts.delete(digest) || fallen;
    }
  }
}
