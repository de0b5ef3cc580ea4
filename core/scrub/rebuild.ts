/**
 * Finds files and pages again that no record has: by recipes, by the digests of chunks and pages, in every pack of the pool and every
 * segment of the repo, however damaged. Promises: only what was asked for is looked for; a file counts once its bytes hash to the oid;
 * what lies in sound packs is recorded where it is, the rest is stored anew.
 */
import { collect } from '../bytes.ts';
import { CONTAINER_HEADER_SIZE_BYTES, parseHeader } from '../cas/container-format.ts';
import {
  type Frame,
  framesOf,
  openRange,
  readTables,
  recoverFrames,
} from '../cas/container-reader.ts';
import { type ContainerRef, refOf } from '../cas/containers.ts';
import type { DirectParts } from '../cas/direct-store.ts';
import { FRAME_HEADER_SIZE_BYTES, type FrameKind } from '../cas/frame.ts';
import { RunBuilder, storedHandle } from '../cas/frame-handle.ts';
import type { RecipeChunk } from '../cas/ingest.ts';
import { parseRecipePart, type RecipePart } from '../cas/recipe.ts';
import type { RecordDraft } from '../cas/segment-publisher.ts';
import type { PlacedRun } from '../cas/segment-tables.ts';
import { createHasher, type Digest } from '../digest.ts';
import { hasCode } from '../errors.ts';
import { kindOfKey } from '../key-kind.ts';
import { type ContainerId, type Key, packKey, segmentPrefix } from '../keys.ts';
import type { RepoSurvey, Survey, Wanted } from './survey.ts';

/** A frame that was found, wherever. */
interface Place {
  readonly key: Key;
  readonly id: ContainerId;
  readonly offset: number;
  readonly storedLength: number;
  readonly rawLength: number;
  /** Null in a damaged container, on which nothing new may lean. */
  readonly ref: ContainerRef | null;
}

interface Scanned extends Place {
  readonly kind: FrameKind;
  readonly digest: Digest;
}

export interface Found {
  /** To be published as they are: their bytes lie in sound containers and were hashed. */
  readonly drafts: readonly RecordDraft[];
  /** To be stored anew. */
  readonly blobs: readonly {
    readonly wanted: Wanted;
    readonly open: () => AsyncIterable<Uint8Array>;
  }[];
  readonly pages: readonly Uint8Array[];
}

export class Rebuild {
  readonly #survey: Survey;
  readonly #repo: RepoSurvey;
  readonly #parts: DirectParts;
  readonly #wanted: ReadonlyMap<Digest, Wanted>;
  readonly #recipes = new Map<Digest, Map<number, RecipePart>>();
  readonly #places = new Map<string, Place>();

  constructor(survey: Survey, repo: RepoSurvey, parts: DirectParts, wanted: readonly Wanted[]) {
    this.#survey = survey;
    this.#repo = repo;
    this.#parts = parts;
    this.#wanted = new Map(wanted.map((each) => [each.oid, each]));
  }

