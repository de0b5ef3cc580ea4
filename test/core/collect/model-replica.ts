/**
 * A replica of the model's store that lags. The order is the point: what went away at home is noted first, then everything new is
 * copied (packs before the segments that name them), and only then is what was noted deleted.
 */
import type { Container, ModelStore, Oid } from './model-store.ts';
import type { Actor, World } from './model-writers.ts';

export interface Replica {
  readonly store: ModelStore;
  /** Acknowledged, at that time, before a whole round of copying began. */
  readonly safe: Map<Oid, number>;
}

export function* replicate({ store, variant }: World, replica: Replica): Actor {
  const copy = replica.store;
  for (;;) {
    yield;
    const acked = [...store.lastAck];
    const early = absentAtHome(store, copy);
    yield;
    const whole = yield* copyNew(store, copy);
    const gone = variant === 'replica deletes first' ? absentAtHome(store, copy) : early;
    for (const id of gone) {
      yield;
      copy.containers.delete(id);
    }
    if (whole) for (const [oid, at] of acked) replica.safe.set(oid, at);
  }
}

const absentAtHome = (home: ModelStore, copy: ModelStore): number[] =>
  [...copy.containers.keys()].filter((id) => !home.containers.has(id));

/** False where something was deleted at home while it was being copied: then this round says nothing of what is safe. */
function* copyNew(home: ModelStore, copy: ModelStore): Generator<void, boolean, void> {
  let whole = true;
  for (const segment of home.segments()) {
    if (copy.containers.has(segment.id)) continue;
    yield;
    for (const id of namedBy(segment)) {
      const pack = home.containers.get(id);
      if (pack === undefined) whole = false;
      else copy.containers.set(id, pack);
    }
    if (home.containers.has(segment.id)) copy.containers.set(segment.id, segment);
    else whole = false;
  }
  return whole;
}

const namedBy = ({ id, records }: Container): ReadonlySet<number> =>
  new Set(
    records
      .flatMap(({ runs }) => runs.map(({ container }) => container))
      .filter((container) => container !== id),
  );
