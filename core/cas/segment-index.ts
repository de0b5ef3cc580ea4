/**
 * Which records this repo has. Promises: a hit never lists; what would be a miss lists the whole prefix first, with a listing that
 * began after the question; segments that another one replaces are left out; a damaged segment hides no other.
 */
import type { Backend } from '../backend/backend.ts';
import { readHealed } from '../backend/healing.ts';
import { type Digest, digestToBytes } from '../digest.ts';
import { type DatamonError, hasCode } from '../errors.ts';
import { isFast } from '../fast-paths.ts';
import {
  type ContainerId,
  parseSegmentKey,
  type RepoName,
  SEGMENT_TIER_MAX,
  segmentPrefix,
} from '../keys.ts';
import { inParallel } from './concurrency.ts';
import type { ContainerTables } from './container-reader.ts';
import { type ContainerRef, type Containers, refOf } from './containers.ts';
import {
  openSegmentTables,
  type PlacedRun,
  type RecordKind,
  type SegmentRecord,
  type SegmentTables,
} from './segment-tables.ts';

const LOADS_IN_FLIGHT = 8;
/** How old a listing may be for who would store what it misses: a file that somebody else stored since is stored twice, no more. */
export const RECENT_LISTING_MS = 2_000;

export interface FoundRecord extends SegmentRecord {
  readonly runs: readonly PlacedRun[];
  readonly segment: ContainerId;
}

export interface Segment {
  readonly ref: ContainerRef;
  readonly replaces: readonly ContainerId[];
  /** Packs and other segments its runs lie in. */
  readonly containers: readonly ContainerRef[];
  readonly recordCount: number;
}

export interface SegmentIndexOptions {
  readonly backend: Backend;
  readonly repo: RepoName;
  readonly containers: Containers;
  /** Milliseconds since some moment, for telling how old a listing is; without it none is ever recent. */
  readonly elapsedMs?: () => number;
}

export class SegmentIndex {
  readonly #options: SegmentIndexOptions;
  readonly #known = new Map<ContainerId, Segment>();
  /** Of the known ones; null: to be told anew. */
  #replacedIds: ReadonlySet<ContainerId> | null = null;
  readonly #createdAt = new Map<ContainerId, Date>();
  readonly #damaged = new Map<string, DatamonError>();
  /** Tables opened once, for as long as the cache holds them. */
  readonly #opened = new WeakMap<ContainerTables, SegmentTables>();
  #running: Promise<void> | null = null;
  #queued: Promise<void> | null = null;
  /** When the last listing began, by `elapsedMs`; null: there is none to go by. */
  #listedAtMs: number | null = null;

  constructor(options: SegmentIndexOptions) {
    this.#options = options;
  }

  /** Records of these oids, by oid; those that have none are not in the map. At most one listing, shared with who asks meanwhile. */
  async find(oids: readonly Digest[], kind: RecordKind): Promise<Map<Digest, FoundRecord[]>> {
    const found = await this.peek(oids, kind);
    const missing = oids.filter((oid) => !found.has(oid));
    if (missing.length === 0) return found;
    await this.refresh();
    await this.#lookup(missing, kind, found);
    return found;
  }

  /** As `find`, for who stores what is missing: does not list where it did a moment ago. */
  async findToStore(
    oids: readonly Digest[],
    kind: RecordKind,
  ): Promise<Map<Digest, FoundRecord[]>> {
    return this.#isListingRecent() && isFast('recent-listing')
      ? this.peek(oids, kind)
      : this.find(oids, kind);
  }

  #isListingRecent(): boolean {
    const now = this.#options.elapsedMs?.();
    if (now === undefined || this.#listedAtMs === null) return false;
    return now - this.#listedAtMs < RECENT_LISTING_MS;
  }

  /** As `find`, from what is known: never lists. */
  async peek(oids: readonly Digest[], kind: RecordKind): Promise<Map<Digest, FoundRecord[]>> {
    const found = new Map<Digest, FoundRecord[]>();
    await this.#lookup(oids, kind, found);
    return found;
  }

