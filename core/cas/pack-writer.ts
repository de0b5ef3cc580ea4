/**
 * Puts frames into packs that are stored as they fill, while the next ones are being filled. Promises: at most a few packs on the
 * way, each spooled to disk; a failed pack fails everything after it.
 */
import type { Backend } from '../backend/backend.ts';
import type { Random } from '../random.ts';
import { openTables } from './container-reader.ts';
import {
  type ContainerWriter,
  createContainerWriter,
  PACK_SIZE_MAX_BYTES,
} from './container-writer.ts';
import { type Containers, refOf } from './containers.ts';
import { type ContainerCell, type FrameHandle, framedSize, settle } from './frame-handle.ts';
import { encodeFrameTable, FRAME_ENTRY_SIZE_BYTES } from './frame-table.ts';
import { storeContainer } from './store-container.ts';
import type { NotedPack } from './upload-journal.ts';

const PACKS_ON_THE_WAY_MAX = 2;

export interface PackWriterOptions {
  readonly backend: Backend;
  readonly containers: Containers;
  readonly spoolDir: string;
  readonly random: Random;
  readonly packSizeMaxBytes?: number;
  /** Told of each pack once it is durable, before anything leans on it. */
  readonly onStored?: (pack: NotedPack) => Promise<void>;
}

export class PackWriter {
  readonly #options: PackWriterOptions;
  readonly #onTheWay = new Set<Promise<void>>();
  #open: { readonly writer: ContainerWriter; readonly cell: ContainerCell } | null = null;
  #failure: { readonly error: unknown } | null = null;
  /** Sizes in sum, and number, of the packs stored so far. */
  storedBytes = 0;
  packCount = 0;

  constructor(options: PackWriterOptions) {
    this.#options = options;
  }

  /** Appends the handle's frame. The handle is settled; its container is durable after `finish`. */
  async add(handle: FrameHandle): Promise<void> {
    const frame = handle.waiting;
    if (frame === null) return;
    if (this.#failure !== null) throw this.#failure.error;
    const max = this.#options.packSizeMaxBytes ?? PACK_SIZE_MAX_BYTES;
    const needed = framedSize(frame) + FRAME_ENTRY_SIZE_BYTES;
    if (this.#open !== null && this.#open.writer.sizeBytes + needed > max) await this.#roll();
    if (this.#open === null) {
      const { spoolPath } = this.#options.backend;
      const writer = createContainerWriter({ ...this.#options, kind: 'pack', spoolPath });
      this.#open = { writer, cell: { id: writer.id, ref: null } };
    }
    const { writer, cell } = this.#open;
    settle(handle, cell, await writer.addEncoded(frame));
  }

  /** Stores what is open and waits for everything. May be used again afterwards. */
  async finish(): Promise<void> {
    if (this.#open !== null && this.#failure === null) await this.#roll();
    await Promise.all(this.#onTheWay);
    if (this.#failure !== null) throw this.#failure.error;
  }

  /** Drops what is not stored yet. */
  async dispose(): Promise<void> {
    await Promise.all(this.#onTheWay);
    await this.#open?.writer.dispose();
    this.#open = null;
  }

  async #roll(): Promise<void> {
    const open = this.#open;
    if (open === null) return;
    this.#open = null;
    const storing = this.#store(open.writer, open.cell).catch((error: unknown) => {
      this.#failure ??= { error };
    });
    this.#onTheWay.add(storing);
    storing.finally(() => this.#onTheWay.delete(storing)).catch(() => {});
    if (this.#onTheWay.size >= PACKS_ON_THE_WAY_MAX) await Promise.race(this.#onTheWay);
  }

  async #store(writer: ContainerWriter, cell: ContainerCell): Promise<void> {
    const { backend, containers } = this.#options;
    try {
      const pack = await writer.seal();
      const key = containers.keyOf({ kind: 'pack', id: pack.id, tier: 0 });
      await storeContainer(backend, key, pack.body, pack.trailer);
      const tables = openTables(pack.trailer, pack.tables, pack.sizeBytes, key);
      cell.ref = refOf(tables, 0);
      containers.remember(cell.ref, tables);
      const { id, sizeBytes } = pack;
      const { tablesOffset } = pack.trailer;
      const frames = encodeFrameTable(pack.frames);
      await this.#options.onStored?.({ id, sizeBytes, tablesOffset, frames, ticket: null });
      this.storedBytes += pack.sizeBytes;
      this.packCount += 1;
    } finally {
      await writer.dispose();
    }
  }
}
