/**
 * Bytes on their way to a backend: in memory while few, in a temp file beyond. Promises: never whole in memory, gone on `dispose`; the memory
 * they go through is used again, and hashed where it lies.
 */
import type { Body } from '../backend/backend.ts';
import type { Digest } from '../digest.ts';
import { DatamonError } from '../errors.ts';
import { isFast } from '../fast-paths.ts';
import type { Random } from '../random.ts';
import { ownBytes } from './frame.ts';
import { readSpooled, SpoolFile } from './spool-file.ts';
import type { ThreadHasher } from './thread-hasher.ts';

export const SPOOL_MEMORY_SIZE_MAX_BYTES = 4 * 1024 * 1024;

export interface SpoolOptions {
  /** Made when first needed. */
  readonly spoolDir: string;
  readonly random: Random;
  /** Names a file on the store's own disk, which then takes it as it is. Default: one in `spoolDir`. */
  readonly spoolPath?: (() => Promise<string>) | undefined;
  readonly memorySizeMaxBytes?: number;
  /** Hashes what is written, until `digest`. It is the spool's from now on. */
  readonly hasher?: ThreadHasher;
  /** Reads what is written where it lies, once it goes to the file. */
  readonly blockReader?: BlockReader;
}

/** Somebody who looks at bytes in shared memory. */
export interface BlockReader {
  /** The bytes must not change until what it returns has resolved. Where it rejects, nobody knows whether they are still read. */
  lend(bytes: Uint8Array): Promise<void>;
}

export interface Spool {
  readonly sizeBytes: number;
  /** One call at a time. Bytes in shared memory are the caller's again once it resolved; others must not change afterwards. */
  write(bytes: Uint8Array): Promise<void>;
  /** Of what was written so far; what follows is not hashed. Call once; INVALID without a hasher. */
  digest(): Promise<Digest>;
  /** Waits until the file, if there is one, has what was written, and whoever reads along has seen it: what follows is not shown. */
  endReading(): Promise<void>;
  /** Bytes written so far, from the first, as often as asked. No writes after this. */
  finish(): Promise<Body>;
  /** Removes what was spooled; safe to call twice and at any time. */
  dispose(): Promise<void>;
}

export function createSpool(options: SpoolOptions): Spool {
  const memoryMax = options.memorySizeMaxBytes ?? SPOOL_MEMORY_SIZE_MAX_BYTES;
  const { hasher } = options;
  let parts: Uint8Array[] = [];
  let sizeBytes = 0;
  let file: SpoolFile | null = null;
  /** Not told of what is written after the digest was asked for. */
  let reader: BlockReader | undefined = hasher ?? options.blockReader;

  async function toDisk(): Promise<void> {
    file = await SpoolFile.create(options, reader);
    const held = parts;
    parts = [];
    for (const part of held) await file.write(part);
  }

  return {
    get sizeBytes() {
      return sizeBytes;
    },
    async write(bytes) {
      sizeBytes += bytes.length;
      if (file !== null) return file.write(bytes);
      parts.push(ownBytes(bytes));
      if (sizeBytes > memoryMax) await toDisk();
    },
    async digest() {
      if (hasher === undefined) throw new DatamonError('INVALID', 'a spool without a hasher');
      await file?.endReading();
      reader = undefined;
      for (const part of parts) await hasher.update(part);
      return hasher.digest();
    },
    async endReading() {
      reader = undefined;
      await file?.endReading();
    },
    async finish() {
      await file?.flush();
      const path = file?.path;
      if (path !== undefined) {
        const body = { sizeBytes, open: () => readSpooled(path) };
        return options.spoolPath === undefined || !isFast('pack-link')
          ? body
          : { ...body, file: path };
      }
      const held = parts;
      return {
        sizeBytes,
        async *open() {
          yield* held;
        },
      };
    },
    async dispose() {
      parts = [];
      hasher?.drop();
      const spooled = file;
      file = null;
      await spooled?.remove();
    },
  };
}
