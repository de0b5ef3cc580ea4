/** Small helpers over streams of bytes. A stream is any async iterable of Uint8Array. */
import { createHasher, type Digest } from './digest.ts';
import { DatamonError } from './errors.ts';

export type ByteStream = AsyncIterable<Uint8Array>;

/** The whole stream as one buffer. Throws TOO_LARGE past `limitBytes`. */
export async function collect(stream: ByteStream, limitBytes: number): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const part of stream) {
    sizeBytes += part.length;
    if (sizeBytes > limitBytes) {
      throw new DatamonError(
        'TOO_LARGE',
        `more than ${limitBytes} bytes where fewer were expected`,
      );
    }
    parts.push(part);
  }
  return Buffer.concat(parts, sizeBytes);
}

/** Passes bytes on and fails with CORRUPT at the end unless exactly these were read. The last bytes may have been passed on by then. */
export async function* verified(
  stream: ByteStream,
  expected: { readonly digest: Digest; readonly sizeBytes: number },
): ByteStream {
  const hasher = createHasher();
  let sizeBytes = 0;
  for await (const bytes of stream) {
    hasher.update(bytes);
    sizeBytes += bytes.length;
    if (sizeBytes > expected.sizeBytes) break;
    yield bytes;
  }
  if (sizeBytes !== expected.sizeBytes) {
    throw new DatamonError(
      'CORRUPT',
      `expected ${expected.sizeBytes} bytes of ${expected.digest}, read ${sizeBytes}`,
    );
  }
  const actual = hasher.digest();
  if (actual !== expected.digest) {
    throw new DatamonError('CORRUPT', `expected ${expected.digest}, read bytes of ${actual}`);
  }
}
