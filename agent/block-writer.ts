/**
 * Writes a file in large blocks, one being filled while the one before is written: pieces from a socket are small, and a wait for each
 * costs more than the disk does. Promise: once `flush` has resolved, all that was added is in the file, in order.
 */
import type { FileHandle } from 'node:fs/promises';
import { fileError } from './temp-files.ts';

const BLOCK_SIZE_BYTES = 1024 * 1024;

export class BlockWriter {
  readonly #handle: FileHandle;
  /** Where the block goes. */
  #position: number;
  #block: Buffer | null = null;
  #filledBytes = 0;
  #spare: Buffer | null = null;
  #underWay: Promise<void> = Promise.resolve();

  /** Writes from `position` on. */
  constructor(handle: FileHandle, position: number) {
    this.#handle = handle;
    this.#position = position;
  }

  /** One call at a time; the bytes are the caller's again once it resolved. Throws what a write before ran into. */
  async add(bytes: Uint8Array): Promise<void> {
    for (let rest = bytes; rest.length > 0; ) {
      this.#block ??= this.#spare ?? Buffer.allocUnsafeSlow(BLOCK_SIZE_BYTES);
      if (this.#block === this.#spare) this.#spare = null;
      const taken = rest.subarray(0, BLOCK_SIZE_BYTES - this.#filledBytes);
      this.#block.set(taken, this.#filledBytes);
      this.#filledBytes += taken.length;
      rest = rest.subarray(taken.length);
      if (this.#filledBytes === BLOCK_SIZE_BYTES) await this.#handOver();
    }
  }

  async flush(): Promise<void> {
    await this.#handOver();
    await this.#underWay;
  }

  /** Begins to write the block once the one before is written. */
  async #handOver(): Promise<void> {
    const block = this.#block;
    const filledBytes = this.#filledBytes;
    this.#block = null;
    this.#filledBytes = 0;
    await this.#underWay;
    if (block === null) return;
    const position = this.#position;
    this.#position += filledBytes;
    this.#underWay = this.#write(block.subarray(0, filledBytes), position).then(() => {
      this.#spare = block;
    });
    // Told by whoever waits for it next; until then a failure must not count as unhandled.
    this.#underWay.catch(() => {});
  }

  async #write(bytes: Buffer, position: number): Promise<void> {
    let written = 0;
    while (written < bytes.length) {
      const { bytesWritten } = await this.#handle
        .write(bytes, written, bytes.length - written, position + written)
        .catch((cause: unknown) => {
          throw fileError(cause, 'cannot write to the LFS folder of this clone');
        });
      written += bytesWritten;
    }
  }
}
