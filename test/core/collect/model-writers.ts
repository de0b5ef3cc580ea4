/**
 * Writers of the model: pushes with fresh files, with dedup hits and with files that are there already; merging; labels. Each yields
 * between any two requests, where it may pause for ever.
 */
import {
  CHUNKS_OF,
  type Chunk,
  type Container,
  GRACE,
  type Held,
  type ModelStore,
  type Oid,
  type Placed,
  UNREFERENCED,
} from './model-store.ts';
import type { Variant } from './model-variants.ts';

export type Actor = Generator<void, void, void>;

export interface ModelRandom {
  /** A whole number below `count`. */
  below(count: number): number;
}

export interface World {
  readonly store: ModelStore;
  readonly random: ModelRandom;
  readonly variant: Variant;
}

/** What a process knows: the segments it listed, and how much of the log of condemned containers it read. */
export class View {
  readonly world: World;
  segments: readonly Container[] = [];
  /** Of the log of condemned containers, and the policy found beside it. */
  looked = 0;
  policySince: number | null = null;
  /** Containers that this process wrote, and when the first of them was begun, by the store's clock and by its own. */
  readonly own = new Set<number>();
  ownSince = Number.POSITIVE_INFINITY;
  /** When it last published, by the store's clock: from then on it has half of the policy's time to make a root. */
  publishedAt = 0;

  constructor(world: World) {
    this.world = world;
  }

  list(): void {
    this.segments = this.world.store.segments();
  }

  look(): void {
    this.looked = this.world.store.logLength;
    this.policySince = this.world.store.policySince;
  }

  isCondemned(id: number): boolean {
    const entry = this.world.store.condemned.get(id);
    return entry !== undefined && entry.n <= this.looked;
  }

  leansOnCondemned({ runs }: Held): boolean {
    return runs.some(({ container }) => this.isCondemned(container));
  }

  /** A record that a writer may count on, and when the newest segment with one was made. */
  sound(oid: Oid): { readonly record: Held; readonly at: number } | null {
    let found: { record: Held; at: number } | null = null;
    for (const { id, at, records } of this.segments) {
      if (this.isCondemned(id) || (found !== null && found.at >= at)) continue;
      const record = records.find((each) => each.oid === oid && this.#isSound(each));
      if (record !== undefined) found = { record, at };
    }
    return found;
  }

  #isSound(record: Held): boolean {
    const { containers } = this.world.store;
    return (
      !this.leansOnCondemned(record) &&
      record.runs.every(({ container }) => containers.has(container))
    );
  }

  /** Where a chunk is, as far as tables once read tell: the container may be gone. */
  known(chunk: Chunk): Placed | null {
    for (const segment of this.segments) {
      if (this.isCondemned(segment.id)) continue;
      for (const { runs } of segment.records) {
        const run = runs.find((each) => each.chunk === chunk && !this.isCondemned(each.container));
        if (run !== undefined) return run;
      }
    }
    return null;
  }
}

/** Writes chunks into a pack of their own, or into the segment that is to come. */
export function* place(
  view: View,
  chunks: readonly Chunk[],
  segment: number,
): Generator<void, readonly Placed[], void> {
  const { store, random } = view.world;
  view.ownSince = Math.min(view.ownSince, store.now);
  if (chunks.length === 0 || random.below(2) === 0) {
    return chunks.map((chunk) => ({ container: segment, chunk }));
  }
  const id = store.newId();
  view.own.add(id);
  yield;
  store.create({ id, kind: 'pack', chunks, records: [], replaces: [] });
  return chunks.map((chunk) => ({ container: id, chunk }));
}

export interface Draft {
  readonly oid: Oid;
  readonly runs: readonly Placed[];
}

