/**
 * Reads blobs back. Promises: each frame is verified before its bytes are passed on; a damaged or missing container is answered by
 * the next record that names another one; where none is left the stream fails, it never ends cleanly and short.
 */
import type { Backend, ByteRange } from '../backend/backend.ts';
import { healQuietly, replicatedOf } from '../backend/healing.ts';
import { resolveRange } from '../backend/range.ts';
import type { ByteStream } from '../bytes.ts';
import type { Digest } from '../digest.ts';
import { DatamonError, hasCode } from '../errors.ts';
import { createByteQueue } from './byte-queue.ts';
import { type Frame, openRange, takeFrame } from './container-reader.ts';
import type { ContainerRef, Containers } from './containers.ts';
import { GAP_SIZE_MAX_BYTES } from './fragmentation.ts';
import { FRAME_HEADER_SIZE_BYTES, type FrameKind, type FrameProof } from './frame.ts';
import type { Holdings } from './holdings.ts';
import { RepeatedPieces } from './repeated-pieces.ts';
import type { FoundRecord, SegmentIndex } from './segment-index.ts';
import type { PlacedRun, RecordKind } from './segment-tables.ts';
import { createThreadHasher } from './thread-hasher.ts';

export interface BlobReaderOptions {
  readonly backend: Backend;
  readonly containers: Containers;
  readonly index: SegmentIndex;
  /** Told of containers that do not read. */
  readonly holdings: Pick<Holdings, 'distrust'> & Partial<Pick<Holdings, 'trust' | 'mayLeanOn'>>;
}

/** Consecutive frames to be read, and which of their bytes are wanted. */
export interface Piece {
  readonly container: ContainerRef;
  readonly offset: number;
  readonly storedLength: number;
  readonly rawLength: number;
  readonly skipBytes: number;
  readonly takeBytes: number;
}

/** A record whose runs name their containers. */
type PlacedRecord = Omit<FoundRecord, 'segment'>;

export const FRAME_KINDS: Readonly<Record<RecordKind, FrameKind>> = { blob: 'chunk', page: 'page' };

export class BlobReader {
  readonly #options: BlobReaderOptions;

  constructor(options: BlobReaderOptions) {
    this.#options = options;
  }

