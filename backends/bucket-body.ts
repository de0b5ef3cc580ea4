/**
 * A body made ready for one PUT: its checksum is known before the first byte is sent, so that the store refuses what was
 * damaged on the way. Small bodies are held in memory; larger ones are read twice, which a spooled pack allows.
 */
import type { Body } from '../core/backend/backend.ts';
import { sized } from '../core/backend/sized.ts';
import type { ByteStream } from '../core/bytes.ts';
import type { Key } from '../core/keys.ts';
import type { Watch } from './bucket-watch.ts';

const HELD_SIZE_MAX_BYTES = 256 * 1024;
/** Each piece taken by the connection counts as progress. */
const PIECE_SIZE_BYTES = 64 * 1024;

export interface Checksum {
  update(bytes: Uint8Array): void;
  base64(): string;
}

export interface ReadyBody {
  readonly sizeBytes: number;
  readonly checksum: string;
  /** All bytes where the body is small. */
  readonly held: Buffer | null;
  /** The bytes in pieces; each one that is taken is progress. */
  send(watch: Watch): ByteStream;
  /** The source's own failure while it was sent. */
  failure(): { readonly error: unknown } | null;
}

/** INVALID where the body is shorter or longer than it says. */
export async function readyBody(
  key: Key,
  body: Body,
  newChecksum: () => Checksum,
): Promise<ReadyBody> {
  const checksum = newChecksum();
  const isSmall = body.sizeBytes <= HELD_SIZE_MAX_BYTES;
  const parts: Uint8Array[] = [];
  for await (const bytes of sized(key, body)) {
    checksum.update(bytes);
    if (isSmall) parts.push(Uint8Array.from(bytes));
  }
  const held = isSmall ? Buffer.concat(parts) : null;
  let failure: { readonly error: unknown } | null = null;
  return {
    sizeBytes: body.sizeBytes,
    checksum: checksum.base64(),
    held,
    async *send(watch) {
      try {
        const source = held === null ? sized(key, body) : [held];
        for await (const bytes of source) yield* pieces(bytes, watch);
      } catch (error) {
        failure = { error };
        throw error;
      }
    },
    failure: () => failure,
  };
}

function* pieces(bytes: Uint8Array, watch: Watch): Iterable<Uint8Array> {
  for (let at = 0; at < bytes.length; at += PIECE_SIZE_BYTES) {
    watch.progress();
    yield bytes.subarray(at, at + PIECE_SIZE_BYTES);
  }
}
