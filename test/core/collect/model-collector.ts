/**
 * The collector of the model. What it condemns is chosen by dice among all containers older than the grace: whatever a chooser would
 * choose, the procedure must be safe.
 */
import {
  Broken,
  type Container,
  GRACE,
  type Held,
  type ModelStore,
  type Oid,
  type Placed,
  UNREFERENCED,
} from './model-store.ts';
import { type Actor, publish, View, type World } from './model-writers.ts';

interface Marked {
  readonly segments: readonly Container[];
  readonly kept: (oid: Oid) => boolean;
}

/** One round: choose, copy out, condemn, wait, list again, copy out, delete. */
export function* collect(world: World): Actor {
  const { store, random, variant } = world;
  const view = new View(world);
  yield;
  // Another machine's clock may be days ahead.
  const ahead = variant === "collector's clock" ? random.below(2) * 3 * GRACE : 0;
  const old = [...store.containers.values()].filter(({ at }) => at + GRACE < store.now + ahead);
  const replaced = new Set(store.segments().flatMap((segment) => segment.replaces));
  const chosen = old
    .filter(({ id }) => random.below(2) === 0 || replaced.has(id))
    .map(({ id }) => id);
  const marked = yield* copyOut(view, new Set(chosen), ahead);
  if (marked === null) return;
  yield;
  store.condemn(chosen);
  const condemnedAt = store.now;
  do yield;
  while (store.now + ahead < condemnedAt + GRACE);
  yield* sweep(view, ahead, variant === 'no listing after the grace' ? marked : null);
}

/** Deletes what was condemned a grace ago, whoever did it. */
function* sweep(view: View, ahead: number, stale: Marked | null): Actor {
  const { store, variant } = view.world;
  view.look();
  const due: Container[] = [];
  for (const container of store.containers.values()) {
    const entry = store.condemned.get(container.id);
    if (entry !== undefined && entry.at + GRACE <= store.now + ahead) due.push(container);
  }
  if (stale === null && variant === 'revive') revive(view, due);
  else if (stale === null && (yield* copyOut(view, new Set(), ahead)) === null) return;
  const first = variant === 'packs before segments' ? 'pack' : 'segment';
  due.sort((a, b) => Number(b.kind === first) - Number(a.kind === first));
  for (const container of due) {
    yield;
    if (container.kind === 'pack') checkOrder(store, container, due);
    store.remove(container.id);
  }
}

/** The tombstone that can be taken back: what is found in use is condemned no more. */
function revive(view: View, due: Container[]): void {
  const { store } = view.world;
  view.list();
  const { segments, kept } = markOnce(view);
  for (const segment of segments) {
    for (const { oid, runs } of segment.records) {
      if (!kept(oid)) continue;
      for (const id of [segment.id, ...runs.map(({ container }) => container)]) {
        const at = due.findIndex((container) => container.id === id);
        if (at < 0) continue;
        due.splice(at, 1);
        store.condemned.delete(id);
      }
    }
  }
}

/** Index before data: a segment must not name a pack that was deleted by the very run that is to delete the segment. */
function checkOrder(store: ModelStore, pack: Container, due: readonly Container[]): void {
  for (const { kind, id, records } of due) {
    if (kind !== 'segment' || !store.containers.has(id)) continue;
    const names = records.some(({ runs }) => runs.some(({ container }) => container === pack.id));
    if (names) throw new Broken(`the pack ${pack.id} goes before the segment ${id}`);
  }
}

/**
 * Gives every record that is kept and leans on a doomed container a twin that does not; looks afterwards, and again until nothing was
 * condemned meanwhile. Null: something did not read; nothing may be condemned or deleted.
 */
