/**
 * Where the new frames of one or many blobs gather: in memory while they are few, so that they can be inlined in a segment, in packs
 * beyond. Promises: a frame is taken once, however often it is added; memory is bounded.
 */
import type { Digest } from '../digest.ts';
import { type EncodedFrame, type FrameKind, ownBytes } from './frame.ts';
import { type FrameHandle, framedSize, waitingHandle } from './frame-handle.ts';
import type { PackWriter } from './pack-writer.ts';

/** New frames up to this sum are inlined in their segment. */
export const INLINE_SIZE_MAX_BYTES = 4 * 1024 * 1024;
/** Frames remembered, so that a chunk that occurs again is stored once; about 13 MB of memory. */
const REMEMBERED_COUNT_MAX = 65_536;

export class FrameSink {
  readonly #packs: PackWriter;
  readonly #inlineMaxBytes: number;
  readonly #taken = new Map<string, FrameHandle>();
  #waiting: FrameHandle[] = [];
  #waitingBytes = 0;
  #usesPacks = false;

  constructor(packs: PackWriter, inlineMaxBytes = INLINE_SIZE_MAX_BYTES) {
    this.#packs = packs;
    this.#inlineMaxBytes = inlineMaxBytes;
  }

  find(kind: FrameKind, digest: Digest): FrameHandle | undefined {
    return this.#taken.get(kind + digest);
  }

  /** Takes a frame that `find` does not know. One call at a time. */
  async add(frame: EncodedFrame): Promise<FrameHandle> {
    const kept = this.#usesPacks ? frame : { ...frame, stored: ownBytes(frame.stored) };
    const handle = waitingHandle(kept);
    this.#remember(frame.kind + frame.digest, handle);
    if (this.#usesPacks) {
      await this.#packs.add(handle);
      return handle;
    }
    this.#waiting.push(handle);
    this.#waitingBytes += framedSize(frame);
    if (this.#waitingBytes > this.#inlineMaxBytes) await this.#spill();
    return handle;
  }

  /** Makes the packs durable and returns the frames that still wait: few enough to be inlined. The sink may be used again. */
  async finish(): Promise<FrameHandle[]> {
    await this.#packs.finish();
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#usesPacks = false;
    this.#taken.clear();
    return waiting;
  }

  async #spill(): Promise<void> {
    this.#usesPacks = true;
    for (const handle of this.#waiting) await this.#packs.add(handle);
    this.#waiting = [];
    this.#waitingBytes = 0;
  }

  #remember(name: string, handle: FrameHandle): void {
    this.#taken.set(name, handle);
    if (this.#taken.size <= REMEMBERED_COUNT_MAX) return;
    for (const oldest of this.#taken.keys()) {
      this.#taken.delete(oldest);
      return;
    }
  }
}
