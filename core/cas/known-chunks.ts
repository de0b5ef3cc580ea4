/**
 * Which chunks this repo has stored already, and where. Asked in this order: the containers of the files this one resembles, those a
 * sampled digest leads to, and without either the newest ones within a budget; last, packs of interrupted puts that no record names
 * yet. A miss costs duplicate bytes, never correctness.
 */
import { type Digest, digestFromBytes } from '../digest.ts';
import { hasCode } from '../errors.ts';
import type { ContainerId } from '../keys.ts';
import { inParallel } from './concurrency.ts';
import { type ContainerRef, type Containers, isSampled } from './containers.ts';
import { FRAME_HEADER_SIZE_BYTES } from './frame.ts';
import type { FrameHandle } from './frame-handle.ts';
import type { FrameTable } from './frame-table.ts';
import type { Holdings } from './holdings.ts';
import type { SegmentIndex } from './segment-index.ts';

/** Frame tables kept for lookups: 16 GiB of packs, about 16 MB of memory; more where frames are tiny, up to a bound. */
export const KNOWN_TABLE_COUNT_MAX = 256;
export const KNOWN_TABLES_SIZE_MAX_BYTES = 48 * 1024 * 1024;
/** Sampled digests remembered, the newest ones: about 2 TiB of chunks in some 100 MB of memory. */
export const SAMPLE_COUNT_MAX = 500_000;
/** Priming never reads more than one table for so many bytes to be stored: a request should save more than it costs. */
const BYTES_PER_PRIMED_TABLE = 64 * 1024;
const LOADS_IN_FLIGHT = 8;
const DIGEST_SIZE_BYTES = 32;

export interface KnownChunksOptions {
  readonly containers: Containers;
  readonly index: SegmentIndex;
  readonly holdings: Pick<Holdings, 'mayLeanOn'>;
  readonly tableCountMax?: number;
  readonly sampleCountMax?: number;
}

interface KnownTable {
  readonly ref: ContainerRef;
  readonly frames: FrameTable;
}

/** A table of a pack that no record names yet. */
interface AdoptedTable extends KnownTable {
  /** Which frames were counted as spared. */
  readonly counted: Uint8Array;
}

export class KnownChunks {
  readonly #options: KnownChunksOptions;
  readonly #tableCountMax: number;
  readonly #sampleCountMax: number;
  /** Least recently useful first. */
  readonly #tables = new Map<ContainerId, KnownTable>();
  readonly #samples = new Map<Digest, ContainerRef>();
  readonly #sampled = new Set<ContainerId>();
  readonly #adopted = new Map<ContainerId, AdoptedTable>();
  #last: KnownTable | null = null;
  #heldBytes = 0;
  #adoptedBytes = 0;

  constructor(options: KnownChunksOptions) {
    this.#options = options;
    this.#tableCountMax = options.tableCountMax ?? KNOWN_TABLE_COUNT_MAX;
    this.#sampleCountMax = options.sampleCountMax ?? SAMPLE_COUNT_MAX;
  }