function* copyOut(
  view: View,
  doomed: ReadonlySet<number>,
  ahead: number,
): Generator<void, Marked | null, void> {
  const { variant } = view.world;
  for (let tries = 0; tries < 6; tries += 1) {
    const marked = yield* mark(view, ahead);
    if (marked === null) continue;
    const isDoomed = (id: number): boolean => doomed.has(id) || view.isCondemned(id);
    const missing = sourcesOf(view, marked, isDoomed);
    if (missing === null) continue;
    if (missing.length === 0) return marked;
    const drafts = missing.map(({ oid, runs }) => ({
      oid,
      runs: runs.map((run) => (isDoomed(run.container) ? { ...run, container: -1 } : run)),
    }));
    if (variant === 'copies not looked at') {
      const { store } = view.world;
      const id = store.newId();
      const pack = store.newId();
      const chunks = drafts.flatMap(({ runs }) => runs.map(({ chunk }) => chunk));
      yield;
      store.create({ id: pack, kind: 'pack', chunks, records: [], replaces: [] });
      yield;
      const place = (run: Placed): Placed =>
        run.container < 0 ? { ...run, container: pack } : run;
      const records = drafts.map(({ oid, runs }) => ({ oid, runs: runs.map(place) }));
      store.create({ id, kind: 'segment', chunks: [], records, replaces: [] });
      return marked;
    }
    if (!(yield* publish(view, drafts))) continue;
  }
  return null;
}

/** Lists and reads everything. Null where a segment went away meanwhile: its records stand in one that was not listed. */
function* mark(view: View, ahead: number): Generator<void, Marked | null, void> {
  const { store } = view.world;
  yield;
  view.list();
  const listed = view.segments;
  yield;
  view.look();
  const there = listed.filter(({ id }) => store.containers.has(id));
  if (there.length < listed.length) return null;
  view.segments = there;
  const now = store.now + ahead;
  const since = store.policySince;
  if (since === null || since + UNREFERENCED >= now) return { segments: there, kept: () => true };
  const live = new Set<Oid>();
  for (const kind of ['pending', 'label', 'branch'] as const) {
    yield;
    for (const root of store.roots) {
      if (root.kind === kind && store.isRoot(root, now)) for (const oid of root.oids) live.add(oid);
    }
  }
  addYoung(there, now, live);
  return { segments: there, kept: (oid) => live.has(oid) };
}

function markOnce(view: View): Marked {
  const { store } = view.world;
  const since = store.policySince;
  if (since === null || since + UNREFERENCED >= store.now) {
    return { segments: view.segments, kept: () => true };
  }
  const live = new Set<Oid>();
  for (const root of store.roots) {
    if (store.isRoot(root, store.now)) for (const oid of root.oids) live.add(oid);
  }
  addYoung(view.segments, store.now, live);
  return { segments: view.segments, kept: (oid) => live.has(oid) };
}

function addYoung(segments: readonly Container[], now: number, live: Set<Oid>): void {
  for (const { at, records } of segments) {
    if (at + UNREFERENCED >= now) for (const { oid } of records) live.add(oid);
  }
}

/** Records to be copied out, one for each blob that has no sound one; null where a blob's bytes went away while we looked. */
function sourcesOf(
  view: View,
  { segments, kept }: Marked,
  isDoomed: (id: number) => boolean,
): Held[] | null {
  const { store, variant } = view.world;
  const replaced = new Set(segments.flatMap((segment) => segment.replaces));
  const sound = new Set<Oid>();
  const leaning: Held[] = [];
  for (const { id, records } of segments) {
    const trusted = variant === 'trust what replaces' && replaced.has(id);
    const leans = ({ runs }: Held): boolean =>
      !trusted && (isDoomed(id) || runs.some(({ container }) => isDoomed(container)));
    for (const record of records.filter(({ oid }) => kept(oid))) {
      if (leans(record)) leaning.push(record);
      else sound.add(record.oid);
    }
  }
  const sources = new Map<Oid, Held>();
  const open = leaning.filter(({ oid }) => !sound.has(oid));
  for (const record of open) {
    if (record.runs.every((run) => store.holds(run))) sources.set(record.oid, record);
  }
  // A record left dangling by a writer that gave up is nobody's loss; one that was acknowledged is.
  const lost = open.some(
    ({ oid }) => !sources.has(oid) && store.lastAck.has(oid) && store.reads(oid),
  );
  return lost ? null : [...sources.values()];
}
