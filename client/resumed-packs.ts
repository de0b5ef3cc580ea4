/**
 * Packs that the server took from an earlier, interrupted put of this client, as their tickets prove: their chunks need not be sent
 * again. What the server no longer accepts is dropped and sent like anything new.
 */
import { FRAME_HEADER_SIZE_BYTES } from '../core/cas/frame.ts';
import {
  FRAME_ENTRY_SIZE_BYTES,
  type FrameTable,
  openFrameTable,
} from '../core/cas/frame-table.ts';
import type { UploadJournal } from '../core/cas/upload-journal.ts';
import type { Digest } from '../core/digest.ts';
import type { ContainerId } from '../core/keys.ts';
import type { FileUpload } from './file-upload.ts';
import type { SentPack } from './pack-sender.ts';

/** Memory for frame tables: some 50 GiB of chunks. */
const HELD_SIZE_MAX_BYTES = 48 * 1024 * 1024;

interface ResumedPack {
  readonly id: ContainerId;
  readonly frames: FrameTable;
  readonly sent: SentPack;
  /** Which frames were counted as spared. */
  readonly counted: Uint8Array;
}

export interface ResumedChunk {
  readonly pack: SentPack;
  /** Spared by it; 0 where this chunk was counted before. */
  readonly sparedBytes: number;
  /** The same as stored: framed, with its table entry. */
  readonly sparedStoredBytes: number;
}

export class ResumedPacks {
  readonly #journal: UploadJournal | null;
  readonly #packs = new Map<ContainerId, ResumedPack>();
  #last: ResumedPack | null = null;
  #loading: Promise<void> | null = null;

  constructor(journal: UploadJournal | null) {
    this.#journal = journal;
  }

  /** Reads the journal, once. */
  load(): Promise<void> {
    this.#loading ??= this.#load();
    return this.#loading;
  }

  /** Where the server has a chunk that it took earlier, null where it was never sent. */
  take(digest: Digest): ResumedChunk | null {
    const pack = this.#packOf(digest);
    if (pack === null) return null;
    const { frames, counted, sent } = pack;
    const index = frames.find('chunk', digest);
    const isFirst = counted[index] === 0;
    counted[index] = 1;
    if (!isFirst) return { pack: sent, sparedBytes: 0, sparedStoredBytes: 0 };
    const { rawLength, storedLength } = frames.frame(index);
    const sparedStoredBytes = FRAME_HEADER_SIZE_BYTES + storedLength + FRAME_ENTRY_SIZE_BYTES;
    return { pack: sent, sparedBytes: rawLength, sparedStoredBytes };
  }

  /** The server refuses what these files took: nothing is resumed any more. The chunks to be sent instead. */
  async giveUp(uploads: readonly FileUpload[]): Promise<readonly Digest[]> {
    const sent = new Set([...this.#packs.values()].map((pack) => pack.sent));
    const using = uploads.filter(({ packs }) => [...packs].some((pack) => sent.has(pack)));
    if (using.length === 0) return [];
    const digests = new Set<Digest>();
    for (const { chunks } of using) {
      for (const digest of chunks) if (this.#packOf(digest) !== null) digests.add(digest);
    }
    for (const upload of using) upload.disown(sent);
    const ids = [...this.#packs.keys()];
    this.#packs.clear();
    this.#last = null;
    await this.#journal?.forget(ids);
    return [...digests];
  }

  #packOf(digest: Digest): ResumedPack | null {
    const last = this.#last;
    if (last !== null && last.frames.find('chunk', digest) >= 0) return last;
    for (const pack of this.#packs.values()) {
      if (pack === last || pack.frames.find('chunk', digest) < 0) continue;
      this.#last = pack;
      return pack;
    }
    return null;
  }

  async #load(): Promise<void> {
    let heldBytes = 0;
    const damaged: ContainerId[] = [];
    for (const { id, tablesOffset, frames: bytes, ticket } of (await this.#journal?.packs()) ??
      []) {
      try {
        if (ticket === null || heldBytes > HELD_SIZE_MAX_BYTES) continue;
        const frames = openFrameTable(bytes, tablesOffset, `the note of pack ${id}`);
        heldBytes += frames.heldBytes;
        const sent = { id, ticket: Promise.resolve(ticket) };
        this.#packs.set(id, { id, frames, sent, counted: new Uint8Array(frames.count) });
      } catch {
        damaged.push(id);
      }
    }
    await this.#journal?.forget(damaged);
  }
}
