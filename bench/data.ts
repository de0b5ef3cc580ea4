/** The files that are moved, all from a seed: the same bytes on every machine, made as streams, never held whole. */

import type { RawPath } from '../core/meta/model.ts';
import { rawPathFromText } from '../core/meta/raw-path.ts';
import { seededBytes, seededStream, splitmix64 } from '../test/support/splitmix64.ts';

export interface GeneratedFile {
  readonly path: string;
  readonly sizeBytes: number;
  open(): AsyncIterable<Uint8Array>;
}

export const BIG_SEED = 1;
const INSERTED_SEED = 2;
const SMALL_SEED = 1_000;
const CLIENT_SEED = 2_000_000;
const ROW_SEED = 3;

/** Random bytes: nothing to compress, no chunk twice. */
export function bigFile(sizeBytes: number): GeneratedFile {
  return { path: 'big.bin', sizeBytes, open: () => seededStream(BIG_SEED, sizeBytes) };
}

/** The same with other bytes put into its middle. */
export function bigFileWithInsertion(sizeBytes: number, insertedBytes: number): GeneratedFile {
  const middle = Math.floor(sizeBytes / 2);
  return {
    path: 'big.bin',
    sizeBytes: sizeBytes + insertedBytes,
    async *open() {
      yield* seededStream(BIG_SEED, middle);
      yield* seededStream(INSERTED_SEED, insertedBytes);
      yield* seededStream(BIG_SEED, sizeBytes - middle, middle);
    },
  };
}

/** Small files of random bytes, 100 in a folder. */
export function smallFiles(count: number, sizeBytes: number): readonly GeneratedFile[] {
  return Array.from({ length: count }, (_, index) => ({
    path: `small/${String(Math.floor(index / 100)).padStart(4, '0')}/${String(index % 100).padStart(2, '0')}.bin`,
    sizeBytes,
    async *open() {
      yield seededBytes(SMALL_SEED + index, sizeBytes);
    },
  }));
}

/** What client `index` of several pushes; no two have a byte in common. */
export function clientFile(index: number, sizeBytes: number): GeneratedFile {
  return {
    path: 'own.bin',
    sizeBytes,
    open: () => seededStream(CLIENT_SEED + index, sizeBytes),
  };
}

const ROW_SIZE_BYTES = 64;
/** Rows written in one piece. */
const ROWS_A_PIECE = 4096;
/** Places in which a version's corrections fall: whole days of readings, not single rows all over the file. */
const EDITED_PLACES = 16;

/**
 * A table of readings in its versions: odd ones add 1 % of rows at the end, even ones correct 1 % of rows in 16 places. Rows are fixed
 * in size, so that a version is known by its rows' revisions alone.
 */
export class RowFile {
  readonly path = 'readings.csv.bin';
  readonly #random = splitmix64(ROW_SEED);
  readonly #revisions: number[];
  #version = 0;

  constructor(sizeBytes: number) {
    this.#revisions = new Array<number>(Math.ceil(sizeBytes / ROW_SIZE_BYTES)).fill(0);
  }

  /** What stands in the file now. */
  get file(): GeneratedFile {
    const revisions = this.#revisions.slice();
    return {
      path: this.path,
      sizeBytes: revisions.length * ROW_SIZE_BYTES,
      async *open() {
        for (let first = 0; first < revisions.length; first += ROWS_A_PIECE) {
          yield rows(first, revisions.slice(first, first + ROWS_A_PIECE));
        }
      },
    };
  }

  /** Goes on to the next version. */
  edit(): void {
    this.#version += 1;
    const count = Math.max(EDITED_PLACES, Math.round(this.#revisions.length / 100));
    if (this.#version % 2 === 1) {
      for (let added = 0; added < count; added += 1) this.#revisions.push(this.#version);
      return;
    }
    const run = Math.ceil(count / EDITED_PLACES);
    for (let place = 0; place < EDITED_PLACES; place += 1) {
      const start = Math.floor(this.#random() * (this.#revisions.length - run));
      this.#revisions.fill(this.#version, start, start + run);
    }
  }
}

/** `2026-01-01T00:00:00Z,station-0042,     12.345,    987.654,ok` and a line feed: 64 bytes. */
function rows(first: number, revisions: readonly number[]): Buffer {
  const lines: string[] = [];
  for (const [offset, revision] of revisions.entries()) {
    const row = first + offset;
    // Numbers that look random and need no generator for each row: a multiplicative hash of row and revision.
    const mixed = Math.imul(row + 1, 0x9e3779b1) ^ Math.imul(revision + 1, 0x85ebca6b);
    const a = ((mixed >>> 8) % 1_000_000) / 1000;
    const b = (Math.imul(mixed, 0x27d4eb2f) >>> 8) / 1000;
    const station = String(row % 97).padStart(4, '0');
    const text = `${timeOf(row)},station-${station},${a.toFixed(3)},${b.toFixed(3)}`;
    lines.push(text.padEnd(ROW_SIZE_BYTES - 1), '\n');
  }
  return Buffer.from(lines.join(''), 'latin1');
}

const timeOf = (row: number): string =>
  new Date(Date.UTC(2026, 0, 1) + Math.floor(row / 97) * 1000).toISOString().slice(0, 19);

/** Paths of a large data set in byte order: folders of 1,000 files. */
export function* treePaths(count: number): Iterable<RawPath> {
  for (let index = 0; index < count; index += 1) {
    const folder = String(Math.floor(index / 1000)).padStart(4, '0');
    yield rawPathFromText(`data/${folder}/part-${String(index % 1000).padStart(3, '0')}.parquet`);
  }
}
