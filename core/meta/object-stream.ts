/**
 * Many small objects in one answer of the API (docs/api.md §2): what the batch asked for, then objects, each with its oid and size
 * before its bytes. Promise of the reader: each object it passes on hashes to its oid; at anything else it fails.
 */
import type { ByteStream } from '../bytes.ts';
import { createByteQueue } from '../cas/byte-queue.ts';
import type { SmallBlob } from '../cas/ingest.ts';
import {
  DIGEST_SIZE_BYTES,
  type Digest,
  digestFromBytes,
  digestOf,
  digestToBytes,
} from '../digest.ts';
import { DatamonError } from '../errors.ts';
import { parseHasAnswer, type SizedOid } from './api-wire.ts';

/** Larger objects travel alone. */
export const STREAMED_SIZE_MAX_BYTES = 1024 * 1024;
/** Of all objects of one answer: their reader keeps them on disk until they are asked for. */
export const STREAM_SIZE_MAX_BYTES = 256 * 1024 * 1024;
const LENGTH_SIZE_BYTES = 4;
const HEAD_SIZE_BYTES = DIGEST_SIZE_BYTES + 8;
const MEMBERS_SIZE_MAX_BYTES = 16 * 1024 * 1024;

export function encodeMembers(members: readonly SizedOid[]): Buffer {
  const json = Buffer.from(JSON.stringify({ objects: members }));
  const length = Buffer.alloc(LENGTH_SIZE_BYTES);
  length.writeUInt32BE(json.length);
  return Buffer.concat([length, json]);
}

export function encodeObject({ oid, bytes }: SmallBlob): Buffer {
  const size = Buffer.alloc(8);
  size.writeBigUInt64BE(BigInt(bytes.length));
  return Buffer.concat([digestToBytes(oid), size, bytes]);
}

export interface ObjectStream {
  readonly members: readonly SizedOid[];
  /** To be read once, to its end or left early. */
  readonly objects: AsyncIterable<SmallBlob>;
}

/** CORRUPT where the stream is not what it should be; a cut of it is the stream's own failure. */
export async function readObjectStream(stream: ByteStream): Promise<ObjectStream> {
  const queue = createByteQueue(stream);
  const exactly = async (count: number): Promise<Buffer> => {
    const bytes = await queue.take(count);
    if (bytes.length === count) return bytes;
    throw new DatamonError('CORRUPT', 'an answer of many objects ends in the middle of one');
  };
  try {
    const length = (await exactly(LENGTH_SIZE_BYTES)).readUInt32BE();
    if (length > MEMBERS_SIZE_MAX_BYTES) throw tooLarge();
    const json: unknown = JSON.parse((await exactly(length)).toString('utf8'));
    const { objects: members } = parseHasAnswer(json, 'batch');
    return { members, objects: objectsOf(queue, exactly) };
  } catch (error) {
    await queue.close();
    throw error;
  }
}

async function* objectsOf(
  queue: ReturnType<typeof createByteQueue>,
  exactly: (count: number) => Promise<Buffer>,
): AsyncIterable<SmallBlob> {
  try {
    while ((await queue.peek(1)).length > 0) {
      const head = await exactly(HEAD_SIZE_BYTES);
      const oid: Digest = digestFromBytes(head.subarray(0, DIGEST_SIZE_BYTES));
      const size = head.readBigUInt64BE(DIGEST_SIZE_BYTES);
      if (size > STREAMED_SIZE_MAX_BYTES) throw tooLarge();
      const bytes = await exactly(Number(size));
      if (digestOf(bytes) !== oid) {
        throw new DatamonError('CORRUPT', `other bytes arrived than those of ${oid}`);
      }
      yield { oid, bytes };
    }
  } finally {
    await queue.close();
  }
}

const tooLarge = (): DatamonError =>
  new DatamonError('CORRUPT', 'an answer of many objects announces more than it may');