/** Publishes a segment, then looks, and copies out what was condemned meanwhile. False: it gave up, nothing was acknowledged. */
export function* publish(view: View, drafts: readonly Draft[]): Generator<void, boolean, void> {
  const { store, variant } = view.world;
  let waiting = drafts;
  for (let tries = 0; tries < 4; tries += 1) {
    const id = store.newId();
    const records = yield* copyRuns(view, waiting, id);
    if (records === null) return false;
    if (variant === 'look before publish') {
      yield;
      view.look();
      if (records.some((record) => view.leansOnCondemned(record))) continue;
    }
    yield;
    createSegment(view, id, records);
    if (variant === 'look before publish' || variant === 'no look') return true;
    yield;
    if (maySkipLook(view, records)) return true;
    view.look();
    // The segment itself may have been condemned while its writer slept: then nothing in it counts.
    const all = view.isCondemned(id);
    waiting = records.filter((record) => all || view.leansOnCondemned(record));
    if (waiting.length === 0) return true;
  }
  return false;
}

/** The same records, leaning on nothing condemned; null where bytes are gone. */
function* copyRuns(
  view: View,
  drafts: readonly Draft[],
  segment: number,
): Generator<void, Held[] | null, void> {
  const { store } = view.world;
  const records: Held[] = [];
  for (const { oid, runs } of drafts) {
    const copies: Placed[] = [];
    for (const run of runs) {
      if (run.container >= 0 && !view.isCondemned(run.container)) copies.push(run);
      else if (run.container >= 0 && !store.holds(run)) return null;
      else copies.push(...(yield* place(view, [run.chunk], segment)));
    }
    records.push({ oid, runs: copies });
  }
  return records;
}

function createSegment(view: View, id: number, records: readonly Held[]): void {
  const { store } = view.world;
  const chunks = records
    .flatMap(({ runs }) => runs)
    .filter(({ container }) => container === id)
    .map(({ chunk }) => chunk);
  view.own.add(id);
  view.publishedAt = store.now;
  store.create({ id, kind: 'segment', chunks, records, replaces: [] });
}

/** The look may be left out where nothing else's containers are named and the store's clock, read after publishing, moved little. */
function maySkipLook(view: View, records: readonly Held[]): boolean {
  const { store, variant, random } = view.world;
  if (random.below(2) === 0) return false;
  if (!records.every(({ runs }) => runs.every(({ container }) => view.own.has(container)))) {
    return false;
  }
  // A process that slept finds that its own clock slept too.
  const moved = variant === 'skipped look by the process clock' ? 0 : store.now - view.ownSince;
  return moved < GRACE / 2;
}

/** Stores one blob, or finds it stored; true once it is acknowledged. */
function* storeBlob(view: View, oid: Oid): Generator<void, boolean, void> {
  const { store, variant } = view.world;
  yield;
  if (variant === 'has looks before it lists') view.look();
  if (view.sound(oid) === null) {
    yield;
    view.list();
  }
  if (variant !== 'has looks before it lists') {
    // A listed record may be that of a writer who has not looked yet, so whoever counts on it looks himself.
    yield;
    view.look();
  }
  const hit = view.sound(oid);
  if (hit !== null) {
    const since = view.policySince;
    const age = store.now - Math.max(hit.at, since ?? 0);
    const isOld = since !== null && age > UNREFERENCED / 2;
    if (!isOld || variant === 'no touch') {
      store.acknowledge(oid, store.now);
      return true;
    }
    if (!(yield* publish(view, [hit.record]))) return false;
    store.acknowledge(oid, view.publishedAt);
    return true;
  }
  const runs = (CHUNKS_OF[oid] ?? []).map((chunk) => view.known(chunk) ?? { container: -1, chunk });
  if (!(yield* publish(view, [{ oid, runs }]))) return false;
  store.acknowledge(oid, view.publishedAt);
  return true;
}

/** A push: blobs, announcement, the ref, the announcement's end. */
export function* push(world: World, oids: readonly Oid[], branch: number): Actor {
  const { store } = world;
  const view = new View(world);
  view.list();
  const acked: Oid[] = [];
  for (const oid of oids) if (yield* storeBlob(view, oid)) acked.push(oid);
  if (acked.length === 0 || world.random.below(3) === 0) return;
  yield;
  const covered = (): readonly Oid[] =>
    acked.filter((oid) => (store.lastAck.get(oid) ?? 0) + UNREFERENCED / 2 > store.now);
  const { now: at } = store;
  const announced = { oids: acked, at, covered: covered(), done: false };
  const pending = { kind: 'pending' as const, name: 0, ...announced };
  store.addRoot(pending);
  yield;
  const kept = acked.filter(
    (oid) => pending.covered.includes(oid) && store.isRoot(pending, store.now),
  );
  store.addRoot({
    kind: 'branch',
    name: branch,
    oids: acked,
    at: store.now,
    covered: [...new Set([...covered(), ...kept])],
    done: true,
  });
  yield;
  pending.done = true;
}

