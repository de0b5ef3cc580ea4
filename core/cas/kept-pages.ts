/**
 * Pages that this process put or read a moment ago. A page never changes, so what is kept is as good as what is stored; who just stored
 * a tree reads it next, to see which files it names, and would ask a server for each page it has just sent.
 */
import type { Digest } from '../digest.ts';
import { isFast } from '../fast-paths.ts';

/** About 200,000 files' worth. */
export const KEPT_PAGES_SIZE_MAX_BYTES = 16 * 1024 * 1024;

export class KeptPages {
  readonly #sizeMaxBytes: number;
  /** Oldest first. */
  readonly #pages = new Map<Digest, Uint8Array>();
  #sizeBytes = 0;

  constructor(sizeMaxBytes = KEPT_PAGES_SIZE_MAX_BYTES) {
    this.#sizeMaxBytes = sizeMaxBytes;
  }

  get(page: Digest): Uint8Array | null {
    return this.#pages.get(page) ?? null;
  }

  /** Keeps a page whose bytes are known to be right, instead of older ones. */
  keep(page: Digest, bytes: Uint8Array): void {
    if (!isFast('kept-pages') || this.#pages.has(page)) return;
    this.#pages.set(page, bytes);
    this.#sizeBytes += bytes.length;
    for (const [oldest, { length }] of this.#pages) {
      if (this.#sizeBytes <= this.#sizeMaxBytes) break;
      this.#pages.delete(oldest);
      this.#sizeBytes -= length;
    }
  }
}
