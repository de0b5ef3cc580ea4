/**
 * A reader of stores written from docs/format.md alone: it imports nothing of the library, so that the page is known to be enough.
 * It believes nothing: whatever the page gives a digest, a checksum or an order to is held to it.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32, zstdDecompressSync } from 'node:zlib';

const sha256 = (bytes: Buffer | string): string => createHash('sha256').update(bytes).digest('hex');

function must(holds: boolean, what: string): void {
  if (!holds) throw new Error(`docs/format.md does not hold: ${what}`);
}

// biome-ignore lint/suspicious/noExplicitAny: what JSON holds is what the page says, and nobody else.
type Fields = any;

/** §1: the text, a newline, its digest, a newline. */
export function openSealed(bytes: Buffer): Fields {
  const [text = '', seal, rest] = bytes.toString('utf8').split('\n');
  must(seal === sha256(text) && rest === '', 'a seal');
  return JSON.parse(text);
}

/** §2. */
export function escapeSegment(name: string): string {
  const escaped = [...Buffer.from(name)]
    .map((byte, index) => {
      const char = String.fromCharCode(byte);
      const plain =
        /[a-z0-9_-]/.test(char) || (char === '.' && index > 0) || (char === '~' && index === 0);
      return plain ? char : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
    })
    .join('');
  return escaped.length > 255 ? `=${sha256(name)}` : escaped;
}

/** §3: the newest entry first; the chain is checked down to entry 1. */
export function readLog(folder: string): Fields[] {
  const names = readdirSync(folder).sort();
  let previous: unknown;
  return names.map((name, index) => {
    const bytes = readFileSync(join(folder, name));
    const entry = openSealed(bytes);
    must(Number(name) === 10 ** 12 - 1 - entry.n, 'the key of a log entry');
    must(index === 0 || previous === sha256(bytes), 'the chain of a log');
    previous = entry.previous;
    must((entry.n === 1) === (previous === null), 'the first entry of a log');
    return entry;
  });
}

export interface Frame {
  readonly kind: number;
  readonly digest: string;
  readonly payload: Buffer;
  readonly offset: number;
  readonly end: number;
}

export interface Container {
  readonly frames: ReadonlyMap<number, Frame>;
  readonly sections: ReadonlyMap<number, Buffer>;
}

/** §6, §7.1. */
export function readContainer(bytes: Buffer, kind: number, id: string): Container {
  must(bytes.toString('latin1', 0, 8) === 'DATAMON\0', 'the magic of a header');
  must(bytes[8] === kind && bytes[9] === 1, 'kind and version of a header');
  must(bytes.toString('hex', 16, 32) === id, 'the id of a header');
  must(bytes.readUInt32LE(60) === crc32(bytes.subarray(0, 60)), 'the checksum of a header');
  const end = bytes.subarray(-128);
  must(end.toString('latin1', 112, 120) === 'DATAMONT', 'the magic of a trailer');
  must(end.readUInt32LE(124) === crc32(end.subarray(0, 124)), 'the checksum of a trailer');
  must(end.toString('hex', 48, 64) === id && end[64] === kind && end[65] === 1, 'a trailer');
  must(end.toString('hex', 80, 112) === sha256(bytes.subarray(0, -48)), 'the digest of the whole');
  const start = Number(end.readBigUInt64LE(0));
  const tables = bytes.subarray(start, start + Number(end.readBigUInt64LE(8)));
  must(start + tables.length + 128 === bytes.length, 'where the tables lie');
  must(end.toString('hex', 16, 48) === sha256(tables), 'the digest of the tables');
  const sections = readSections(tables);
  const frames = readFrames(bytes.subarray(0, start), id);
  checkFrameTable(sections.get(1) ?? Buffer.alloc(0), [...frames.values()]);
  return { frames, sections };
}

function readSections(tables: Buffer): Map<number, Buffer> {
  const sections = new Map<number, Buffer>();
  for (let at = 0; at < tables.length; ) {
    const length = tables.readUInt32LE(at + 4);
    sections.set(tables.readUInt32LE(at), tables.subarray(at + 8, at + 8 + length));
    at += 8 + length;
  }
  return sections;
}

