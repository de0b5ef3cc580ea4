/**
 * The log of a pool's condemned containers and of its repos' policies (docs/format.md §9). Condemned is for ever, so what was seen
 * once need not be read again. Writers publish first, then look here.
 */
import type { Backend } from '../backend/backend.ts';
import { DatamonError } from '../errors.ts';
import {
  type ContainerId,
  condemnedLog,
  type PoolName,
  parseContainerId,
  type RepoName,
} from '../keys.ts';
import { type Log, openLog } from '../log.ts';
import type { Random } from '../random.ts';
import { count, listOf, nullable, object, type Parse, record, text, time } from '../shape.ts';

/** How long a repo's unreferenced records and its history are kept. Null: for ever. */
export interface CollectPolicy {
  readonly unreferencedDays: number | null;
  readonly historyDays: number | null;
  /** Since when, by the store's clock: nothing ages before. */
  readonly at: string | null;
}

export type CollectPolicies = Readonly<Record<string, CollectPolicy>>;

export interface CondemnedEvent {
  readonly condemned: readonly ContainerId[];
  readonly at?: string;
  readonly by?: string;
  readonly plan?: string | null;
  /** Those of all repos of the pool that have one. */
  readonly policies?: CollectPolicies;
}

export const KEEP_ALL: CollectPolicy = { unreferencedDays: null, historyDays: null, at: null };

export const openCondemnedLog = (
  backend: Backend,
  pool: PoolName,
  random: Random,
): Log<CondemnedEvent> =>
  openLog({ backend, prefix: condemnedLog(pool), random, parse: parseCondemned });

export class Condemned {
  readonly log: Log<CondemnedEvent>;
  readonly #ids = new Map<ContainerId, number>();
  #policies: CollectPolicies = {};
  #seen = 0;

  constructor(backend: Backend, pool: PoolName, random: Random) {
    this.log = openCondemnedLog(backend, pool, random);
  }

  /** Reads what was added since the last look. */
  async look(): Promise<void> {
    let newest = this.#seen;
    let policies: CollectPolicies | null = null;
    for await (const { n, event } of this.log.entries()) {
      if (n <= this.#seen) break;
      // An id may stand in several entries; the oldest counts.
      for (const id of event.condemned) this.#ids.set(id, Math.min(n, this.#ids.get(id) ?? n));
      policies ??= event.policies ?? null;
      newest = Math.max(newest, n);
    }
    // Only once all of them were read: a look that failed half-way must not hide the older half from the next one.
    this.#seen = newest;
    this.#policies = policies ?? this.#policies;
  }

  /** As of the last look. */
  has(id: ContainerId): boolean {
    return this.#ids.has(id);
  }

  /** All of them, with the number of the entry that condemned each. */
  entries(): ReadonlyMap<ContainerId, number> {
    return this.#ids;
  }

  policies(): CollectPolicies {
    return this.#policies;
  }

  policyOf(repo: RepoName): CollectPolicy {
    return Object.hasOwn(this.#policies, repo) ? (this.#policies[repo] ?? KEEP_ALL) : KEEP_ALL;
  }
}

const parseContainers = listOf<ContainerId>((value) => parseContainerId(String(value)));
const parsePolicy = record<CollectPolicy>({
  unreferencedDays: nullable(count),
  historyDays: nullable(count),
  at: nullable(time),
});

const parsePolicies: Parse<CollectPolicies> = (value, where) =>
  Object.fromEntries(
    Object.entries(object(value, where)).map(([repo, policy]) => [
      repo,
      parsePolicy(policy, `${where}.${repo}`),
    ]),
  );

/** Older entries have the ids alone. */
export function parseCondemned(event: unknown): CondemnedEvent {
  const fields = object(event, 'gc event');
  if (!Array.isArray(fields['condemned'])) {
    throw new DatamonError('INVALID', 'a gc event without condemned ids');
  }
  const { at, by, plan, policies } = fields;
  return {
    condemned: parseContainers(fields['condemned'], 'gc event.condemned'),
    ...(at !== undefined && { at: time(at, 'gc event.at') }),
    ...(by !== undefined && { by: text(by, 'gc event.by') }),
    ...(plan !== undefined && { plan: nullable(text)(plan, 'gc event.plan') }),
    ...(policies !== undefined && { policies: parsePolicies(policies, 'gc event.policies') }),
  };
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
  const log = openCondemnedLog(backend, pool, random);
  const at = (await backend.now()).toISOString();
  const event = { condemned: ids, at, by, plan };
  await log.update(() => event);
}