  /** Lists now. One listing runs at a time; who asks while it runs shares the next one, which begins after the question. */
  refresh(): Promise<void> {
    if (this.#running === null) {
      this.#running = this.#list().finally(() => {
        this.#running = null;
      });
      return this.#running;
    }
    this.#queued ??= this.#running
      .catch(() => {})
      .then(() => {
        this.#queued = null;
        return this.refresh();
      });
    return this.#queued;
  }

  /** A segment that was just written, with its tables. */
  add(ref: ContainerRef, tables: ContainerTables): void {
    this.#options.containers.remember(ref, tables);
    this.#remember(ref, tables);
  }

  /** Live segments: known, readable, not replaced. */
  segments(): readonly Segment[] {
    const replaced = this.#replaced();
    return [...this.#known.values()].filter(({ ref }) => !replaced.has(ref.id));
  }

  /** When the segment of this record was made, by the store's clock; null where no listing told yet. */
  createdAt(record: Pick<FoundRecord, 'segment'>): Date | null {
    return this.#createdAt.get(record.segment) ?? null;
  }

  /** Records of segments that another one replaces: the same ones, in case the other one's do not read. */
  async findReplaced(oid: Digest, kind: RecordKind): Promise<FoundRecord[]> {
    const { containers, backend, repo } = this.#options;
    const found: FoundRecord[] = [];
    const replaced = this.#replaced();
    for await (const { key, sizeBytes } of backend.list(segmentPrefix(repo))) {
      const name = parseSegmentKey(repo, key);
      if (name === null || !replaced.has(name.id)) continue;
      const ref = listedRef(name, sizeBytes);
      try {
        const tables = await containers.tables(ref);
        const segment = refOf(tables, ref.tier);
        const records = this.#open(tables, ref).find(oid, kind);
        const verified = records.filter(({ state }) => state === 'verified');
        found.push(...verified.map((record) => placed(record, segment)));
      } catch (error) {
        if (!hasCode(error, 'CORRUPT') && !hasCode(error, 'NOT_FOUND')) throw error;
      }
    }
    return found;
  }

  /** Segments whose tables do not read, by key, with the reason. */
  damaged(): ReadonlyMap<string, DatamonError> {
    return this.#damaged;
  }

  /** All records of a segment, decoded one after the other. */
  async *records(segment: Segment): AsyncIterable<FoundRecord> {
    const tables = this.#open(await this.#options.containers.tables(segment.ref), segment.ref);
    for (let index = 0; index < tables.recordCount; index += 1) {
      yield placed(tables.record(index), segment.ref);
    }
  }

  async #lookup(
    oids: readonly Digest[],
    kind: RecordKind,
    found: Map<Digest, FoundRecord[]>,
  ): Promise<void> {
    // Once for all segments: a batch asks for many oids, and a busy repo has many segments.
    const wanted = oids.map((oid) => ({ oid, bytes: digestToBytes(oid) }));
    for (const segment of this.segments()) {
      const tables = await this.#tablesOf(segment);
      if (tables === null) continue;
      for (const { oid, bytes } of wanted) {
        const records = tables.find(bytes, kind).filter(({ state }) => state === 'verified');
        if (records.length === 0) continue;
        const here = records.map((record) => placed(record, segment.ref));
        const earlier = found.get(oid);
        found.set(oid, earlier === undefined ? here : [...earlier, ...here]);
      }
    }
  }

  /** Null for a segment that went away or bad since its tables were first read; the next listing says which. */
  async #tablesOf(segment: Segment): Promise<SegmentTables | null> {
    try {
      return this.#open(await this.#options.containers.tables(segment.ref), segment.ref);
    } catch (error) {
      if (!hasCode(error, 'CORRUPT') && !hasCode(error, 'NOT_FOUND')) throw error;
      this.#forget(segment.ref.id);
      return null;
    }
  }

  async #list(): Promise<void> {
    const { backend, repo } = this.#options;
    const beganAtMs = this.#options.elapsedMs?.() ?? null;
    const before = [...this.#known.keys()];
    const present = new Set<ContainerId>();
    const fresh: ContainerRef[] = [];
    for await (const { key, sizeBytes, createdAt } of backend.list(segmentPrefix(repo))) {
      const name = parseSegmentKey(repo, key);
      if (name === null) continue;
      present.add(name.id);
      this.#createdAt.set(name.id, createdAt);
      if (!this.#known.has(name.id)) fresh.push(listedRef(name, sizeBytes));
    }
    for (const id of before) if (!present.has(id)) this.#forget(id);
    for (const id of this.#createdAt.keys()) if (!present.has(id)) this.#createdAt.delete(id);
    // From the highest tier down: what is replaced there need not be read at all.
    for (let tier = SEGMENT_TIER_MAX; tier >= 0; tier -= 1) {
      const replaced = this.#replaced();
      const wanted = fresh.filter((ref) => ref.tier === tier && !replaced.has(ref.id));
      await inParallel(wanted, LOADS_IN_FLIGHT, (ref) => this.#load(ref));
    }
    this.#listedAtMs = beganAtMs;
  }

  #replaced(): ReadonlySet<ContainerId> {
    this.#replacedIds ??= new Set([...this.#known.values()].flatMap(({ replaces }) => replaces));
    return this.#replacedIds;
  }

  #forget(id: ContainerId): void {
    if (this.#known.delete(id)) this.#replacedIds = null;
  }

  async #load(ref: ContainerRef): Promise<void> {
    const key = this.#options.containers.keyOf(ref);
    try {
      const { backend, containers } = this.#options;
      this.#remember(ref, await readHealed(backend, key, () => containers.tables(ref)));
      this.#damaged.delete(key);
    } catch (error) {
      // Gone since it was listed: merged and collected, so its records stand elsewhere.
      if (hasCode(error, 'NOT_FOUND')) return;
      if (!hasCode(error, 'CORRUPT')) throw error;
      this.#damaged.set(key, error);
    }
  }

  #remember(ref: ContainerRef, tables: ContainerTables): void {
    const { replaces, recordCount, containers } = this.#open(tables, ref);
    this.#known.set(ref.id, { ref: refOf(tables, ref.tier), replaces, recordCount, containers });
    this.#replacedIds = null;
  }

  #open(tables: ContainerTables, ref: ContainerRef): SegmentTables {
    const opened =
      this.#opened.get(tables) ?? openSegmentTables(tables, this.#options.containers.keyOf(ref));
    this.#opened.set(tables, opened);
    return opened;
  }
}

function placed(record: SegmentRecord, self: ContainerRef): FoundRecord {
  const runs = record.runs.map((run) => ({ ...run, container: run.container ?? self }));
  return { ...record, runs, segment: self.id };
}

/** A segment as a listing names it: where its tables lie is not known yet. */
const listedRef = (
  name: { readonly tier: number; readonly id: ContainerId },
  sizeBytes: number,
): ContainerRef => ({
  kind: 'segment',
  ...name,
  sizeBytes,
  tablesOffset: 0,
  tablesLength: 0,
  samples: Buffer.alloc(0),
});