function readFrames(bytes: Buffer, id: string): Map<number, Frame> {
  const frames = new Map<number, Frame>();
  for (let at = 64; at < bytes.length; ) {
    const head = bytes.subarray(at, at + 64);
    must(head.toString('hex', 0, 16) === id, 'the mark of a frame');
    must(head.readUInt32LE(60) === crc32(head.subarray(0, 60)), 'the checksum of a frame');
    must(head[18] === 0 && head[19] === 0 && (head[17] ?? 2) < 2, 'codec and cipher of a frame');
    const end = at + 64 + head.readUInt32LE(56);
    const stored = bytes.subarray(at + 64, end);
    const payload = head[17] === 1 ? zstdDecompressSync(stored) : stored;
    const digest = head.toString('hex', 20, 52);
    must(payload.length === head.readUInt32LE(52), 'the raw length of a frame');
    must(sha256(payload) === digest, 'the digest of a frame');
    frames.set(at, { kind: head[16] ?? 0, digest, payload, offset: at, end });
    at = end;
  }
  return frames;
}

function checkFrameTable(table: Buffer, frames: readonly Frame[]): void {
  must(table.length === 4 + 41 * frames.length, 'the length of a frame table');
  must(table.readUInt32LE(0) === frames.length, 'the count of a frame table');
  for (const [index, { kind, digest, payload, offset, end }] of frames.entries()) {
    const at = 4 + 41 * index;
    must(table[at] === kind && table.toString('hex', at + 1, at + 33) === digest, 'a frame entry');
    must(table.readUInt32LE(at + 33) === payload.length, 'a raw length');
    must(table.readUInt32LE(at + 37) === end - offset - 64, 'a stored length');
  }
}

export interface Run {
  /** Null: the segment itself. */
  readonly container: { readonly kind: number; readonly tier: number; readonly id: string } | null;
  readonly frameCount: number;
  readonly offset: number;
  readonly storedLength: number;
  readonly rawLength: number;
}

export interface StoredRecord {
  readonly oid: string;
  readonly sizeBytes: number;
  /** 1 blob, 2 page. */
  readonly kind: number;
  /** 1 verified, 2 claimed. */
  readonly state: number;
  readonly runs: readonly Run[];
}

/** §7.2 to §7.4; fan-out, filter and order are checked on the way. */
export function readRecords(sections: ReadonlyMap<number, Buffer>): StoredRecord[] {
  const section = (type: number): Buffer => sections.get(type) ?? Buffer.alloc(0);
  const table = section(2);
  const containers = readContainerTable(section(4));
  const runs = Array.from({ length: section(3).length / 32 }, (_, index): Run => {
    const bytes = section(3).subarray(index * 32);
    const place = bytes.readUInt32LE(0);
    const number = (at: number): number => Number(bytes.readBigUInt64LE(at));
    return {
      container: place === 0 ? null : (containers[place - 1] ?? null),
      frameCount: bytes.readUInt32LE(4),
      offset: number(8),
      storedLength: number(16),
      rawLength: number(24),
    };
  });
  const records: StoredRecord[] = [];
  for (let index = 0; index < table.readUInt32LE(0); index += 1) {
    const at = 4 + 1024 + index * 56;
    const first = table.readUInt32LE(at + 44);
    const oid = table.toString('hex', at, at + 32);
    must(isInFilter(section(6), table.subarray(at, at + 32)), 'the filter');
    must(index < table.readUInt32LE(4 + (table[at] ?? 0) * 4), 'the fan-out');
    records.push({
      oid,
      sizeBytes: Number(table.readBigUInt64LE(at + 32)),
      kind: table[at + 40] ?? 0,
      state: table[at + 41] ?? 0,
      runs: runs.slice(first, first + table.readUInt32LE(at + 48)),
    });
  }
  const order = records.map(({ oid, kind }) => `${oid}${kind}`);
  must(order.join() === order.toSorted().join(), 'the order of records');
  return records;
}

