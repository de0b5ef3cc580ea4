/** Recipe frames (docs/format.md §6): a blob as its chunks, kept beside them so that even lost segments can be rebuilt. */
import { type Digest, digestFromBytes, digestOf } from '../digest.ts';
import { DatamonError } from '../errors.ts';
import { safeNumber } from './container-format.ts';
import type { FramePayload } from './frame.ts';
import type { RecipeChunk } from './ingest.ts';

export const RECIPE_PART_CHUNK_COUNT_MAX = 65_536;
const HEAD_SIZE_BYTES = 56;
const ENTRY_SIZE_BYTES = 36;
const MAGIC = Buffer.from('DRCP', 'latin1');
const VERSION = 1;

/** One part of a recipe: a claim, until the chunks of all parts, joined, hash to the oid. */
export interface RecipePart {
  readonly oid: Digest;
  /** Of the whole blob. */
  readonly sizeBytes: number;
  readonly firstChunk: number;
  readonly chunks: readonly RecipeChunk[];
}

export function encodeRecipePart(part: RecipePart): FramePayload {
  const payload = Buffer.alloc(HEAD_SIZE_BYTES + part.chunks.length * ENTRY_SIZE_BYTES);
  MAGIC.copy(payload, 0);
  payload[4] = VERSION;
  payload.write(part.oid, 8, 'hex');
  payload.writeBigUInt64LE(BigInt(part.sizeBytes), 40);
  payload.writeUInt32LE(part.firstChunk, 48);
  payload.writeUInt32LE(part.chunks.length, 52);
  for (const [index, { digest, sizeBytes }] of part.chunks.entries()) {
    const at = HEAD_SIZE_BYTES + index * ENTRY_SIZE_BYTES;
    payload.write(digest, at, 'hex');
    payload.writeUInt32LE(sizeBytes, at + 32);
  }
  return { kind: 'recipe', digest: digestOf(payload), payload };
}

export function parseRecipePart(bytes: Uint8Array): RecipePart {
  const payload = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const count = payload.length >= HEAD_SIZE_BYTES ? payload.readUInt32LE(52) : -1;
  if (
    payload.length !== HEAD_SIZE_BYTES + count * ENTRY_SIZE_BYTES ||
    !payload.subarray(0, 4).equals(MAGIC)
  ) {
    throw new DatamonError('CORRUPT', 'a recipe frame holds no recipe');
  }
  if (payload[4] !== VERSION) {
    throw new DatamonError('UNSUPPORTED', `a recipe of version ${payload[4]}`, {
      hint: 'Update datamon.',
    });
  }
  return {
    oid: digestFromBytes(payload.subarray(8, 40)),
    sizeBytes: safeNumber(payload, 40, 'a recipe'),
    firstChunk: payload.readUInt32LE(48),
    chunks: Array.from({ length: count }, (_, index) => {
      const at = HEAD_SIZE_BYTES + index * ENTRY_SIZE_BYTES;
      return {
        digest: digestFromBytes(payload.subarray(at, at + 32)),
        sizeBytes: payload.readUInt32LE(at + 32),
      };
    }),
  };
}
