/**
 * A segment's tables (docs/format.md §7): written from records, read in place. Promise: a record is found by filter, fan-out and
 * binary search; nothing is decoded that was not asked for.
 */
import { type Digest, digestFromBytes, digestToBytes } from '../digest.ts';
import { DatamonError } from '../errors.ts';
import { isFast } from '../fast-paths.ts';
import type { ContainerId } from '../keys.ts';
import {
  hexId,
  kindCode,
  kindOfCode,
  SECTION,
  type Section,
  safeNumber,
} from './container-format.ts';
import type { ContainerTables } from './container-reader.ts';
import type { ContainerRef } from './containers.ts';
import { buildFilter, mayContain } from './segment-filter.ts';

export type RecordKind = 'blob' | 'page';
export type RecordState = 'verified' | 'claimed';

/** Consecutive frames of one container. */
export interface Run {
  /** Null: the segment that the record stands in. */
  readonly container: ContainerRef | null;
  readonly frameCount: number;
  /** Of the first frame's header. */
  readonly offset: number;
  /** With frame headers. */
  readonly storedLength: number;
  readonly rawLength: number;
}

/** A run whose container is named. */
export interface PlacedRun extends Run {
  readonly container: ContainerRef;
}

/** Where a blob's or a page's bytes are. */
export interface SegmentRecord {
  readonly oid: Digest;
  readonly sizeBytes: number;
  readonly kind: RecordKind;
  readonly state: RecordState;
  readonly runs: readonly Run[];
}

/** Records found before, kept decoded: those of small files, which are asked for by the hundred and again by the next client. */
const DECODED_COUNT_MAX = 1024;
const DECODED_RUN_COUNT_MAX = 4;
const NO_RECORDS: readonly SegmentRecord[] = [];
const RECORD_SIZE_BYTES = 56;
const RUN_SIZE_BYTES = 32;
const CONTAINER_SIZE_BYTES = 48;
const FANOUT_SIZE_BYTES = 256 * 4;
const RECORDS_START = 4 + FANOUT_SIZE_BYTES;
const KIND_CODES: Readonly<Record<RecordKind, number>> = { blob: 1, page: 2 };
const STATE_CODES: Readonly<Record<RecordState, number>> = { verified: 1, claimed: 2 };

export function encodeSegmentTables(
  records: readonly SegmentRecord[],
  replaces: readonly ContainerId[],
): Section[] {
  const keyed = records.map((record) => ({ record, oid: digestToBytes(record.oid) }));
  keyed.sort(
    (a, b) => a.oid.compare(b.oid) || KIND_CODES[a.record.kind] - KIND_CODES[b.record.kind],
  );
  const containers = new Map<ContainerId, { readonly ref: ContainerRef; readonly index: number }>();
  const runs: Run[] = [];
  const table = Buffer.alloc(RECORDS_START + records.length * RECORD_SIZE_BYTES);
  const counts = new Uint32Array(256);
  table.writeUInt32LE(records.length, 0);
  for (const [index, { record, oid }] of keyed.entries()) {
    writeRecord(table, RECORDS_START + index * RECORD_SIZE_BYTES, record, runs.length);
    counts[oid[0] ?? 0] = (counts[oid[0] ?? 0] ?? 0) + 1;
    for (const run of record.runs) {
      const ref = run.container;
      if (ref !== null && !containers.has(ref.id)) {
        containers.set(ref.id, { ref, index: containers.size + 1 });
      }
      runs.push(run);
    }
  }
  for (let byte = 0, sum = 0; byte < 256; byte += 1) {
    sum += counts[byte] ?? 0;
    table.writeUInt32LE(sum, 4 + byte * 4);
  }
  return [
    { type: SECTION.records, bytes: table },
    { type: SECTION.runs, bytes: encodeRuns(runs, (id) => containers.get(id)?.index ?? 0) },
    {
      type: SECTION.containers,
      bytes: encodeContainers([...containers.values()].map((c) => c.ref)),
    },
    { type: SECTION.replaces, bytes: encodeReplaces(replaces) },
    { type: SECTION.filter, bytes: buildFilter(keyed.map(({ oid }) => oid)) },
  ];
}

