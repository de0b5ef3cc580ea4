/**
 * Shared memory that is used again: a slab is filled once, read by several (threads among them), and given back by the last of them.
 * Promises: a slab is nobody else's while somebody holds it; one that is never given back costs its memory until nothing points to it, and
 * nothing else; whoever takes a slab never waits, so that those who hold some bound what there is.
 */

/** Free slabs kept for the next who needs some. */
const KEPT_COUNT_MAX = 4;

export interface Slab {
  /** In memory that threads share. */
  readonly bytes: Buffer;
  /** One more reader. */
  hold(): void;
  /** One reader fewer; after the last the slab is free. Call once for each `hold`, and once for having taken it. */
  release(): void;
}

/** Slabs of one size. */
export class Slabs {
  readonly #sizeBytes: number;
  readonly #free: Buffer[] = [];

  constructor(sizeBytes: number) {
    this.#sizeBytes = sizeBytes;
  }

  /** Slabs that wait to be taken. */
  get freeCount(): number {
    return this.#free.length;
  }

  /** A slab with one reader, the caller; what it holds is left over from its last use. */
  take(): Slab {
    const bytes = this.#free.pop() ?? Buffer.from(new SharedArrayBuffer(this.#sizeBytes));
    let readers = 1;
    return {
      bytes,
      hold() {
        if (readers === 0) throw new RangeError('a slab was held that is free');
        readers += 1;
      },
      release: () => {
        if (readers === 0) throw new RangeError('a slab was given back twice');
        readers -= 1;
        if (readers === 0 && this.#free.length < KEPT_COUNT_MAX) this.#free.push(bytes);
      },
    };
  }
}
