/**
 * Reads many small blobs in the order in which they lie in their packs, so that neighbours come with one request. Promises: what is
 * yielded hashes to its oid; what does not read among its neighbours is read alone, and left out where that fails too.
 */
import { collect } from '../bytes.ts';
import { type Digest, digestOf } from '../digest.ts';
import { hasCode } from '../errors.ts';
import { type BlobReader, FRAME_KINDS, type Piece, spanEnd } from './blob-reader.ts';
import type { SmallBlob } from './ingest.ts';
import type { FoundRecord, SegmentIndex } from './segment-index.ts';

/** Of one request's blobs together: each request's answer is held in memory whole. */
const SPAN_SIZE_MAX_BYTES = 4 * 1024 * 1024;
/** Requests whose answers are held at a time. */
const SPANS_AT_A_TIME = 4;

export interface ReadSmallOptions {
  readonly reader: BlobReader;
  readonly index: Pick<SegmentIndex, 'find'>;
  /** Larger blobs are left out. */
  readonly sizeMaxBytes: number;
}

/** A blob that is one run, and where it lies. */
export interface PlacedBlob {
  readonly oid: Digest;
  readonly piece: Piece;
}

export async function* readSmallBlobs(
  { reader, index, sizeMaxBytes }: ReadSmallOptions,
  oids: readonly Digest[],
): AsyncIterable<SmallBlob> {
  const placed: PlacedBlob[] = [];
  const reads: (() => Promise<SmallBlob[]>)[] = [];
  for (const [oid, [record]] of await index.find(oids, 'blob')) {
    if (record === undefined || record.sizeBytes > sizeMaxBytes) continue;
    const piece = pieceOf(record);
    if (piece === null) reads.push(() => alone(reader, oid));
    else placed.push({ oid, piece });
  }
  for (const span of spansOf(placed)) reads.push(() => together(reader, span));
  yield* inTurn(reads);
}

/** In the order of `reads`, some of which run ahead. No read rejects. */
async function* inTurn(reads: readonly (() => Promise<SmallBlob[]>)[]): AsyncIterable<SmallBlob> {
  const running: Promise<SmallBlob[]>[] = [];
  for (const read of reads) {
    running.push(read());
    if (running.length >= SPANS_AT_A_TIME) yield* (await running.shift()) ?? [];
  }
  for (const blobs of running) yield* await blobs;
}

function pieceOf({ sizeBytes, runs }: FoundRecord): Piece | null {
  const [run] = runs;
  if (run === undefined || runs.length > 1 || run.rawLength !== sizeBytes) return null;
  return { ...run, skipBytes: 0, takeBytes: sizeBytes };
}

/** Blobs that one request reads together, in the order in which they lie. */
export function spansOf(blobs: readonly PlacedBlob[]): PlacedBlob[][] {
  const placed = blobs.toSorted(
    ({ piece: a }, { piece: b }) =>
      Number(a.container.id > b.container.id) - Number(a.container.id < b.container.id) ||
      a.offset - b.offset,
  );
  const pieces = placed.map(({ piece }) => piece);
  const spans: PlacedBlob[][] = [];
  for (let first = 0; first < placed.length; ) {
    const last = Math.min(spanEnd(pieces, first), sizeEnd(pieces, first));
    spans.push(placed.slice(first, last));
    first = last;
  }
  return spans;
}

/** Index after the last piece that fits into one read with piece `first`. */
function sizeEnd(pieces: readonly Piece[], first: number): number {
  let last = first;
  for (let sizeBytes = 0; last < pieces.length; last += 1) {
    sizeBytes += pieces[last]?.rawLength ?? 0;
    if (sizeBytes > SPAN_SIZE_MAX_BYTES && last > first) break;
  }
  return last;
}

/**
 * The blobs of a span, each hashed as a whole, up to the first that is another's. CORRUPT and NOT_FOUND where the span does not read
 * on; UNAVAILABLE where the store does not answer.
 */
export async function* readTogether(
  reader: BlobReader,
  span: readonly PlacedBlob[],
): AsyncIterable<SmallBlob> {
  const parts: Uint8Array[] = [];
  let heldBytes = 0;
  let index = 0;
  const pieces = span.map(({ piece }) => piece);
  for await (const bytes of reader.readSpan(pieces, FRAME_KINDS.blob, 'by the reader')) {
    parts.push(bytes);
    heldBytes += bytes.length;
    const { oid, piece } = span[index] as PlacedBlob;
    // Frames end with their blob, so no part belongs to two.
    if (heldBytes < piece.takeBytes) continue;
    const whole = parts.length === 1 ? bytes : Buffer.concat(parts);
    if (digestOf(whole) !== oid) return;
    yield { oid, bytes: whole };
    index += 1;
    parts.length = 0;
    heldBytes = 0;
  }
}

/** What reads of a span; the rest one by one where the span is damaged, and not at all where the store does not answer. */
async function together(reader: BlobReader, span: readonly PlacedBlob[]): Promise<SmallBlob[]> {
  const blobs: SmallBlob[] = [];
  try {
    for await (const blob of readTogether(reader, span)) blobs.push(blob);
  } catch (error) {
    if (!hasCode(error, 'CORRUPT') && !hasCode(error, 'NOT_FOUND')) return blobs;
  }
  for (const { oid } of span.slice(blobs.length)) blobs.push(...(await alone(reader, oid)));
  return blobs;
}

/** With everything the reader does about damage; nothing where that was in vain. */
async function alone(reader: BlobReader, oid: Digest): Promise<SmallBlob[]> {
  try {
    return [{ oid, bytes: await collect(reader.read(oid, 'blob'), Number.MAX_SAFE_INTEGER) }];
  } catch {
    return [];
  }
}
