/** A stream of bytes read in exact lengths. Holds no more than was asked for plus one piece of the stream. */
import type { ByteStream } from '../bytes.ts';

export interface ByteQueue {
  /** Bytes taken so far. */
  readonly takenBytes: number;
  /** The next `count` bytes; fewer only where the stream ends. */
  take(count: number): Promise<Buffer>;
  /** As `take`, but they stay. */
  peek(count: number): Promise<Buffer>;
  /** Drops the next `count` bytes; fewer only where the stream ends. */
  skip(count: number): Promise<void>;
  /** Ends the stream underneath. */
  close(): Promise<void>;
}

/** `lent`: a piece of the stream is the stream's again when the next one is asked for. What was taken or peeked at is then good until the next call. */
export function createByteQueue(
  stream: ByteStream,
  buffers: 'lent' | 'given' = 'given',
): ByteQueue {
  const source = stream[Symbol.asyncIterator]();
  const held = new Parts();
  let takenBytes = 0;
  let ended = false;

  async function fill(count: number): Promise<void> {
    while (held.sizeBytes < count && !ended) {
      if (buffers === 'lent') held.own();
      const next = await source.next();
      if (next.done === true) ended = true;
      else held.push(next.value);
    }
  }

  async function peek(count: number): Promise<Buffer> {
    await fill(count);
    return held.first(Math.min(count, held.sizeBytes));
  }

  function drop(count: number): void {
    held.drop(count);
    takenBytes += count;
  }

  return {
    get takenBytes() {
      return takenBytes;
    },
    peek,
    async take(count) {
      const bytes = await peek(count);
      drop(bytes.length);
      return bytes;
    },
    async skip(count) {
      for (let left = count; left > 0; ) {
        await fill(1);
        if (held.sizeBytes === 0) return;
        const step = Math.min(left, held.sizeBytes);
        drop(step);
        left -= step;
      }
    },
    async close() {
      ended = true;
      held.drop(held.sizeBytes);
      await source.return?.();
    },
  };
}

/** Bytes in the pieces in which they came. */
class Parts {
  sizeBytes = 0;
  #parts: Buffer[] = [];

  push({ buffer, byteOffset, length }: Uint8Array): void {
    if (length > 0) this.#parts.push(Buffer.from(buffer, byteOffset, length));
    this.sizeBytes += length;
  }

  /** Copies the last part; those before it were copied when they were the last. */
  own(): void {
    const last = this.#parts.pop();
    if (last !== undefined) this.#parts.push(Buffer.from(last));
  }

  /** The first `count` bytes, which must be there, in one piece; no others are copied. */
  first(count: number): Buffer {
    const [first] = this.#parts;
    if (count === 0 || first === undefined) return Buffer.alloc(0);
    if (first.length >= count) return first.subarray(0, count);
    const joined = Buffer.allocUnsafe(count);
    for (let filled = 0; filled < count; ) {
      const copied = (this.#parts[0] as Buffer).copy(joined, filled);
      this.drop(copied);
      filled += copied;
    }
    this.#parts.unshift(joined);
    this.sizeBytes += count;
    return joined;
  }

  drop(count: number): void {
    this.sizeBytes -= count;
    for (let left = count; left > 0; ) {
      const first = this.#parts[0] as Buffer;
      if (first.length > left) this.#parts[0] = first.subarray(left);
      else this.#parts.shift();
      left -= Math.min(left, first.length);
    }
  }
}
