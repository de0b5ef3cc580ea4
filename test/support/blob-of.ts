/** Bytes as a blob to be stored; for programs, too, that run outside of the test runner. */
import type { BlobSource } from '../../core/cas/blob-store.ts';
import { digestOf } from '../../core/digest.ts';

/** A file of these bytes, read in slices of `sliceBytes`. */
export function blobOf(
  bytes: Uint8Array,
  options: Partial<BlobSource> & { readonly sliceBytes?: number } = {},
): BlobSource {
  const { sliceBytes = 64 * 1024, ...source } = options;
  return {
    oid: digestOf(bytes),
    sizeBytes: bytes.length,
    async *open() {
      for (let at = 0; at < bytes.length; at += sliceBytes) {
        yield bytes.subarray(at, at + sliceBytes);
      }
    },
    ...source,
  };
}
