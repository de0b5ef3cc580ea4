/** Containers that were condemned: for ever, so what was seen once need not be read again. Writers publish first, then look here. */
import type { Backend } from '../backend/backend.ts';
import { DatamonError } from '../errors.ts';
import { type ContainerId, condemnedLog, type PoolName, parseContainerId } from '../keys.ts';
import { type Log, openLog } from '../log.ts';
import type { Random } from '../random.ts';

export interface CondemnedEvent {
  readonly condemned: readonly ContainerId[];
}

export class Condemned {
  readonly #log: Log<CondemnedEvent>;
  readonly #ids = new Set<ContainerId>();
  #seen = 0;

  constructor(backend: Backend, pool: PoolName, random: Random) {
    this.#log = openLog({ backend, prefix: condemnedLog(pool), random, parse: parseCondemned });
  }

  /** Reads what was added since the last look. */
  async look(): Promise<void> {
    let newest = this.#seen;
    for await (const { n, event } of this.#log.entries()) {
      if (n <= this.#seen) break;
      for (const id of event.condemned) this.#ids.add(id);
      newest = Math.max(newest, n);
    }
    // Only once all of them were read: a look that failed half-way must not hide the older half from the next one.
    this.#seen = newest;
  }

  /** As of the last look. */
  has(id: ContainerId): boolean {
    return this.#ids.has(id);
  }
}

export function parseCondemned(event: unknown): CondemnedEvent {
  const ids = (event as { readonly condemned?: unknown } | null)?.condemned;
  if (!Array.isArray(ids)) throw new DatamonError('INVALID', 'a gc event without condemned ids');
  return { condemned: ids.map((id) => parseContainerId(String(id))) };
}

/** Who condemns, and by which plan of a collection. */
export interface Sentence {
  readonly ids: readonly ContainerId[];
  readonly by: string;
  readonly plan: string | null;
}

/** Condemns containers, for ever. What lives in them must have been published elsewhere before. */
export async function condemn(
  backend: Backend,
  pool: PoolName,
  random: Random,
  { ids, by, plan }: Sentence,
): Promise<void> {
  const prefix = condemnedLog(pool);
  const log = openLog<CondemnedEvent>({ backend, prefix, random, parse: parseCondemned });
  const at = (await backend.now()).toISOString();
  const event = { condemned: ids, at, by, plan };
  await log.update(() => event);
}