  /** NOT_FOUND; INVALID for a range that starts past the end; CORRUPT where no record reads. */
  async *read(oid: Digest, kind: RecordKind, range?: ByteRange): ByteStream {
    const records = (await this.#options.index.find([oid], kind)).get(oid) ?? [];
    const first = records[0];
    if (first === undefined) throw this.#absent(oid);
    const { start, end } = resolveRange(range, first.sizeBytes, oid);
    const stream = this.#readAny(records, start, end);
    // Who asks for a range proves the whole himself, if he puts one together.
    yield* range === undefined ? proving(stream, oid, first.sizeBytes) : stream;
  }

  /** Bytes `start` to `end` of a record, each frame verified, unless the reader says that it proves the whole. */
  async *readRecord(
    record: PlacedRecord,
    start: number,
    end: number,
    proof: FrameProof = 'by digest',
  ): ByteStream {
    const kind = FRAME_KINDS[record.kind];
    const pieces = await this.#piecesOf(record, start, end);
    const repeated = new RepeatedPieces(pieces);
    for (let first = 0; first < pieces.length; ) {
      const piece = pieces[first] as Piece;
      const kept = repeated.bytesOf(piece);
      if (kept !== null) {
        yield* kept;
        first += 1;
        continue;
      }
      const last = repeated.repeats(piece) ? first + 1 : spanEnd(pieces, first);
      try {
        for await (const bytes of this.readSpan(pieces.slice(first, last), kind, proof)) {
          repeated.keep(piece, bytes);
          yield bytes;
        }
      } catch (error) {
        if (isDamage(error)) this.#options.holdings.distrust(piece.container.id);
        throw error;
      }
      first = last;
    }
  }

  async *#readAny(records: readonly FoundRecord[], start: number, end: number): ByteStream {
    const [{ oid, kind } = { oid: '' as Digest, kind: 'blob' as const }] = records;
    const tried = new Set<string>();
    const healed = new Set<string>();
    let candidates = [...records];
    let position = start;
    let failure: unknown = null;
    for (let turns = 0; ; ) {
      const record = candidates.shift();
      if (record === undefined) {
        if (turns >= LAST_TURN) throw unreadable(oid, failure);
        turns += 1;
        candidates = (await this.#othersOf(oid, kind, turns)).filter(
          ({ segment }) => !tried.has(segment),
        );
        continue;
      }
      tried.add(record.segment);
      try {
        for await (const bytes of this.#readStored(record, position, end)) {
          position += bytes.length;
          yield bytes;
        }
        return;
      } catch (error) {
        if (!isDamage(error)) throw error;
        failure ??= error;
        candidates.unshift(...(await this.#heal(record, healed)));
      }
    }
  }

  /** As `readRecord`; wrong bytes that came from a cache are asked of the store, once. */
  async *#readStored(record: FoundRecord, start: number, end: number): ByteStream {
    let position = start;
    try {
      for await (const bytes of this.readRecord(record, start, end)) {
        position += bytes.length;
        yield bytes;
      }
    } catch (error) {
      if (!isDamage(error) || !(await this.#forgetCached(record))) throw error;
      yield* this.readRecord(record, position, end);
    }
  }

  /** True where some of its bytes may have come from a cache; then the store is to be asked, once. */
  async #forgetCached({ runs }: FoundRecord): Promise<boolean> {
    let wasCached = false;
    for (const { container } of runs) {
      wasCached = (await this.#options.containers.forgetCached(container)) || wasCached;
    }
    return wasCached;
  }

  /** After those known: those listed now, then those of segments that another one says to replace. */
  async #othersOf(oid: Digest, kind: RecordKind, turn: number): Promise<FoundRecord[]> {
    const { index } = this.#options;
    if (turn === LAST_TURN) return index.findReplaced(oid, kind);
    await index.refresh();
    return (await index.find([oid], kind)).get(oid) ?? [];
  }

  /** The record again, where a container of it was damaged or gone and another member had a good copy; each is tried once. */
  async #heal(record: FoundRecord, tried: Set<string>): Promise<readonly FoundRecord[]> {
    const { backend, containers, holdings } = this.#options;
    if (replicatedOf(backend) === null) return [];
    const all = record.runs.map(({ container }) => container);
    const distrusted = all.filter(({ id }) => holdings.mayLeanOn?.(id) === false);
    let isHealed = false;
    for (const container of distrusted.length > 0 ? distrusted : all) {
      if (tried.has(container.id)) continue;
      tried.add(container.id);
      if ((await healQuietly(backend, containers.keyOf(container))) !== 'healed') continue;
      holdings.trust?.(container.id);
      isHealed = true;
    }
    return isHealed ? [record] : [];
  }

  /** What to read of each run. Runs that are wanted whole need no table. */
  async #piecesOf(record: PlacedRecord, start: number, end: number): Promise<Piece[]> {
    const pieces: Piece[] = [];
    let runStart = 0;
    for (const run of record.runs) {
      const from = Math.max(start - runStart, 0);
      const to = Math.min(end - runStart, run.rawLength);
      if (from < to) pieces.push(await this.#pieceOf(run, from, to));
      runStart += run.rawLength;
    }
    if (runStart !== record.sizeBytes) {
      throw new DatamonError('CORRUPT', `a record of ${record.oid} does not add up`);
    }
    return pieces;
  }

  async #pieceOf(run: PlacedRun, from: number, to: number): Promise<Piece> {
    const { container } = run;
    if (from === 0 && to === run.rawLength) return { ...run, skipBytes: 0, takeBytes: to };
    const { frames } = await this.#options.containers.tables(container);
    const first = frames.indexAt(run.offset);
    let rawStart = 0;
    const covering: { offset: number; storedLength: number; rawStart: number; rawEnd: number }[] =
      [];
    for (let index = first; index < first + run.frameCount && first >= 0; index += 1) {
      if (index >= frames.count) break;
      const { offset, storedLength, rawLength } = frames.frame(index);
      const rawEnd = rawStart + rawLength;
      if (rawEnd > from && rawStart < to) covering.push({ offset, storedLength, rawStart, rawEnd });
      rawStart = rawEnd;
    }
    const head = covering[0];
    const tail = covering.at(-1);
    if (rawStart !== run.rawLength || head === undefined || tail === undefined) {
      throw new DatamonError('CORRUPT', `a run does not fit the ${container.kind} ${container.id}`);
    }
    return {
      container,
      offset: head.offset,
      storedLength: tail.offset + FRAME_HEADER_SIZE_BYTES + tail.storedLength - head.offset,
      rawLength: tail.rawEnd - head.rawStart,
      skipBytes: from - head.rawStart,
      takeBytes: to - from,
    };
  }

