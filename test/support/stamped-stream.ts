/** Large streams that are quicker to make than to store: one block again and again, stamped so that no chunk occurs twice. */
import { seededBytes } from './splitmix64.ts';

const MIB = 1024 * 1024;
const STAMP_EVERY_BYTES = 4096;

/** Mebibytes `first` to `end` (exclusive); incompressible. */
export async function* stampedStream(first: number, end: number): AsyncIterable<Uint8Array> {
  const block = seededBytes(1, MIB);
  for (let index = first; index < end; index += 1) {
    const piece = Buffer.from(block);
    for (let at = 0; at < MIB; at += STAMP_EVERY_BYTES) piece.writeUInt32LE(index, at);
    yield piece;
  }
}
