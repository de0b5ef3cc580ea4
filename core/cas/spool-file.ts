/**
 * The temp file of a spool. Promises: what is written goes through two blocks of shared memory, one being filled while the other is written
 * and read where it lies; a failed write fails all that follows; no descriptor is closed under a write.
 */
import { type FileHandle, mkdir, open, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { DatamonError } from '../errors.ts';
import { randomHex } from '../random.ts';
import { type Slab, Slabs } from './slabs.ts';
import type { BlockReader, SpoolOptions } from './spool.ts';

const READ_SIZE_BYTES = 256 * 1024;
/** Writes are gathered up to this size: a frame's header and payload are two writes, a disk likes one. */
const BLOCK_SIZE_BYTES = 1024 * 1024;
const blocks = new Slabs(BLOCK_SIZE_BYTES);

export class SpoolFile {
  readonly path: string;
  readonly #handle: FileHandle;
  #reader: BlockReader | undefined;
  #block: Slab | null = null;
  #filledBytes = 0;
  /** The block before this one, on its way to disk and reader. */
  #underWay: Promise<void> = Promise.resolve();

  private constructor(path: string, handle: FileHandle, reader: BlockReader | undefined) {
    this.path = path;
    this.#handle = handle;
    this.#reader = reader;
  }

  static async create(options: SpoolOptions, reader: BlockReader | undefined): Promise<SpoolFile> {
    return diskCall(async () => {
      const path = await (options.spoolPath?.() ?? tempPath(options));
      return new SpoolFile(path, await open(path, 'wx', 0o600), reader);
    });
  }

  /** The bytes are the caller's again once it resolved. */
  async write(bytes: Uint8Array): Promise<void> {
    for (let rest = bytes; rest.length > 0; ) {
      this.#block ??= blocks.take();
      const taken = rest.subarray(0, BLOCK_SIZE_BYTES - this.#filledBytes);
      const endBytes = this.#filledBytes + taken.length;
      // Twice as fast as `set`, which copies between shared memories word by word.
      this.#block.bytes.fill(taken, this.#filledBytes, endBytes);
      this.#filledBytes = endBytes;
      rest = rest.subarray(taken.length);
      if (this.#filledBytes === BLOCK_SIZE_BYTES) await this.#handOver();
    }
  }

  /** Waits until everything is written, and read. */
  async flush(): Promise<void> {
    await this.#handOver();
    await this.#underWay;
  }

  /** As `flush`; what is written afterwards is not read. */
  async endReading(): Promise<void> {
    await this.flush();
    this.#reader = undefined;
  }

  /** Removes it; safe at any time. */
  async remove(): Promise<void> {
    this.#block = null;
    this.#filledBytes = 0;
    await this.#underWay.catch(() => {});
    await this.#handle.close().catch(() => {});
    await unlink(this.path).catch(() => {});
  }

  async #handOver(): Promise<void> {
    const block = this.#block;
    const bytes = block?.bytes.subarray(0, this.#filledBytes);
    this.#block = null;
    this.#filledBytes = 0;
    await this.#underWay;
    if (block === null || bytes === undefined) return;
    this.#underWay = this.#settle(block, bytes);
    // Told by whoever waits for it next; until then a failure must not count as unhandled.
    this.#underWay.catch(() => {});
  }

  async #settle(block: Slab, bytes: Uint8Array): Promise<void> {
    const seen = this.#reader?.lend(bytes);
    seen?.catch(() => {});
    await diskCall(() => this.#writeAll(bytes));
    await seen;
    block.release();
  }

  async #writeAll(bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      done += (await this.#handle.write(bytes, done, bytes.length - done)).bytesWritten;
    }
  }
}

async function tempPath({ spoolDir, random }: SpoolOptions): Promise<string> {
  await mkdir(spoolDir, { recursive: true });
  return join(spoolDir, `datamon-${randomHex(random, 16)}.spool`);
}

/** The bytes of a spool that is finished; each buffer is the reader's. */
export async function* readSpooled(path: string): AsyncIterable<Uint8Array> {
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