function readContainerTable(table: Buffer): NonNullable<Run['container']>[] {
  let at = 4;
  return Array.from({ length: table.readUInt32LE(0) }, () => {
    const entry = table.subarray(at, at + 48);
    at += 48 + 32 * entry.readUInt32LE(44);
    return { kind: entry[0] ?? 0, tier: entry[1] ?? 0, id: entry.toString('hex', 4, 20) };
  });
}

/** §7.5. */
export function readReplaced(table: Buffer): string[] {
  return Array.from({ length: table.readUInt32LE(0) }, (_, index) =>
    table.toString('hex', 4 + index * 16, 20 + index * 16),
  );
}

/** §7.6. */
function isInFilter(filter: Buffer, oid: Buffer): boolean {
  return Array.from({ length: 7 }, (_, i) => oid.readUInt32LE(4 * i) % (filter.length * 8)).every(
    (bit) => (((filter[bit >> 3] ?? 0) >> (bit & 7)) & 1) === 1,
  );
}

/** §5: cut points, byte by byte as the page has it. */
export function cutPoints(bytes: Buffer, pool: Fields): number[] {
  const { minBytes: min, averageBytes: average, maxBytes: max } = pool;
  const seed = Buffer.from(pool.seed, 'hex');
  const gear = Array.from({ length: 256 }, (_, byte) =>
    createHash('sha256').update(seed).update(Buffer.of(byte)).digest().readUInt32LE(0),
  );
  const bits = Math.log2(average);
  const points: number[] = [];
  for (let start = 0; start < bytes.length; start = points.at(-1) as number) {
    let hash = 0;
    let end = Math.min(bytes.length, start + max);
    for (let at = start + min - 32; at < end; at += 1) {
      hash = (hash * 2 + (gear[bytes[at] ?? 0] ?? 0)) % 2 ** 32;
      if (at < start + min) continue;
      const top = at < start + average ? bits + 2 : bits - 2;
      if (hash < 2 ** (32 - top)) end = at + 1;
    }
    points.push(end);
  }
  return points;
}

export interface PageEntry {
  readonly path: string;
  readonly kind: number;
  readonly flags: number;
  readonly sizeBytes: number;
  readonly oid: string | null;
  readonly reference: string | null;
}

export interface PageChild {
  readonly digest: string;
  readonly fileCount: number;
  readonly sizeBytes: number;
  readonly firstPath: string;
}

export interface Page {
  readonly level: number;
  readonly entries: readonly PageEntry[];
  readonly children: readonly PageChild[];
}

/** §10. */
export function readPage(bytes: Buffer): Page {
  must(bytes.toString('latin1', 0, 4) === 'DTRE' && bytes[4] === 1, 'the header of a page');
  const level = bytes[5] ?? 0;
  let at = 12;
  const take = (count: number): Buffer => {
    at += count;
    return bytes.subarray(at - count, at);
  };
  const varint = (): number => {
    for (let value = 0, factor = 1; ; factor *= 128) {
      const [byte = 0] = take(1);
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
  };
  const counted = (): Buffer => take(varint());
  const entry = (): PageEntry => {
    const [kind = 0, flags = 0] = take(2);
    const sizeBytes = varint();
    const oid = (flags & 2) === 0 ? null : take(32).toString('hex');
    const path = counted().toString('latin1');
    const reference = (flags & 4) === 0 ? null : counted().toString('utf8');
    return { path, kind, flags, sizeBytes, oid, reference };
  };
  const child = (): PageChild => ({
    digest: take(32).toString('hex'),
    fileCount: varint(),
    sizeBytes: varint(),
    firstPath: counted().toString('latin1'),
  });
  const length = bytes.readUInt32LE(8);
  const entries = level === 0 ? Array.from({ length }, entry) : [];
  const children = level > 0 ? Array.from({ length }, child) : [];
  must(at === bytes.length, 'the end of a page');
  return { level, entries, children };
}
