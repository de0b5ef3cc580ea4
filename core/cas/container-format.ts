/**
 * Header, trailer and sections of a container (docs/format.md §6, §7). Parsers throw CORRUPT for bytes that do not prove
 * themselves and UNSUPPORTED for versions and mandatory sections of later days.
 */
import { type Digest, digestFromBytes } from '../digest.ts';
import { DatamonError } from '../errors.ts';
import type { ContainerId } from '../keys.ts';
import { crc32 } from './zlib-part.ts';

export type ContainerKind = 'pack' | 'segment';

export const CONTAINER_HEADER_SIZE_BYTES = 64;
export const CONTAINER_TRAILER_SIZE_BYTES = 128;
/** Bytes of the trailer that the digest of the whole covers. */
export const TRAILER_DIGESTED_SIZE_BYTES = 80;

/** Whether a pack comes whole, or without the end that is worked out from all before it: `OPEN_PACK_LACKS_BYTES`. */
export type PackForm = 'sealed' | 'open';

/** The digest of the pack, and what follows it in the trailer. */
export const OPEN_PACK_LACKS_BYTES = CONTAINER_TRAILER_SIZE_BYTES - TRAILER_DIGESTED_SIZE_BYTES;
/** No table of an honest container comes near it. */
export const TABLES_SIZE_MAX_BYTES = 256 * 1024 * 1024;

const HEADER_MAGIC = Buffer.from('DATAMON\0', 'latin1');
const TRAILER_MAGIC = Buffer.from('DATAMONT', 'latin1');
const VERSION = 1;
const KIND_CODES: Readonly<Record<ContainerKind, number>> = { pack: 1, segment: 2 };
const KINDS: readonly (ContainerKind | undefined)[] = [undefined, 'pack', 'segment'];
const SECTION_HEADER_SIZE_BYTES = 8;
const MANDATORY_BIT = 0x80000000;

export const SECTION = {
  frames: 1,
  records: 2,
  runs: 3,
  containers: 4,
  replaces: 5,
  filter: 6,
} as const;

export interface Section {
  readonly type: number;
  readonly bytes: Buffer;
}

/** Which container is meant; parsers compare. */
export interface ContainerName {
  readonly kind: ContainerKind;
  readonly id: ContainerId;
}

export interface Trailer extends ContainerName {
  readonly tablesOffset: number;
  readonly tablesLength: number;
  readonly tablesDigest: Digest;
  /** Of every byte before it. */
  readonly wholeDigest: Digest;
}

export const kindCode = (kind: ContainerKind): number => KIND_CODES[kind];
export const kindOfCode = (code: number): ContainerKind | undefined => KINDS[code];

export function encodeHeader({ kind, id }: ContainerName): Buffer {
  const header = Buffer.alloc(CONTAINER_HEADER_SIZE_BYTES);
  HEADER_MAGIC.copy(header, 0);
  header[8] = KIND_CODES[kind];
  header[9] = VERSION;
  header.write(id, 16, 'hex');
  header.writeUInt32LE(crc32(header.subarray(0, 60)), 60);
  return header;
}

export function parseHeader(bytes: Buffer, what: string): ContainerName {
  const whole =
    bytes.length >= CONTAINER_HEADER_SIZE_BYTES &&
    bytes.subarray(0, 8).equals(HEADER_MAGIC) &&
    bytes.readUInt32LE(60) === crc32(bytes.subarray(0, 60));
  if (!whole) throw new DatamonError('CORRUPT', `${what} has no intact container header`);
  return { kind: knownKind(bytes[8], bytes[9], what), id: hexId(bytes, 16) };
}

/** The trailer's first bytes, those that the digest of the whole covers. */
export function encodeTrailerHead(trailer: Omit<Trailer, 'wholeDigest'>): Buffer {
  const head = Buffer.alloc(TRAILER_DIGESTED_SIZE_BYTES);
  head.writeBigUInt64LE(BigInt(trailer.tablesOffset), 0);
  head.writeBigUInt64LE(BigInt(trailer.tablesLength), 8);
  head.write(trailer.tablesDigest, 16, 'hex');
  head.write(trailer.id, 48, 'hex');
  head[64] = KIND_CODES[trailer.kind];
  head[65] = VERSION;
  return head;
}

