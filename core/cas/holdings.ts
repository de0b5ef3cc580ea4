/**
 * Which records make a blob or page stored. Promise: one that stands in or leans on something condemned does not, nor one whose pack
 * is gone, cut short, or was read damaged here; so sending such a file again heals it. A pack is asked for once.
 */
import type { Backend } from '../backend/backend.ts';
import type { ContainerId } from '../keys.ts';
import type { Condemned } from './condemned.ts';
import type { ContainerRef, Containers } from './containers.ts';
import type { FoundRecord } from './segment-index.ts';

/** Packs known to be there; forgetting costs a request each. */
const SEEN_COUNT_MAX = 100_000;

export interface HoldingsOptions {
  readonly backend: Backend;
  readonly containers: Containers;
  readonly condemned: Condemned;
}

export class Holdings {
  readonly #options: HoldingsOptions;
  readonly #seen = new Set<ContainerId>();
  readonly #broken = new Set<ContainerId>();

  constructor(options: HoldingsOptions) {
    this.#options = options;
  }

  /** The first record that holds. */
  async sound(records: readonly FoundRecord[] = []): Promise<FoundRecord | undefined> {
    for (const record of records) if (await this.#isSound(record)) return record;
    return undefined;
  }

  /** The first record that counts for who reads: what it names may be damaged or condemned, as long as it was not deleted. */
  async listed(records: readonly FoundRecord[] = []): Promise<FoundRecord | undefined> {
    for (const record of records) if (await this.#isReadable(record)) return record;
    return undefined;
  }

  /** As `listed`, for many: what names nothing condemned, as nearly all do, is waited for by nobody. */
  async listedOf(found: Iterable<readonly FoundRecord[]>): Promise<readonly FoundRecord[]> {
    const listed: FoundRecord[] = [];
    for (const records of found) {
      const [first] = records;
      const record =
        first !== undefined && !this.#namesCondemned(first) ? first : await this.listed(records);
      if (record !== undefined) listed.push(record);
    }
    return listed;
  }

  /** False for a container that nothing new may lean on, as far as known. */
  mayLeanOn(id: ContainerId): boolean {
    return !this.#broken.has(id) && !this.#options.condemned.has(id);
  }

  /** Noted by whoever found it missing or damaged. */
  distrust(id: ContainerId): void {
    this.#broken.add(id);
  }

  /** Healed since. */
  trust(id: ContainerId): void {
    this.#broken.delete(id);
  }

  async #isSound({ segment, runs }: FoundRecord): Promise<boolean> {
    if (this.#options.condemned.has(segment)) return false;
    for (const { container } of runs) {
      if (!this.mayLeanOn(container.id) || !(await this.#isThere(container))) return false;
    }
    return true;
  }

  #namesCondemned({ runs }: FoundRecord): boolean {
    return runs.some(({ container }) => this.#options.condemned.has(container.id));
  }

  async #isReadable({ segment, runs }: FoundRecord): Promise<boolean> {
    const { condemned, backend, containers } = this.#options;
    for (const { container } of runs) {
      if (container.id === segment || !condemned.has(container.id)) continue;
      if ((await backend.stat(containers.keyOf(container))) === null) return false;
    }
    return true;
  }

  async #isThere(ref: ContainerRef): Promise<boolean> {
    // A segment's record was read from the segment.
    if (ref.kind === 'segment' || this.#seen.has(ref.id)) return true;
    const { backend, containers } = this.#options;
    const there = await backend.stat(containers.keyOf(ref));
    if (there?.sizeBytes !== ref.sizeBytes) {
      this.distrust(ref.id);
      return false;
    }
    if (this.#seen.size >= SEEN_COUNT_MAX) this.#seen.clear();
    this.#seen.add(ref.id);
    return true;
  }
}
