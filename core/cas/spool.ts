/** Bytes on their way to a backend: in memory while few, in a temp file beyond. Never whole in memory, gone on `dispose`. */
import { type FileHandle, mkdir, open, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Body } from '../backend/backend.ts';
import { DatamonError } from '../errors.ts';
import { isFast } from '../fast-paths.ts';
import { type Random, randomHex } from '../random.ts';
import { ownBytes } from './frame.ts';

export const SPOOL_MEMORY_SIZE_MAX_BYTES = 4 * 1024 * 1024;
const READ_SIZE_BYTES = 256 * 1024;
/** Writes are gathered up to this size: a frame's header and payload are two writes, a disk likes one. */
const WRITE_SIZE_BYTES = 1024 * 1024;
/** Linux takes no more parts in one call. */
const WRITE_PART_COUNT_MAX = 1024;
const NOTHING = Buffer.alloc(0);

export interface SpoolOptions {
  /** Made when first needed. */
  readonly spoolDir: string;
  readonly random: Random;
  /** Names a file on the store's own disk, which then takes it as it is. Default: one in `spoolDir`. */
  readonly spoolPath?: (() => Promise<string>) | undefined;
  readonly memorySizeMaxBytes?: number;
}

export interface Spool {
  readonly sizeBytes: number;
  /** One call at a time. The bytes must not change afterwards. */
  write(bytes: Uint8Array): Promise<void>;
  /** Bytes written so far, from the first, as often as asked. No writes after this. */
  finish(): Promise<Body>;
  /** Removes what was spooled; safe to call twice and at any time. */
  dispose(): Promise<void>;
}

export function createSpool(options: SpoolOptions): Spool {
  const memoryMax = options.memorySizeMaxBytes ?? SPOOL_MEMORY_SIZE_MAX_BYTES;
  let parts: Uint8Array[] = [];
  let heldBytes = 0;
  let sizeBytes = 0;
  let file: TempFile | null = null;

  async function flush(): Promise<void> {
    file ??= await createTempFile(options);
    const written = parts;
    parts = [];
    heldBytes = 0;
    await diskCall(() => writeAll(file as TempFile, written));
  }

  return {
    get sizeBytes() {
      return sizeBytes;
    },
    async write(bytes) {
      parts.push(file === null ? ownBytes(bytes) : bytes);
      heldBytes += bytes.length;
      sizeBytes += bytes.length;
      if (heldBytes > (file === null ? memoryMax : WRITE_SIZE_BYTES)) await flush();
    },
    async finish() {
      if (file !== null && heldBytes > 0) await flush();
      const spooled = file;
      if (spooled !== null) {
        const body = { sizeBytes, open: () => readFile(spooled.path) };
        return options.spoolPath === undefined || !isFast('pack-link')
          ? body
          : { ...body, file: spooled.path };
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
      const spooled = file;
      file = null;
      if (spooled === null) return;
      await spooled.handle.close().catch(() => {});
      await unlink(spooled.path).catch(() => {});
    },
  };
}

interface TempFile {
  readonly path: string;
  readonly handle: FileHandle;
}

async function createTempFile(options: SpoolOptions): Promise<TempFile> {
  return diskCall(async () => {
    const path = await (options.spoolPath?.() ?? tempPath(options));
    return { path, handle: await open(path, 'wx', 0o600) };
  });
}

async function tempPath({ spoolDir, random }: SpoolOptions): Promise<string> {
  await mkdir(spoolDir, { recursive: true });
  return join(spoolDir, `datamon-${randomHex(random, 16)}.spool`);
}

async function writeAll({ handle }: TempFile, parts: readonly Uint8Array[]): Promise<void> {
  for (let at = 0; at < parts.length; at += WRITE_PART_COUNT_MAX) {
    const some = parts.slice(at, at + WRITE_PART_COUNT_MAX);
    const wanted = some.reduce((sum, { length }) => sum + length, 0);
    const { bytesWritten } = await handle.writev(some);
    // A short write is rare; what is left goes as one piece.
    const rest = bytesWritten < wanted ? Buffer.concat(some).subarray(bytesWritten) : NOTHING;
    for (let done = 0; done < rest.length; ) {
      done += (await handle.write(rest, done, rest.length - done)).bytesWritten;
    }
  }
}

async function* readFile(path: string): AsyncIterable<Uint8Array> {
  const handle = await diskCall(() => open(path, 'r'));
  try {
    for (;;) {
      const buffer = Buffer.allocUnsafe(READ_SIZE_BYTES);
      const { bytesRead } = await diskCall(() => handle.read(buffer, 0, buffer.length));
      if (bytesRead === 0) return;
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await handle.close();
  }
}

/** A full disk is not the store's fault, and the user should hear which disk it is. */
async function diskCall<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (cause) {
    if (cause instanceof DatamonError) throw cause;
    const { code, path, message } = cause as NodeJS.ErrnoException;
    const full = code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG';
    throw new DatamonError(
      full ? 'NO_SPACE' : 'UNAVAILABLE',
      full ? 'no space left for temporary files' : `temporary files fail: ${path ?? ''} ${message}`,
      {
        cause,
        hint: 'Free some space, or point TMPDIR at a disk that has room, and run it again.',
      },
    );
  }
}
