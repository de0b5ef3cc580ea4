/**
 * The store of the model of collection: containers, the log of condemned ones, roots and a clock, with nothing else in it. Promise:
 * whatever is deleted is judged at once: what was acknowledged and has to be kept must still read.
 */

/** Hours. A day of grace, four days until an unreferenced record may go. */
export const GRACE = 24;
export const UNREFERENCED = 96;
export const HISTORY = 120;
export const PENDING = 150;

export type Oid = number;
export type Chunk = number;

/** Blobs share chunks, so that one file's pack is another one's dedup hit. */
export const CHUNKS_OF: readonly (readonly Chunk[])[] = [[0], [0, 1], [1, 2], [3]];

export interface Placed {
  readonly container: number;
  readonly chunk: Chunk;
}

export interface Held {
  readonly oid: Oid;
  readonly runs: readonly Placed[];
}

export interface Container {
  readonly id: number;
  readonly kind: 'pack' | 'segment';
  readonly at: number;
  readonly chunks: readonly Chunk[];
  readonly records: readonly Held[];
  readonly replaces: readonly number[];
}

export interface Root {
  readonly kind: 'pending' | 'branch' | 'label';
  readonly name: number;
  /** Empty: the ref was deleted. */
  readonly oids: readonly Oid[];
  readonly at: number;
  /** Oids whose acknowledgement was fresh enough when the root was made: what the contract covers. */
  readonly covered: readonly Oid[];
  done: boolean;
}

export class Broken extends Error {
  override readonly name = 'Broken';
}

export class ModelStore {
  now = 0;
  /** Since when the policy is on; null: every record is kept for ever. */
  policySince: number | null = null;
  readonly containers = new Map<number, Container>();
  readonly condemned = new Map<number, { readonly n: number; readonly at: number }>();
  readonly roots: Root[] = [];
  readonly lastAck = new Map<Oid, number>();
  logLength = 0;
  #ids = 0;

  /** Random in truth, never used again. */
  newId(): number {
    this.#ids += 1;
    return this.#ids;
  }

  skipIds(count: number): void {
    this.#ids += count;
  }

  create(container: Omit<Container, 'at'>): void {
    this.containers.set(container.id, { ...container, at: this.now });
  }

  segments(): Container[] {
    const found: Container[] = [];
    for (const container of this.containers.values()) {
      if (container.kind === 'segment') found.push(container);
    }
    return found;
  }

  condemn(ids: readonly number[]): void {
    this.logLength += 1;
    for (const id of ids) {
      if (!this.condemned.has(id)) this.condemned.set(id, { n: this.logLength, at: this.now });
    }
  }

  /** `at`: when it was published, or found young enough. */
  acknowledge(oid: Oid, at: number): void {
    this.lastAck.set(oid, Math.max(at, this.lastAck.get(oid) ?? 0));
    if (this.mustKeep(oid) && !this.reads(oid))
      throw new Broken(`${oid} was acknowledged and does not read`);
  }

  remove(id: number): void {
    this.containers.delete(id);
    this.judge();
  }

  /** Nothing that was acknowledged and has to be kept may be lost. */
  judge(): void {
    for (const oid of this.lastAck.keys()) {
      if (this.mustKeep(oid) && !this.reads(oid)) throw new Broken(`${oid} is lost`);
    }
  }

  reads(oid: Oid): boolean {
    for (const container of this.containers.values()) {
      for (const record of container.records) {
        if (record.oid === oid && record.runs.every((run) => this.holds(run))) return true;
      }
    }
    return false;
  }

  holds({ container, chunk }: Placed): boolean {
    return this.containers.get(container)?.chunks.includes(chunk) === true;
  }

  /** What users were promised. */
  mustKeep(oid: Oid): boolean {
    const since = this.policySince;
    if (since === null || since + UNREFERENCED > this.now) return true;
    const acked = this.lastAck.get(oid);
    if (acked !== undefined && acked + UNREFERENCED / 2 > this.now) return true;
    return this.roots.some((root) => root.covered.includes(oid) && this.isRoot(root, this.now));
  }

  /** Whether a root counts at `now`: heads always, older entries for a while, pendings until they are done or old. */
  isRoot(root: Root, now: number): boolean {
    if (root.kind === 'pending') return !root.done && root.at + PENDING > now;
    if (root.at + HISTORY > now) return true;
    return this.#heads.get(`${root.kind}${root.name}`) === root;
  }

  readonly #heads = new Map<string, Root>();

  addRoot(root: Root): void {
    this.roots.push(root);
    if (root.kind !== 'pending') this.#heads.set(`${root.kind}${root.name}`, root);
  }
}
