/** A file to store, made of bytes in memory. */
import type { BlobSource } from '../../core/cas/blob-store.ts';
import { digestOf } from '../../core/digest.ts';

export function sourceOf(bytes: Buffer, label?: string): BlobSource {
  return {
    oid: digestOf(bytes),
    sizeBytes: bytes.length,
    async *open() {
      for (let start = 0; start < bytes.length; start += 65_536) {
        yield bytes.subarray(start, start + 65_536);
      }
    },
    ...(label !== undefined && { label }),
  };
}