export function encodeTrailer(head: Buffer, wholeDigest: Digest): Buffer {
  const trailer = Buffer.alloc(CONTAINER_TRAILER_SIZE_BYTES);
  head.copy(trailer, 0);
  trailer.write(wholeDigest, TRAILER_DIGESTED_SIZE_BYTES, 'hex');
  TRAILER_MAGIC.copy(trailer, 112);
  trailer.writeUInt32LE(crc32(trailer.subarray(0, 124)), 124);
  return trailer;
}

export function parseTrailer(bytes: Buffer, what: string): Trailer {
  const whole =
    bytes.length === CONTAINER_TRAILER_SIZE_BYTES &&
    bytes.subarray(112, 120).equals(TRAILER_MAGIC) &&
    bytes.readUInt32LE(124) === crc32(bytes.subarray(0, 124));
  if (!whole) throw new DatamonError('CORRUPT', `${what} has no intact trailer`);
  return {
    kind: knownKind(bytes[64], bytes[65], what),
    id: hexId(bytes, 48),
    tablesOffset: safeNumber(bytes, 0, what),
    tablesLength: safeNumber(bytes, 8, what),
    tablesDigest: digestFromBytes(bytes.subarray(16, 48)),
    wholeDigest: digestFromBytes(bytes.subarray(80, 112)),
  };
}

/** TOO_LARGE for tables that no reader would take. */
export function encodeSections(sections: readonly Section[]): Buffer {
  const sizeBytes = sections.reduce(
    (sum, { bytes }) => sum + SECTION_HEADER_SIZE_BYTES + bytes.length,
    0,
  );
  if (sizeBytes > TABLES_SIZE_MAX_BYTES) {
    throw new DatamonError('TOO_LARGE', `a container with ${sizeBytes} bytes of tables`);
  }
  const parts: Buffer[] = [];
  for (const { type, bytes } of sections) {
    const head = Buffer.alloc(SECTION_HEADER_SIZE_BYTES);
    head.writeUInt32LE(type, 0);
    head.writeUInt32LE(bytes.length, 4);
    parts.push(head, bytes);
  }
  return Buffer.concat(parts);
}

/** The sections this version knows, by type. */
export function parseSections(tables: Buffer, what: string): ReadonlyMap<number, Buffer> {
  const known = new Set<number>(Object.values(SECTION));
  const sections = new Map<number, Buffer>();
  let offset = 0;
  while (offset < tables.length) {
    const start = offset + SECTION_HEADER_SIZE_BYTES;
    if (start > tables.length) throw new DatamonError('CORRUPT', `${what} has cut-off tables`);
    const type = tables.readUInt32LE(offset);
    offset = start + tables.readUInt32LE(offset + 4);
    if (offset > tables.length) throw new DatamonError('CORRUPT', `${what} has cut-off tables`);
    if (known.has(type)) sections.set(type, tables.subarray(start, offset));
    else if (type >= MANDATORY_BIT) {
      throw new DatamonError('UNSUPPORTED', `${what} has tables of type ${type}`, {
        hint: 'Update datamon.',
      });
    }
  }
  return sections;
}

export function safeNumber(bytes: Buffer, offset: number, what: string): number {
  const value = bytes.readBigUInt64LE(offset);
  if (value <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(value);
  throw new DatamonError('CORRUPT', `${what} holds the impossible number ${value}`);
}

export const hexId = (bytes: Buffer, offset: number): ContainerId =>
  bytes.toString('hex', offset, offset + 16) as ContainerId;

function knownKind(
  kind: number | undefined,
  version: number | undefined,
  what: string,
): ContainerKind {
  const name = KINDS[kind ?? 0];
  if (name !== undefined && version === VERSION) return name;
  throw new DatamonError(
    'UNSUPPORTED',
    `${what} is a container of kind ${kind}, version ${version}, which this version does not know`,
    { hint: 'Update datamon.' },
  );
}