  async find(): Promise<Found> {
    for await (const frame of this.#scan()) await this.#note(frame);
    const chunks = new Set<Digest>();
    for (const parts of this.#recipes.values()) {
      for (const part of parts.values()) for (const { digest } of part.chunks) chunks.add(digest);
    }
    if (chunks.size > 0) {
      for await (const frame of this.#scan()) {
        if (frame.kind === 'chunk' && chunks.has(frame.digest)) this.#keep(frame);
      }
    }
    return await this.#collected();
  }

  async #note(frame: Scanned): Promise<void> {
    const wanted = this.#wanted.get(frame.digest);
    if (wanted !== undefined && frame.kind === (wanted.kind === 'page' ? 'page' : 'chunk')) {
      this.#keep(frame);
    }
    if (frame.kind !== 'recipe') return;
    const part = await this.#recipePart(frame);
    if (part === null || this.#wanted.get(part.oid)?.kind !== 'blob') return;
    const parts = this.#recipes.get(part.oid) ?? new Map<number, RecipePart>();
    this.#recipes.set(part.oid, parts.set(part.firstChunk, part));
  }

  async #recipePart(frame: Scanned): Promise<RecipePart | null> {
    try {
      return parseRecipePart((await this.#read(frame)).payload);
    } catch (error) {
      if (!hasCode(error, 'CORRUPT') && !hasCode(error, 'NOT_FOUND')) throw error;
      return null;
    }
  }

  /** A place that something may lean on is kept before one that must be copied. */
  #keep(frame: Scanned): void {
    const name = frame.kind + frame.digest;
    const kept = this.#places.get(name);
    if (kept === undefined || (kept.ref === null && frame.ref !== null)) {
      this.#places.set(name, frame);
    }
  }

  async #collected(): Promise<Found> {
    const drafts: RecordDraft[] = [];
    const blobs: { wanted: Wanted; open: () => AsyncIterable<Uint8Array> }[] = [];
    const pages: Uint8Array[] = [];
    for (const wanted of this.#wanted.values()) {
      const places = this.#placesOf(wanted);
      if (places === null) continue;
      if (wanted.kind === 'page') pages.push(await collect(this.#stream(places), 2 ** 25));
      else if (places.some(({ ref }) => ref === null)) {
        blobs.push({ wanted, open: () => this.#stream(places) });
      } else if (await this.#hashes(wanted, places)) drafts.push(draftOf(wanted, places));
    }
    return { drafts, blobs, pages };
  }

  /** Where the frames of a file or page are, in order; null where one is nowhere. */
  #placesOf({ oid, kind, sizeBytes }: Wanted): readonly Place[] | null {
    const alone = this.#places.get((kind === 'page' ? 'page' : 'chunk') + oid);
    if (alone !== undefined)
      return kind === 'page' || alone.rawLength === sizeBytes ? [alone] : null;
    const places: Place[] = [];
    for (const { digest } of this.#chunksOf(oid)) {
      const place = this.#places.get(`chunk${digest}`);
      if (place === undefined) return null;
      places.push(place);
    }
    const rawBytes = places.reduce((sum, { rawLength }) => sum + rawLength, 0);
    return places.length > 0 && rawBytes === sizeBytes ? places : null;
  }

  #chunksOf(oid: Digest): readonly RecipeChunk[] {
    const parts = [...(this.#recipes.get(oid)?.values() ?? [])];
    return parts.sort((a, b) => a.firstChunk - b.firstChunk).flatMap(({ chunks }) => chunks);
  }

  async #hashes({ oid }: Wanted, places: readonly Place[]): Promise<boolean> {
    const hasher = createHasher();
    try {
      for await (const bytes of this.#stream(places)) hasher.update(bytes);
    } catch (error) {
      if (!hasCode(error, 'CORRUPT') && !hasCode(error, 'NOT_FOUND')) throw error;
      return false;
    }
    return hasher.digest() === oid;
  }

  async *#stream(places: readonly Place[]): AsyncIterable<Uint8Array> {
    for (const place of places) yield (await this.#read(place)).payload;
  }

  async #read({ key, id, offset, storedLength }: Place): Promise<Frame> {
    const end = offset + FRAME_HEADER_SIZE_BYTES + storedLength;
    const stream = openRange(this.#survey.backend, key, offset, end);
    for await (const frame of framesOf(stream, id, offset, key)) return frame;
    throw new Error(`no frame at byte ${offset} of ${key}`);
  }

  async *#scan(): AsyncGenerator<Scanned> {
    const { pool, name } = this.#repo;
    for (const [id, sizeBytes] of pool.packs) {
      if (!pool.condemned.has(id)) yield* this.#frames(packKey(pool.name, id), sizeBytes);
    }
    for await (const { key, sizeBytes } of this.#survey.backend.list(segmentPrefix(name))) {
      yield* this.#frames(key, sizeBytes);
    }
  }

  async *#frames(key: Key, sizeBytes: number): AsyncGenerator<Scanned> {
    const kind = kindOfKey(key);
    if (kind.kind !== 'pack' && kind.kind !== 'segment') return;
    const { id } = kind;
    if (this.#repo.pool.condemned.has(id)) return;
    const { backend } = this.#parts;
    if (!this.#survey.bad.has(id)) {
      const tables = await readTables(backend, key, { kind: kind.kind, id }, sizeBytes);
      const ref = refOf(tables, kind.kind === 'segment' ? kind.tier : 0);
      for (let index = 0; index < tables.frames.count; index += 1) {
        yield { ...tables.frames.frame(index), key, id, ref };
      }
      return;
    }
    if (this.#survey.bad.get(id)?.intact == null) return;
    yield* this.#salvaged(key, await this.#ownId(key, id));
  }

  async *#salvaged(key: Key, id: ContainerId): AsyncGenerator<Scanned> {
    const frames = recoverFrames(this.#parts.backend.get(key), id);
    for await (const { kind, digest, rawLength, storedLength, offset } of frames) {
      yield { kind, digest, rawLength, storedLength, offset, key, id, ref: null };
    }
  }

  /** A container that stands in another one's place still says whose frames it holds. */
  async #ownId(key: Key, id: ContainerId): Promise<ContainerId> {
    const range = { start: 0, end: CONTAINER_HEADER_SIZE_BYTES };
    try {
      const head = await collect(this.#parts.backend.get(key, range), CONTAINER_HEADER_SIZE_BYTES);
      return parseHeader(head, key).id;
    } catch (error) {
      if (hasCode(error, 'CANCELLED') || hasCode(error, 'UNAVAILABLE')) throw error;
      return id;
    }
  }
}

function draftOf({ oid, sizeBytes, kind }: Wanted, places: readonly Place[]): RecordDraft {
  const runs = new RunBuilder();
  for (const { ref, offset, storedLength, rawLength } of places) {
    const run = {
      container: ref as ContainerRef,
      offset,
      storedLength: FRAME_HEADER_SIZE_BYTES + storedLength,
      rawLength,
      frameCount: 1,
    } satisfies PlacedRun;
    runs.add(storedHandle(run));
  }
  return { oid, sizeBytes, kind, runs };
}