  /** Pieces of one container, near each other: one request, read through. */
  async *readSpan(
    pieces: readonly Piece[],
    kind: FrameKind,
    proof: FrameProof = 'by digest',
  ): ByteStream {
    const first = pieces[0] as Piece;
    const last = pieces.at(-1) as Piece;
    const { container, offset: start } = first;
    const key = this.#options.containers.keyOf(container);
    const end = last.offset + last.storedLength;
    const queue = createByteQueue(this.#bytesOf(container, start, end));
    try {
      for (const piece of pieces) {
        await queue.skip(piece.offset - start - queue.takenBytes);
        let rawBytes = 0;
        while (start + queue.takenBytes < piece.offset + piece.storedLength) {
          const frame = await takeFrame(queue, container.id, start, key, { proof });
          if (frame === null || frame.kind !== kind) throw notTheRun(container, key);
          const wanted = wantedPart(frame, rawBytes, piece);
          rawBytes += frame.rawLength;
          if (wanted.length > 0) yield wanted;
        }
        if (rawBytes !== piece.rawLength) throw notTheRun(container, key);
      }
    } finally {
      await queue.close();
    }
  }

  async *#bytesOf(container: ContainerRef, start: number, end: number): ByteStream {
    const { backend, containers } = this.#options;
    const whole = containers.peek(container)?.whole;
    if (whole === undefined) yield* openRange(backend, containers.keyOf(container), start, end);
    else yield whole.subarray(start, end);
  }

  #absent(oid: Digest): DatamonError {
    const [damaged] = this.#options.index.damaged();
    if (damaged === undefined) {
      return new DatamonError('NOT_FOUND', `${oid} is not stored in this repo`);
    }
    const [key, cause] = damaged;
    return new DatamonError('CORRUPT', `${oid} is not found, and ${key} does not read`, { cause });
  }
}

/** Known, then listed, then replaced. */
const LAST_TURN = 2;

/** Passes a whole blob on; CORRUPT at its end where it was another. */
async function* proving(stream: ByteStream, oid: Digest, sizeBytes: number): ByteStream {
  const hasher = createThreadHasher(sizeBytes);
  try {
    for await (const bytes of stream) {
      const waiting = hasher.update(bytes);
      if (waiting !== undefined) await waiting;
      yield bytes;
    }
    if ((await hasher.digest()) === oid) return;
    throw new DatamonError('CORRUPT', `the stored bytes of ${oid} are others`);
  } finally {
    hasher.drop();
  }
}

const isDamage = (error: unknown): boolean =>
  hasCode(error, 'CORRUPT') || hasCode(error, 'NOT_FOUND');

function wantedPart(frame: Frame, rawStart: number, piece: Piece): Uint8Array {
  const from = Math.max(0, piece.skipBytes - rawStart);
  const to = Math.min(frame.rawLength, piece.skipBytes + piece.takeBytes - rawStart);
  return frame.payload.subarray(from, Math.max(from, to));
}

/** Index after the last piece that one request reads together with piece `first`. */
export function spanEnd(pieces: readonly Piece[], first: number): number {
  let last = first + 1;
  for (; last < pieces.length; last += 1) {
    const before = pieces[last - 1] as Piece;
    const next = pieces[last] as Piece;
    const gap = next.offset - before.offset - before.storedLength;
    if (next.container.id !== before.container.id || gap < 0 || gap > GAP_SIZE_MAX_BYTES) break;
  }
  return last;
}

const notTheRun = ({ kind, id }: ContainerRef, key: string): DatamonError =>
  new DatamonError('CORRUPT', `${key}: the ${kind} ${id} holds other frames than its record says`);

function unreadable(oid: Digest, cause: unknown): DatamonError {
  const why = cause instanceof Error ? cause.message : 'no record of it reads';
  return new DatamonError('CORRUPT', `${oid} does not read back: ${why}`, {
    cause,
    hint: 'Push the file again from a clone that has it: datamon put, or git lfs push --object-id.',
  });
}