export function* deleteBranch(world: World, branch: number): Actor {
  yield;
  const { store } = world;
  store.addRoot({ kind: 'branch', name: branch, oids: [], at: store.now, covered: [], done: true });
}

/** A label on something a branch once had: set first, then looked whether all of it is there, taken back where it is not. */
export function* label(world: World, name: number): Actor {
  const { store, variant, random } = world;
  const view = new View(world);
  yield;
  const bundles = store.roots.filter((root) => root.kind === 'branch' && root.oids.length > 0);
  const bundle = bundles[random.below(bundles.length)];
  if (bundle === undefined) return;
  yield;
  const root = { kind: 'label' as const, name, oids: bundle.oids, done: true };
  store.addRoot({ ...root, at: store.now, covered: [] });
  if (variant === 'label without a look') {
    if (bundle.oids.every((oid) => store.reads(oid))) cover(store, name, bundle.oids);
    return;
  }
  for (const oid of bundle.oids) {
    yield;
    view.list();
    yield;
    view.look();
    const hit = view.sound(oid) ?? readable(view, oid);
    const held = hit !== null && (yield* publish(view, [hit.record]));
    if (held) continue;
    store.addRoot({ ...root, oids: [], at: store.now, covered: [] });
    return;
  }
  cover(store, name, bundle.oids);
}

function cover(store: ModelStore, name: number, oids: readonly Oid[]): void {
  const head = store.roots.findLast((root) => root.kind === 'label' && root.name === name);
  // Whoever labelled meanwhile has the name now.
  if (head === undefined || head.oids !== oids) return;
  (head as { covered: readonly Oid[] }).covered = oids;
  store.judge();
}

/** A record that leans on condemned containers can still be copied out while they are there. */
function readable(view: View, oid: Oid): { readonly record: Held } | null {
  const { store } = view.world;
  for (const segment of view.segments) {
    for (const record of segment.records) {
      if (record.oid === oid && record.runs.every((run) => store.holds(run))) return { record };
    }
  }
  return null;
}

/** Joins segments: the same records, inlined frames in a pack. Deletes nothing. */
export function* merge(world: World): Actor {
  const { store, variant } = world;
  const view = new View(world);
  yield;
  view.list();
  view.look();
  const replaced = new Set(view.segments.flatMap((segment) => segment.replaces));
  const group = view.segments.filter(({ id }) => !replaced.has(id)).slice(0, 3);
  if (group.length < 2) return;
  const inlined = new Set(group.map(({ id }) => id));
  const chunks = [...new Set(group.flatMap((segment) => segment.chunks))];
  const pack = store.newId();
  yield;
  if (group.some(({ id }) => !store.containers.has(id))) return;
  store.create({ id: pack, kind: 'pack', chunks, records: [], replaces: [] });
  const move = (run: Placed): Placed =>
    inlined.has(run.container) ? { container: pack, chunk: run.chunk } : run;
  const records = group.flatMap((segment) =>
    segment.records.map(({ oid, runs }) => ({ oid, runs: runs.map(move) })),
  );
  const replaces = group.map(({ id }) => id);
  if (variant !== 'merge without a look') {
    yield* publishMerged(view, records, replaces);
    return;
  }
  yield;
  store.create({ id: store.newId(), kind: 'segment', chunks: [], records, replaces });
}

/** Records that lean on condemned containers stay where they are: only what is sound is worth moving. */
function* publishMerged(
  view: View,
  records: readonly Held[],
  replaces: readonly number[],
): Generator<void, void, void> {
  const { store } = view.world;
  yield;
  store.create({ id: store.newId(), kind: 'segment', chunks: [], records, replaces });
  yield;
  view.look();
  const doomed = records.filter((record) => view.leansOnCondemned(record));
  if (doomed.length > 0) yield* publish(view, doomed);
}