function writeRecord(table: Buffer, at: number, record: SegmentRecord, firstRun: number): void {
  table.write(record.oid, at, 'hex');
  table.writeBigUInt64LE(BigInt(record.sizeBytes), at + 32);
  table[at + 40] = KIND_CODES[record.kind];
  table[at + 41] = STATE_CODES[record.state];
  table.writeUInt32LE(firstRun, at + 44);
  table.writeUInt32LE(record.runs.length, at + 48);
}

function encodeRuns(runs: readonly Run[], indexOf: (id: ContainerId) => number): Buffer {
  const table = Buffer.alloc(runs.length * RUN_SIZE_BYTES);
  for (const [index, run] of runs.entries()) {
    const at = index * RUN_SIZE_BYTES;
    table.writeUInt32LE(run.container === null ? 0 : indexOf(run.container.id), at);
    table.writeUInt32LE(run.frameCount, at + 4);
    table.writeBigUInt64LE(BigInt(run.offset), at + 8);
    table.writeBigUInt64LE(BigInt(run.storedLength), at + 16);
    table.writeBigUInt64LE(BigInt(run.rawLength), at + 24);
  }
  return table;
}

function encodeContainers(refs: readonly ContainerRef[]): Buffer {
  const count = Buffer.alloc(4);
  count.writeUInt32LE(refs.length, 0);
  const parts: Buffer[] = [count];
  for (const ref of refs) {
    const entry = Buffer.alloc(CONTAINER_SIZE_BYTES);
    entry[0] = kindCode(ref.kind);
    entry[1] = ref.tier;
    entry.write(ref.id, 4, 'hex');
    entry.writeBigUInt64LE(BigInt(ref.tablesOffset), 20);
    entry.writeBigUInt64LE(BigInt(ref.tablesLength), 28);
    entry.writeBigUInt64LE(BigInt(ref.sizeBytes), 36);
    entry.writeUInt32LE(ref.samples.length / 32, 44);
    parts.push(entry, ref.samples);
  }
  return Buffer.concat(parts);
}

function encodeReplaces(ids: readonly ContainerId[]): Buffer {
  const table = Buffer.alloc(4 + ids.length * 16);
  table.writeUInt32LE(ids.length, 0);
  for (const [index, id] of ids.entries()) table.write(id, 4 + index * 16, 'hex');
  return table;
}

/** A segment whose tables are in memory. */
export interface SegmentTables {
  readonly recordCount: number;
  readonly containers: readonly ContainerRef[];
  readonly replaces: readonly ContainerId[];
  record(index: number): SegmentRecord;
  /** The records of this oid and kind. Who asks many segments gives the oid as bytes, so that it is read once. */
  find(oid: Digest | Buffer, kind: RecordKind): readonly SegmentRecord[];
}

/** Opens a segment's tables, already proved by their digest. CORRUPT where sections do not fit together. */
export function openSegmentTables(tables: ContainerTables, what: string): SegmentTables {
  const section = (type: number): Buffer => {
    const bytes = tables.sections.get(type);
    if (bytes !== undefined) return bytes;
    throw new DatamonError('CORRUPT', `${what} lacks a table`);
  };
  const records = section(SECTION.records);
  const runs = section(SECTION.runs);
  const filter = section(SECTION.filter);
  const recordCount = records.length >= RECORDS_START ? records.readUInt32LE(0) : -1;
  if (records.length !== RECORDS_START + recordCount * RECORD_SIZE_BYTES) {
    throw new DatamonError('CORRUPT', `${what} has records that do not fit their table`);
  }
  const containers = parseContainers(section(SECTION.containers), what);
  const replaces = parseReplaces(section(SECTION.replaces), what);

  function record(index: number): SegmentRecord {
    const at = RECORDS_START + index * RECORD_SIZE_BYTES;
    const first = records.readUInt32LE(at + 44);
    const count = records.readUInt32LE(at + 48);
    if ((first + count) * RUN_SIZE_BYTES > runs.length) {
      throw new DatamonError('CORRUPT', `${what} has a record without runs`);
    }
    return {
      oid: digestFromBytes(records.subarray(at, at + 32)),
      sizeBytes: safeNumber(records, at + 32, what),
      kind: records[at + 40] === KIND_CODES.page ? 'page' : 'blob',
      state: records[at + 41] === STATE_CODES.verified ? 'verified' : 'claimed',
      runs: Array.from({ length: count }, (_, run) =>
        parseRun(runs, first + run, containers, what),
      ),
    };
  }

  const decoded = new Map<number, SegmentRecord>();

  /** As `record`; tables never change, so neither does what was read from them. */
  function foundRecord(index: number): SegmentRecord {
    const known = decoded.get(index);
    if (known !== undefined) return known;
    const made = record(index);
    if (made.runs.length <= DECODED_RUN_COUNT_MAX && isFast('decoded-records')) {
      if (decoded.size >= DECODED_COUNT_MAX) decoded.clear();
      decoded.set(index, made);
    }
    return made;
  }

  function find(oid: Digest | Buffer, kind: RecordKind): readonly SegmentRecord[] {
    const wanted = typeof oid === 'string' ? digestToBytes(oid) : oid;
    if (!mayContain(filter, wanted)) return NO_RECORDS;
    const found: SegmentRecord[] = [];
    let index = lowerBound(records, wanted);
    for (; index < recordCount; index += 1) {
      const at = RECORDS_START + index * RECORD_SIZE_BYTES;
      if (wanted.compare(records, at, at + 32) !== 0) break;
      if (records[at + 40] === KIND_CODES[kind]) found.push(foundRecord(index));
    }
    return found;
  }

  return { recordCount, containers, replaces, record, find };
}