  /** Gets ready to look up the chunks of a file of `sizeBytes` that resembles `basis`. */
  async prepare(sizeBytes: number, basis: readonly Digest[]): Promise<void> {
    const found = await this.#containersOf(basis);
    const budget = Math.min(this.#tableCountMax, Math.ceil(sizeBytes / BYTES_PER_PRIMED_TABLE));
    const wanted = found.length > 0 ? found.slice(0, this.#tableCountMax) : this.#newest(budget);
    await inParallel(wanted, LOADS_IN_FLIGHT, async (ref) => {
      // The best come first; what does not fit any more must not push them out.
      if (this.#heldBytes < KNOWN_TABLES_SIZE_MAX_BYTES) await this.#load(ref);
    });
  }

  /** Loads what a sampled digest leads to. Nothing to wait for with most digests. */
  async follow(digest: Digest): Promise<void> {
    if (!isSampled(digest) || this.find(digest) !== null) return;
    this.#readSamples();
    const ref = this.#samples.get(digest);
    if (ref !== undefined) await this.#load(ref);
  }

  /** Where a chunk is stored, as far as the tables at hand tell. */
  find(digest: Digest): FrameHandle | null {
    const last = this.#last;
    if (last !== null) {
      const handle = this.#findIn(last, digest);
      if (handle !== null) return handle;
    }
    for (const table of this.#tables.values()) {
      const handle = table === last ? null : this.#findIn(table, digest);
      if (handle === null) continue;
      this.#use(table);
      return handle;
    }
    for (const table of this.#adopted.values()) {
      const handle = this.#findIn(table, digest);
      if (handle !== null) return handle;
    }
    return null;
  }

  /** Keeps a pack of an interrupted put in mind until a record names it. What is too much costs bytes only. */
  adopt(ref: ContainerRef, frames: FrameTable): void {
    const fits = this.#adoptedBytes + frames.heldBytes <= KNOWN_TABLES_SIZE_MAX_BYTES;
    if (!fits || this.#adopted.has(ref.id)) return;
    this.#adopted.set(ref.id, { ref, frames, counted: new Uint8Array(frames.count) });
    this.#adoptedBytes += frames.heldBytes;
  }

  /** A record names it now: from here on it is found like any other. */
  release(id: ContainerId): void {
    const table = this.#adopted.get(id);
    if (table === undefined) return;
    this.#adopted.delete(id);
    this.#adoptedBytes -= table.frames.heldBytes;
    this.#keep({ ref: table.ref, frames: table.frames });
  }

  /** Bytes that an adopted pack spares by this chunk; each chunk counts once. */
  sparedBytes({ rawLength, location }: FrameHandle): number {
    const table = location === null ? undefined : this.#adopted.get(location.cell.id);
    if (location === null || table === undefined) return 0;
    const index = table.frames.indexAt(location.offset);
    if (table.counted[index] !== 0) return 0;
    table.counted[index] = 1;
    return rawLength;
  }

  /** What was counted goes to nobody's account: that put failed. */
  recount(): void {
    for (const { counted } of this.#adopted.values()) counted.fill(0);
  }

  #findIn({ ref, frames }: KnownTable, digest: Digest): FrameHandle | null {
    const index = frames.find('chunk', digest);
    if (index < 0 || !this.#options.holdings.mayLeanOn(ref.id)) return null;
    const { offset, storedLength, rawLength } = frames.frame(index);
    const length = FRAME_HEADER_SIZE_BYTES + storedLength;
    const cell = { id: ref.id, ref };
    return {
      rawLength,
      waiting: null,
      location: { cell, offset, storedLength: length, frameCount: 1 },
    };
  }

  #use(table: KnownTable): void {
    this.#last = table;
    this.#tables.delete(table.ref.id);
    this.#tables.set(table.ref.id, table);
  }

  async #containersOf(basis: readonly Digest[]): Promise<ContainerRef[]> {
    if (basis.length === 0) return [];
    const records = await this.#options.index.find(basis, 'blob');
    const refs = new Map<ContainerId, ContainerRef>();
    for (const oid of basis) {
      for (const record of records.get(oid) ?? []) {
        for (const { container } of record.runs) refs.set(container.id, container);
      }
    }
    return [...refs.values()];
  }

  /** Low tiers hold what was added last; within a segment the last pack is the newest. */
  #newest(budget: number): ContainerRef[] {
    const refs = new Map<ContainerId, ContainerRef>();
    const segments = [...this.#options.index.segments()].sort((a, b) => a.ref.tier - b.ref.tier);
    for (const { ref, containers } of segments) {
      if (refs.size >= budget) break;
      refs.set(ref.id, ref);
      for (const container of containers.toReversed()) {
        if (refs.size < budget) refs.set(container.id, container);
      }
    }
    return [...refs.values()];
  }

  async #load(ref: ContainerRef): Promise<void> {
    if (this.#tables.has(ref.id) || !this.#options.holdings.mayLeanOn(ref.id)) return;
    try {
      const { frames } = await this.#options.containers.tables(ref);
      this.#keep({ ref, frames });
    } catch (error) {
      // Lost or damaged tables make chunks unknown, nothing worse.
      if (!hasCode(error, 'CORRUPT') && !hasCode(error, 'NOT_FOUND')) throw error;
    }
  }

  #keep(table: KnownTable): void {
    if (table.frames.count === 0 || this.#tables.has(table.ref.id)) return;
    this.#tables.set(table.ref.id, table);
    this.#heldBytes += table.frames.heldBytes;
    for (const [oldest, { frames }] of this.#tables) {
      const fits = this.#heldBytes <= KNOWN_TABLES_SIZE_MAX_BYTES || this.#tables.size === 1;
      if (this.#tables.size <= this.#tableCountMax && fits) return;
      this.#tables.delete(oldest);
      this.#heldBytes -= frames.heldBytes;
    }
  }

  #readSamples(): void {
    for (const { ref, containers } of this.#options.index.segments()) {
      if (this.#sampled.has(ref.id)) continue;
      this.#sampled.add(ref.id);
      for (const container of [ref, ...containers]) {
        for (let at = 0; at < container.samples.length; at += DIGEST_SIZE_BYTES) {
          const digest = digestFromBytes(container.samples.subarray(at, at + DIGEST_SIZE_BYTES));
          // Deleted first: a Map keeps the place of a key that is set again, and the oldest goes first.
          this.#samples.delete(digest);
          this.#samples.set(digest, container);
        }
      }
    }
    for (const oldest of this.#samples.keys()) {
      if (this.#samples.size <= this.#sampleCountMax) return;
      this.#samples.delete(oldest);
    }
  }
}
