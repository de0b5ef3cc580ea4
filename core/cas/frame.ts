/**
 * Frames: a chunk, a recipe or a page, framed so that it proves itself (docs/format.md §6). Promise: what `decodeFrame`
 * returns has the digest its header names, lay in the container asked for, and took no more memory than its header says.
 */
import { type Digest, digestFromBytes, digestOf } from '../digest.ts';
import { DatamonError } from '../errors.ts';
import type { ContainerId } from '../keys.ts';
import { looksCompressible } from './compressibility.ts';
import { crc32, zlib } from './zlib-part.ts';

export type FrameKind = 'chunk' | 'recipe' | 'page';
export type Codec = 'raw' | 'zstd';

export const FRAME_HEADER_SIZE_BYTES = 64;
export const FRAME_RAW_SIZE_MAX_BYTES = 16 * 1024 * 1024;
export const CONTAINER_ID_SIZE_BYTES = 16;

export const FRAME_KIND_CODES: Readonly<Record<FrameKind, number>> = {
  chunk: 1,
  recipe: 2,
  page: 3,
};
const KINDS: readonly (FrameKind | undefined)[] = [undefined, 'chunk', 'recipe', 'page'];
export const frameKindOf = (code: number | undefined): FrameKind | undefined => KINDS[code ?? 0];
const CODECS: readonly Codec[] = ['raw', 'zstd'];
const CIPHER_NONE = 0;

/** Level 1: faster than a disk, and what it leaves on the table is not worth the seconds. */
const ZSTD_LEVEL = 1;
/** Compressed must be smaller than this share of the raw bytes, or raw they stay. */
const WORTHWHILE_SHARE = 0.96;
/** A frame's raw bytes never need a larger window; bounds what a hostile frame can make us allocate. */
const ZSTD_WINDOW_LOG_MAX = 24;

export interface FrameHeader {
  readonly kind: FrameKind;
  readonly codec: Codec;
  /** Of the raw payload. */
  readonly digest: Digest;
  readonly rawLength: number;
  /** Without the header. */
  readonly storedLength: number;
}

/** A frame's content, compressed where that pays, not yet placed in a container. */
export interface EncodedFrame extends FrameHeader {
  readonly stored: Uint8Array;
}

/**
 * Bytes that are going to be kept: copied where they are a small view, which would keep the large buffer it was cut from alive, and where they
 * lie in shared memory, which is filled again.
 */
export function ownBytes(bytes: Uint8Array): Uint8Array {
  const isLent = bytes.buffer instanceof SharedArrayBuffer;
  return isLent || bytes.buffer.byteLength > 2 * bytes.length ? Buffer.from(bytes) : bytes;
}

/** Who makes sure that a frame has the bytes its digest names: it is worth a third of a fast read. */
export type FrameProof = 'by digest' | 'by the reader';

export interface FramePayload {
  readonly kind: FrameKind;
  readonly digest: Digest;
  readonly payload: Uint8Array;
}

/** Compresses off the main thread where a probe says it pays; raw, the frame's bytes are the payload itself, which must not change. */
export async function encodeFrame(frame: FramePayload): Promise<EncodedFrame> {
  const { kind, digest, payload } = frame;
  if (payload.length > FRAME_RAW_SIZE_MAX_BYTES) {
    throw new DatamonError('TOO_LARGE', `a frame holds no ${payload.length} bytes`);
  }
  const base = { kind, digest, rawLength: payload.length };
  if (looksCompressible(payload)) {
    const stored = await compress(payload);
    if (stored.length < payload.length * WORTHWHILE_SHARE) {
      return { ...base, codec: 'zstd', storedLength: stored.length, stored };
    }
  }
  return { ...base, codec: 'raw', storedLength: payload.length, stored: payload };
}

export function encodeFrameHeader(id: ContainerId, frame: FrameHeader): Buffer {
  const header = Buffer.alloc(FRAME_HEADER_SIZE_BYTES);
  header.write(id, 0, 'hex');
  header[16] = FRAME_KIND_CODES[frame.kind];
  header[17] = CODECS.indexOf(frame.codec);
  header[18] = CIPHER_NONE;
  header.write(frame.digest, 20, 'hex');
  header.writeUInt32LE(frame.rawLength, 52);
  header.writeUInt32LE(frame.storedLength, 56);
  header.writeUInt32LE(crc32(header.subarray(0, 60)), 60);
  return header;
}

/** Parses the header at the start of `bytes`. CORRUPT unless it is whole and belongs to container `id`; UNSUPPORTED for a codec or cipher of later days. */
export function parseFrameHeader(bytes: Uint8Array, id: ContainerId, what: string): FrameHeader {
  const header = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (header.length < FRAME_HEADER_SIZE_BYTES) {
    throw new DatamonError('CORRUPT', `${what} ends within a frame header`);
  }
  if (header.readUInt32LE(60) !== crc32(header.subarray(0, 60))) {
    throw new DatamonError('CORRUPT', `${what} has a damaged frame header`);
  }
  if (header.toString('hex', 0, 16) !== id) {
    throw new DatamonError('CORRUPT', `${what} holds a frame of another container`);
  }
  const kind = frameKindOf(header[16]);
  const codec = CODECS[header[17] ?? 0];
  if (kind === undefined || codec === undefined || header[18] !== CIPHER_NONE) {
    throw new DatamonError(
      'UNSUPPORTED',
      `${what} holds a frame of kind ${header[16]}, codec ${header[17]}, cipher ${header[18]}, which this version does not know`,
      { hint: 'Update datamon.' },
    );
  }
  const digest = digestFromBytes(header.subarray(20, 52));
  const rawLength = header.readUInt32LE(52);
  const storedLength = header.readUInt32LE(56);
  if (!plausible(codec, rawLength, storedLength) || header[19] !== 0) {
    throw new DatamonError('CORRUPT', `${what} has a frame header with impossible lengths`);
  }
  return { kind, codec, digest, rawLength, storedLength };
}

function plausible(codec: Codec, rawLength: number, storedLength: number): boolean {
  if (rawLength > FRAME_RAW_SIZE_MAX_BYTES) return false;
  return codec === 'raw' ? storedLength === rawLength : storedLength <= rawLength;
}

/** The raw payload. CORRUPT unless it has the length and, where that is the proof, the digest that the header names. */
export function decodeFrame(
  header: FrameHeader,
  stored: Uint8Array,
  what: string,
  proof: FrameProof = 'by digest',
): Uint8Array {
  const payload = header.codec === 'raw' ? stored : decompress(header, stored, what);
  const isProved = proof === 'by the reader' || digestOf(payload) === header.digest;
  if (payload.length !== header.rawLength || !isProved) {
    throw new DatamonError('CORRUPT', `${what}: the frame ${header.digest} has other bytes`);
  }
  return payload;
}

function decompress(header: FrameHeader, stored: Uint8Array, what: string): Uint8Array {
  try {
    return zlib().zstdDecompressSync(stored, {
      maxOutputLength: Math.max(1, header.rawLength),
      params: { [zlib().constants.ZSTD_d_windowLogMax]: ZSTD_WINDOW_LOG_MAX },
    });
  } catch (cause) {
    throw new DatamonError('CORRUPT', `${what}: the frame ${header.digest} does not decompress`, {
      cause,
    });
  }
}

const compression = () => ({
  params: { [zlib().constants.ZSTD_c_compressionLevel]: ZSTD_LEVEL },
});

function compress(payload: Uint8Array): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    zlib().zstdCompress(payload, compression(), (error, stored) => {
      if (error) reject(error);
      else resolve(stored);
    });
  });
}
