/** One file on its way: its chunks in order, the packs they went into, what of it is new, how far it is. */
import type { BlobSource, PutOptions } from '../core/cas/blob-store.ts';
import type { Digest } from '../core/digest.ts';
import type { WireBlob } from '../core/meta/api-wire.ts';
import type { BaseRecipe } from './base-recipes.ts';
import type { SentPack } from './pack-sender.ts';
import type { ResumedChunk } from './resumed-packs.ts';

export class FileUpload {
  readonly source: BlobSource;
  readonly packs = new Set<SentPack>();
  /** Its previous version, where the server told of it: its chunks count as known. */
  base: BaseRecipe | null = null;
  /** Raw bytes of its chunks that the server did not have. */
  newBytes = 0;
  /** Of these, what an interrupted put had sent. */
  resumedBytes = 0;
  /** The same as stored: compressed and framed. */
  storedBytes = 0;
  #sparedStoredBytes = 0;
  #chunks: Digest[] = [];
  #doneBytes = 0;
  #reportedBytes = 0;
  readonly #onProgress: PutOptions['onProgress'];

  constructor(source: BlobSource, onProgress: PutOptions['onProgress']) {
    this.source = source;
    this.#onProgress = onProgress;
  }

  /** How messages name it. */
  get label(): string {
    return this.source.label ?? this.source.oid;
  }

  /** In order, of what was read so far. */
  get chunks(): readonly Digest[] {
    return this.#chunks;
  }

  /** Of a file that is one chunk, as far as it was read. */
  get onlyChunk(): Digest | null {
    return this.#chunks.length === 1 ? (this.#chunks[0] ?? null) : null;
  }

  /** With its recipe in full. */
  get wire(): WireBlob {
    return { oid: this.source.oid, size: this.source.sizeBytes, chunks: this.#chunks };
  }

  /**
   * What the store grew by for it, where the server counted `recordedBytes`: frames, recipe and record, those of an interrupted
   * put too. Asked again after a lost answer the server finds nothing new to count.
   */
  grownBytes(recordedBytes: number): number {
    return Math.max(this.storedBytes, recordedBytes - this.#sparedStoredBytes);
  }

  append(chunk: Digest): void {
    this.#chunks.push(chunk);
  }

  /** A chunk of it lies in a pack that an interrupted put had sent. */
  resume({ pack, sparedBytes, sparedStoredBytes }: ResumedChunk): void {
    this.packs.add(pack);
    this.newBytes += sparedBytes;
    this.resumedBytes += sparedBytes;
    this.#sparedStoredBytes += sparedStoredBytes;
  }

  /** Packs of an interrupted put turned out to be gone: all that was taken from such packs is sent, or counted, again. */
  disown(packs: Iterable<SentPack>): void {
    for (const pack of packs) this.packs.delete(pack);
    this.newBytes -= this.resumedBytes;
    this.resumedBytes = 0;
    this.#sparedStoredBytes = 0;
  }

  /** It is read again from the start. What was sent stays sent, what was reported stays reported. */
  restart(): void {
    this.#chunks = [];
    this.#doneBytes = 0;
  }

  /** So many more bytes are with the server. */
  credit(bytes: number): void {
    this.#doneBytes += bytes;
    this.#report(Math.min(this.#doneBytes, this.source.sizeBytes));
  }

  /** It is recorded. */
  finish(): void {
    if (this.#reportedBytes === 0 && this.source.sizeBytes === 0) {
      this.#onProgress?.(this.source.oid, 0);
    }
    this.#report(this.source.sizeBytes);
  }

  #report(bytes: number): void {
    if (bytes <= this.#reportedBytes) return;
    this.#reportedBytes = bytes;
    this.#onProgress?.(this.source.oid, bytes);
  }
}
