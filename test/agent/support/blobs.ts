/** A BlobStore in memory whose failures are planned: which put fails how, where which read breaks off. */
import type { ByteRange } from '../../../core/backend/backend.ts';
import { collect } from '../../../core/bytes.ts';
import { type BlobStore, EMPTY_RECEIPT } from '../../../core/cas/blob-store.ts';
import { type Digest, digestOf } from '../../../core/digest.ts';
import { DatamonError } from '../../../core/errors.ts';

const PIECE_SIZE_BYTES = 10;
const LARGE_PIECE_SIZE_BYTES = 64 * 1024;

export interface PlannedBlobs extends BlobStore {
  readonly stored: Map<Digest, Buffer>;
  /** Thrown by the next puts, in order. */
  readonly putErrors: (Error | null)[];
  /** The next reads break off after so many bytes, with UNAVAILABLE; null: not. */
  readonly breaks: (number | null)[];
  readonly puts: Digest[];
  readonly manyPuts: Digest[][];
  readonly reads: (number | undefined)[];
  add(content: string | Uint8Array): Digest;
}

export function plannedBlobs(): PlannedBlobs {
  const stored = new Map<Digest, Buffer>();
  const putErrors: (Error | null)[] = [];
  const breaks: (number | null)[] = [];
  const puts: Digest[] = [];
  const manyPuts: Digest[][] = [];
  const reads: (number | undefined)[] = [];
  const put: BlobStore['put'] = async (source, options = {}) => {
    puts.push(source.oid);
    const error = putErrors.shift() ?? null;
    const bytes = await collect(source.open(), source.sizeBytes);
    options.onProgress?.(source.oid, Math.floor(bytes.length / 2));
    if (error !== null) throw error;
    if (digestOf(bytes) !== source.oid) throw new DatamonError('MISMATCH', 'other bytes');
    stored.set(source.oid, bytes);
    options.onProgress?.(source.oid, bytes.length);
    return { ...EMPTY_RECEIPT, fileCount: 1 };
  };
  return {
    stored,
    putErrors,
    breaks,
    puts,
    manyPuts,
    reads,
    add: (content) => {
      const bytes = Buffer.from(content);
      stored.set(digestOf(bytes), bytes);
      return digestOf(bytes);
    },
    put,
    async *putMany(sources) {
      const oids: Digest[] = [];
      manyPuts.push(oids);
      for await (const source of sources) {
        oids.push(source.oid);
        try {
          yield { oid: source.oid, receipt: await put(source) };
        } catch (error) {
          yield { oid: source.oid, error: error as DatamonError };
        }
      }
    },
    async *get(oid, range?: ByteRange) {
      reads.push(range?.start);
      const bytes = stored.get(oid);
      if (bytes === undefined) {
        throw new DatamonError('NOT_FOUND', `this repo has no object ${oid}`, { hint: 'Push it.' });
      }
      const breakAt = breaks.shift() ?? null;
      let sent = 0;
      const large = bytes.length > LARGE_PIECE_SIZE_BYTES;
      const size = large ? LARGE_PIECE_SIZE_BYTES : PIECE_SIZE_BYTES;
      for (let at = range?.start ?? 0; at < bytes.length; at += size) {
        if (breakAt !== null && sent >= breakAt)
          throw new DatamonError('UNAVAILABLE', 'broken off');
        yield bytes.subarray(at, at + size);
        sent += size;
      }
    },
    has: async (oids) =>
      new Map(
        oids.flatMap((oid) => {
          const bytes = stored.get(oid);
          return bytes === undefined ? [] : [[oid, bytes.length] as const];
        }),
      ),
  };
}

/** A repository of which only the blobs are ever asked for. */
export function repositoryOf(blobs: BlobStore, onClose: () => void = () => undefined) {
  return {
    blobs,
    close: async () => onClose(),
  } as unknown as import('../../../core/meta/repository.ts').Repository;
}
