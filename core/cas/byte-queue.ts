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
  let parts: Buffer[] = [];
  let heldBytes = 0;
  let takenBytes = 0;
  let ended = false;

  async function fill(count: number): Promise<void> {
    while (heldBytes < count && !ended) {
      // Those before the last one were copied when it came.
      const last = parts.at(-1);
      if (buffers === 'lent' && last !== undefined) parts[parts.length - 1] = Buffer.from(last);
      const next = await source.next();
      if (next.done === true) ended = true;
      else if (next.value.length > 0) {
        const { buffer, byteOffset, length } = next.value;
        parts.push(Buffer.from(buffer, byteOffset, length));
        heldBytes += length;
      }
    }
  }

  async function peek(count: number): Promise<Buffer> {
    await fill(count);
    const first = parts[0];
    if (first !== undefined && first.length >= count) return first.subarray(0, count);
    if (parts.length > 1) parts = [Buffer.concat(parts, heldBytes)];
    return (parts[0] ?? Buffer.alloc(0)).subarray(0, count);
  }

  function drop(count: number): void {
    let left = count;
    while (left > 0) {
      const first = parts[0];
      if (first === undefined) return;
      if (first.length > left) parts[0] = first.subarray(left);
      else parts.shift();
      const dropped = Math.min(left, first.length);
      left -= dropped;
      heldBytes -= dropped;
      takenBytes += dropped;
    }
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
        if (heldBytes === 0) return;
        const step = Math.min(left, heldBytes);
        drop(step);
        left -= step;
      }
    },
    async close() {
      ended = true;
      parts = [];
      heldBytes = 0;
      await source.return?.();
    },
  };
}
