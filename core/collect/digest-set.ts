/** A set of digests, 36 bytes each: what is reachable in a pool of millions of files fits in memory. */
import { type Digest, digestFromBytes } from '../digest.ts';

const DIGEST_SIZE_BYTES = 32;
const SLOT_COUNT_MIN = 1024;

export class DigestSet {
  #bytes = Buffer.alloc(SLOT_COUNT_MIN * DIGEST_SIZE_BYTES);
  /** Index + 1 of a digest in `#bytes`; 0: free. At most half of them are taken. */
  #slots = new Uint32Array(SLOT_COUNT_MIN * 2);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  has(digest: Digest): boolean {
    return (this.#slots[this.#slotOf(Buffer.from(digest, 'hex'))] ?? 0) > 0;
  }

  /** False where it was there already. */
  add(digest: Digest): boolean {
    const bytes = Buffer.from(digest, 'hex');
    const slot = this.#slotOf(bytes);
    if ((this.#slots[slot] ?? 0) > 0) return false;
    if ((this.#size + 1) * 2 > this.#slots.length) {
      this.#grow();
      return this.add(digest);
    }
    bytes.copy(this.#bytes, this.#size * DIGEST_SIZE_BYTES);
    this.#size += 1;
    this.#slots[slot] = this.#size;
    return true;
  }

  *values(): Iterable<Digest> {
    for (let index = 0; index < this.#size; index += 1) yield digestFromBytes(this.#at(index));
  }

  /** Digests are random, so their first bytes are as good as a hash. */
  #slotOf(bytes: Buffer): number {
    const mask = this.#slots.length - 1;
    for (let slot = bytes.readUInt32LE(0) & mask; ; slot = (slot + 1) & mask) {
      const index = this.#slots[slot] ?? 0;
      if (index === 0 || this.#at(index - 1).equals(bytes)) return slot;
    }
  }

  #at(index: number): Buffer {
    return this.#bytes.subarray(index * DIGEST_SIZE_BYTES, (index + 1) * DIGEST_SIZE_BYTES);
  }

  #grow(): void {
    this.#bytes = Buffer.concat([this.#bytes], this.#bytes.length * 2);
    this.#slots = new Uint32Array(this.#slots.length * 2);
    for (let index = 0; index < this.#size; index += 1) {
      this.#slots[this.#slotOf(this.#at(index))] = index + 1;
    }
  }
}
