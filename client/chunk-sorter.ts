/**
 * Sorts chunks into those the server has and those to send. Asks about many chunks of many files at once while the next are
 * read; holds at most three batches. Promise: once `flush` has resolved, every chunk added is known or in a pack.
 */
import { encodeFrame, FRAME_HEADER_SIZE_BYTES } from '../core/cas/frame.ts';
import type { Digest } from '../core/digest.ts';
import { isFast } from '../core/fast-paths.ts';
import { parseChunksHasAnswer } from '../core/meta/api-wire.ts';
import type { FileUpload } from './file-upload.ts';
import type { PackSender, SentPack } from './pack-sender.ts';
import type { RepoClient } from './repo-client.ts';
import type { ResumedPacks } from './resumed-packs.ts';

const BATCH_SIZE_MAX_BYTES = 4 * 1024 * 1024;
const BATCH_COUNT_MAX = 4_000;
const BASIS_COUNT_MAX = 1_000;
/** Frames compressed at once. */
const ENCODE_COUNT = 16;
/** Chunks sent that are remembered, so that a file of repeats sends each once. More would only cost bytes, not correctness. */
const REMEMBERED_COUNT_MAX = 200_000;

interface Candidate {
  readonly upload: FileUpload;
  readonly digest: Digest;
  readonly bytes: Uint8Array;
  /** Called once its bytes are not needed any more; where sorting fails, nobody calls it. */
  readonly release: () => void;
}

export interface ChunkSorterOptions {
  readonly repo: RepoClient;
  readonly sender: PackSender;
  readonly resumed: ResumedPacks;
  readonly signal: AbortSignal;
}

export class ChunkSorter {
  readonly #options: ChunkSorterOptions;
  readonly #sent = new Map<Digest, SentPack>();
  #batch: Candidate[] = [];
  #batchBytes = 0;
  /** Whether the server is asked about the batch first. */
  #how: 'ask' | 'send' = 'ask';
  #sorting: Promise<void> = Promise.resolve();
  #failure: unknown = null;

  constructor(options: ChunkSorterOptions) {
    this.#options = options;
  }

  /** Why sorting or sending stopped for good; null while it goes on. */
  get failure(): unknown {
    return this.#failure;
  }

  async add(candidate: Candidate): Promise<void> {
    const { upload, digest, bytes, release } = candidate;
    if (upload.base?.list.has(digest) === true) {
      upload.credit(bytes.length);
      release();
    } else await this.#gather(candidate, 'ask');
  }

  /** Sends these whatever the server said before: it has just said that it misses them. */
  addMissing(candidate: Candidate): Promise<void> {
    return this.#gather(candidate, 'send');
  }

  forget(digests: Iterable<Digest>): void {
    for (const digest of digests) this.#sent.delete(digest);
  }

  async flush(): Promise<void> {
    if (this.#batch.length > 0) await this.#ship();
    await this.#sorting;
  }

  async #gather(candidate: Candidate, how: 'ask' | 'send'): Promise<void> {
    if (this.#how !== how) await this.flush();
    this.#how = how;
    this.#batch.push(candidate);
    this.#batchBytes += candidate.bytes.length;
    const isFull =
      this.#batchBytes >= BATCH_SIZE_MAX_BYTES || this.#batch.length >= BATCH_COUNT_MAX;
    if (isFull) await this.#ship();
  }

  /** Begins to sort the batch once the one before is sorted, and waits for that one only. */
  async #ship(): Promise<void> {
    const batch = this.#batch;
    this.#batch = [];
    this.#batchBytes = 0;
    const asked = this.#how === 'ask' ? this.#ask(batch) : Promise.resolve(new Set<Digest>());
    asked.catch(() => undefined);
    await this.#sorting;
    this.#sorting = asked.then((known) => this.#sort(batch, known));
    this.#sorting.catch((failure) => {
      this.#failure ??= failure;
    });
  }

  async #ask(batch: readonly Candidate[]): Promise<ReadonlySet<Digest>> {
    // Whether a file that is one chunk is there was asked before: it is not.
    const asked = batch.filter(({ upload, digest }) => digest !== upload.source.oid);
    const digests = [...new Set((isFast('ask-once') ? asked : batch).map(({ digest }) => digest))];
    if (digests.length === 0) return new Set();
    const basis = new Set(batch.flatMap(({ upload }) => upload.source.basis ?? []));
    const { repo, signal } = this.#options;
    const json = { digests, basis: [...basis].slice(0, BASIS_COUNT_MAX) };
    const { have } = await repo.send(
      { method: 'POST', path: '/chunks/has', json, signal },
      parseChunksHasAnswer,
    );
    return new Set(have.flatMap((index) => digests[index] ?? []));
  }

  async #sort(batch: readonly Candidate[], known: ReadonlySet<Digest>): Promise<void> {
    const unknown: Candidate[] = [];
    for (const candidate of batch) {
      if (known.has(candidate.digest)) candidate.upload.credit(candidate.bytes.length);
      else if (!this.#resume(candidate)) unknown.push(candidate);
    }
    for (let start = 0; start < unknown.length; start += ENCODE_COUNT) {
      await this.#send(unknown.slice(start, start + ENCODE_COUNT));
    }
    for (const { release } of batch) release();
  }

  /** A chunk that an interrupted put had sent: its pack's ticket goes with this file. */
  #resume({ upload, digest, bytes }: Candidate): boolean {
    const chunk = this.#options.resumed.take(digest);
    if (chunk === null) return false;
    upload.resume(chunk);
    upload.credit(bytes.length);
    return true;
  }

  async #send(candidates: readonly Candidate[]): Promise<void> {
    const fresh = new Map<Digest, Candidate>();
    for (const candidate of candidates) {
      if (!this.#sent.has(candidate.digest)) fresh.set(candidate.digest, candidate);
    }
    const encoded = await Promise.all(
      [...fresh.values()].map(async ({ digest, bytes, upload }) => ({
        upload,
        frame: await encodeFrame({ kind: 'chunk', digest, payload: bytes }),
      })),
    );
    for (const { frame, upload } of encoded) {
      const { rawLength } = frame;
      // The credit lives until its pack is sent: it must not keep the frame's bytes alive so long.
      const pack = await this.#options.sender.add(frame, () => upload.credit(rawLength));
      upload.newBytes += rawLength;
      upload.storedBytes += FRAME_HEADER_SIZE_BYTES + frame.storedLength;
      this.#remember(frame.digest, pack);
      upload.packs.add(pack);
    }
    for (const candidate of candidates) this.#reuse(candidate, fresh);
  }

  /** A chunk that went into a pack of this push already: that pack's ticket goes with this file too. */
  #reuse(candidate: Candidate, fresh: ReadonlyMap<Digest, Candidate>): void {
    const { upload, digest, bytes } = candidate;
    if (fresh.get(digest) === candidate) return;
    const pack = this.#sent.get(digest);
    if (pack !== undefined) upload.packs.add(pack);
    upload.credit(bytes.length);
  }

  #remember(digest: Digest, pack: SentPack): void {
    if (this.#sent.size >= REMEMBERED_COUNT_MAX) this.#sent.clear();
    this.#sent.set(digest, pack);
  }
}
