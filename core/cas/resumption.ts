/**
 * Takes up interrupted puts straight on a backend: packs that the journal names become known chunks. Promises: only packs that are
 * there, whole tables and all, and that nobody condemned; a pack that some record names is known without the journal.
 */
import { hasCode } from '../errors.ts';
import type { ContainerId } from '../keys.ts';
import type { Condemned } from './condemned.ts';
import { type Containers, refOf } from './containers.ts';
import type { KnownChunks } from './known-chunks.ts';
import type { SegmentIndex } from './segment-index.ts';
import type { NotedPack, UploadJournal } from './upload-journal.ts';

export interface ResumptionOptions {
  readonly journal: UploadJournal;
  readonly known: KnownChunks;
  readonly containers: Containers;
  readonly index: SegmentIndex;
  readonly condemned: Condemned;
}

export class Resumption {
  readonly #options: ResumptionOptions;
  readonly #seen = new Set<ContainerId>();
  /** Noted by puts of this process that did not fail: nothing to take up yet. */
  readonly #own = new Set<ContainerId>();
  #adopting: Promise<void> = Promise.resolve();

  constructor(options: ResumptionOptions) {
    this.#options = options;
  }

  /** Makes what was left by interrupted puts known. Cheap where nothing was. */
  adopt(): Promise<void> {
    this.#adopting = this.#adopting.catch(() => {}).then(() => this.#adoptNoted());
    return this.#adopting;
  }

  async note(pack: NotedPack): Promise<void> {
    this.#seen.add(pack.id);
    this.#own.add(pack.id);
    await this.#options.journal.note(pack);
  }

  /** A put of this process failed: what it stored is there for the next one. */
  failed(): void {
    for (const id of this.#own) this.#seen.delete(id);
    this.#own.clear();
    this.#options.known.recount();
  }

  /** Records that name these packs were published. */
  async recorded(ids: ReadonlySet<ContainerId>): Promise<void> {
    for (const id of ids) this.#options.known.release(id);
    await this.#options.journal.forget(ids);
  }

  async #adoptNoted(): Promise<void> {
    const { journal, index, condemned } = this.#options;
    const noted = (await journal.packs()).filter(({ id }) => !this.#seen.has(id));
    if (noted.length === 0) return;
    await Promise.all([index.refresh(), condemned.look()]);
    const recorded = new Set<ContainerId>();
    for (const { containers } of index.segments())
      for (const { id } of containers) recorded.add(id);
    const useless: ContainerId[] = [];
    for (const pack of noted) {
      this.#seen.add(pack.id);
      const isOpen = !recorded.has(pack.id) && !condemned.has(pack.id);
      if (!isOpen || !(await this.#adoptPack(pack))) useless.push(pack.id);
    }
    await journal.forget(useless);
  }

  /** False for a pack that is not there, or not what was noted. */
  async #adoptPack({ id, sizeBytes }: NotedPack): Promise<boolean> {
    const { containers, known } = this.#options;
    // The table is read from the store, not from the note: that proves the pack is there.
    const place = { kind: 'pack', id, tier: 0, tablesOffset: 0, tablesLength: 0 } as const;
    try {
      const tables = await containers.tables({ ...place, sizeBytes, samples: Buffer.alloc(0) });
      known.adopt(refOf(tables, 0), tables.frames);
      return true;
    } catch (error) {
      if (hasCode(error, 'NOT_FOUND') || hasCode(error, 'CORRUPT')) return false;
      throw error;
    }
  }
}