/** Index of the first record whose oid is not below `wanted`, found within its fan-out bucket. */
function lowerBound(records: Buffer, wanted: Buffer): number {
  const first = wanted[0] ?? 0;
  let low = first === 0 ? 0 : records.readUInt32LE(4 + (first - 1) * 4);
  let high = records.readUInt32LE(4 + first * 4);
  while (low < high) {
    const middle = (low + high) >> 1;
    const at = RECORDS_START + middle * RECORD_SIZE_BYTES;
    if (wanted.compare(records, at, at + 32) > 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

function parseRun(
  runs: Buffer,
  index: number,
  containers: readonly ContainerRef[],
  what: string,
): Run {
  const at = index * RUN_SIZE_BYTES;
  const container = runs.readUInt32LE(at);
  const ref = container === 0 ? null : containers[container - 1];
  if (ref === undefined) throw new DatamonError('CORRUPT', `${what} has a run in no container`);
  return {
    container: ref,
    frameCount: runs.readUInt32LE(at + 4),
    offset: safeNumber(runs, at + 8, what),
    storedLength: safeNumber(runs, at + 16, what),
    rawLength: safeNumber(runs, at + 24, what),
  };
}

function parseContainers(bytes: Buffer, what: string): ContainerRef[] {
  const broken = new DatamonError('CORRUPT', `${what} has a broken container table`);
  if (bytes.length < 4) throw broken;
  const refs: ContainerRef[] = [];
  let at = 4;
  for (let left = bytes.readUInt32LE(0); left > 0; left -= 1) {
    const samplesStart = at + CONTAINER_SIZE_BYTES;
    if (samplesStart > bytes.length) throw broken;
    const end = samplesStart + bytes.readUInt32LE(at + 44) * 32;
    const kind = kindOfCode(bytes[at] ?? 0);
    if (kind === undefined || end > bytes.length) throw broken;
    refs.push({
      kind,
      id: hexId(bytes, at + 4),
      tier: bytes[at + 1] ?? 0,
      tablesOffset: safeNumber(bytes, at + 20, what),
      tablesLength: safeNumber(bytes, at + 28, what),
      sizeBytes: safeNumber(bytes, at + 36, what),
      // A copy: refs outlive the tables they were read from.
      samples: Buffer.from(bytes.subarray(samplesStart, end)),
    });
    at = end;
  }
  if (at !== bytes.length) throw broken;
  return refs;
}

function parseReplaces(bytes: Buffer, what: string): ContainerId[] {
  const count = bytes.length >= 4 ? bytes.readUInt32LE(0) : -1;
  if (bytes.length !== 4 + count * 16) {
    throw new DatamonError('CORRUPT', `${what} has a broken table of what it replaces`);
  }
  return Array.from({ length: count }, (_, index) => hexId(bytes, 4 + index * 16));
}
