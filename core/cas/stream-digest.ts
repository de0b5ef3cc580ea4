/**
 * The digest of a stream that is read for nothing else. Promise: where the stream puts its bytes into the memory it is offered, one piece is hashed
 * beside the main thread while the next is read; that memory is bounded.
 */
import type { ByteStream } from '../bytes.ts';
import type { Digest } from '../digest.ts';
import type { OpenOptions } from './blob-store.ts';
import { type Slab, Slabs } from './slabs.ts';
import { createThreadHasher, hashesBeside, type ThreadHasher } from './thread-hasher.ts';

const SLAB_SIZE_BYTES = 1024 * 1024;
/** Pieces that are read and not hashed yet. */
const PIECES_AHEAD_COUNT = 2;
const slabs = new Slabs(SLAB_SIZE_BYTES);

export interface StreamDigest {
  readonly digest: Digest;
  /** As many as came. */
  readonly sizeBytes: number;
}

/** Reads what `open` opens to its end. `sizeBytes`: about how much that will be. Fails as the stream does. */
export async function digestStream(
  sizeBytes: number,
  open: (options: OpenOptions) => ByteStream,
): Promise<StreamDigest> {
  const hasher = createThreadHasher(sizeBytes);
  try {
    const read = hashesBeside(sizeBytes) ? readBeside : readHere;
    const readBytes = await read(hasher, open);
    return { digest: await hasher.digest(), sizeBytes: readBytes };
  } finally {
    hasher.drop();
  }
}

type Read = (hasher: ThreadHasher, open: (options: OpenOptions) => ByteStream) => Promise<number>;

const readHere: Read = async (hasher, open) => {
  let sizeBytes = 0;
  for await (const bytes of open({ buffers: 'lent' })) {
    await hasher.update(bytes);
    sizeBytes += bytes.length;
  }
  return sizeBytes;
};

const readBeside: Read = async (hasher, open) => {
  let sizeBytes = 0;
  let slab: Slab = slabs.take();
  const ahead: Promise<void>[] = [];
  for await (const bytes of open({ buffers: 'lent', room: () => slab.bytes })) {
    sizeBytes += bytes.length;
    if (bytes.buffer !== slab.bytes.buffer) {
      await hasher.update(bytes);
      continue;
    }
    ahead.push(lendOut(hasher, slab, bytes));
    slab = slabs.take();
    if (ahead.length > PIECES_AHEAD_COUNT) await ahead.shift();
  }
  await Promise.all(ahead);
  slab.release();
  return sizeBytes;
};

/** Where hashing fails, the slab is left to the garbage collector: nobody knows whether it is still read. */
function lendOut(hasher: ThreadHasher, slab: Slab, bytes: Uint8Array): Promise<void> {
  const hashed = hasher.lend(bytes).then(() => slab.release());
  // Awaited in its turn; until then a failure must not count as unhandled.
  hashed.catch(() => {});
  return hashed;
}
