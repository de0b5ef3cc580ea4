/** SHA-256 digests as a value type. A `Digest` was either computed here or passed `parseDigest`. */
import { createHash, hash } from 'node:crypto';
import { DatamonError } from './errors.ts';

/** SHA-256 of exact bytes: 64 lower-case hex digits. */
export type Digest = string & { readonly __brand: 'Digest' };

export const DIGEST_SIZE_BYTES = 32;
const DIGEST_PATTERN = /^[0-9a-f]{64}$/;

/** The digest of no bytes at all. */
export const EMPTY_DIGEST = digestOf(new Uint8Array());

export function digestOf(bytes: Uint8Array | string): Digest {
  return hash('sha256', bytes, 'hex') as Digest;
}

/** Parses 64 lower-case hex digits. Throws INVALID for anything else. */
export function parseDigest(text: unknown): Digest {
  if (isDigest(text)) return text;
  const shown = typeof text === 'string' ? JSON.stringify(text.slice(0, 80)) : typeof text;
  throw new DatamonError('INVALID', `not a SHA-256 digest (64 lower-case hex digits): ${shown}`);
}

export function isDigest(text: unknown): text is Digest {
  // `$` also matches before a final newline in some engines' modes; the length check leaves no room for one.
  return typeof text === 'string' && text.length === 64 && DIGEST_PATTERN.test(text);
}

export function digestFromBytes(bytes: Uint8Array): Digest {
  if (bytes.length !== DIGEST_SIZE_BYTES) {
    throw new DatamonError(
      'CORRUPT',
      `a digest has ${DIGEST_SIZE_BYTES} bytes, not ${bytes.length}`,
    );
  }
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex') as Digest;
}

export function digestToBytes(digest: Digest): Buffer {
  return Buffer.from(digest, 'hex');
}

/** A digest computed piece by piece. */
export interface Hasher {
  update(bytes: Uint8Array): void;
  /** Ends the computation; call once. */
  digest(): Digest;
}

export function createHasher(): Hasher {
  const hash = createHash('sha256');
  return {
    update: (bytes) => void hash.update(bytes),
    digest: () => hash.digest('hex') as Digest,
  };
}
