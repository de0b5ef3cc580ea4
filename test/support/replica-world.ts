/** A store in several memory backends, whose members can be cut off, fail as planned, or be damaged by hand. */
import { type Backend, bytesBody } from '../../core/backend/backend.ts';
import type { Replicated } from '../../core/backend/healing.ts';
import { createMemoryBackend } from '../../core/backend/memory.ts';
import { createReplicatedBackend, type ReplicationMode } from '../../core/backend/replicated.ts';
import { collect } from '../../core/bytes.ts';
import { DatamonError } from '../../core/errors.ts';
import type { Key } from '../../core/keys.ts';
import { type Random, secureRandom } from '../../core/random.ts';
import type { MembershipWorld } from '../../core/replication/changing.ts';
import type { GroupEvent } from '../../core/replication/group.ts';
import type { Prove } from '../../core/replication/heal.ts';
import { addMember } from '../../core/replication/membership.ts';
import { openGroup } from '../../core/replication/open-group.ts';
import { proveCopy } from '../../core/replication/prove-copy.ts';
import { openStore } from '../../core/store.ts';
import { createFaultyBackend, FaultPlan } from './faulty-backend.ts';

export interface Place {
  readonly url: string;
  /** The objects themselves, reached whatever is cut. */
  readonly raw: Backend;
  /** Cut off: every call is UNAVAILABLE. */
  isCut: boolean;
  /** Who cannot reach it: a partition. */
  readonly cutFor: Set<string>;
  /** Faults of calls made from now on. */
  plan: FaultPlan;
  /** Called before every call; for tests that cut in the middle. */
  onCall: () => void;
  /** How long a call to it takes. */
  latency: () => Promise<void>;
}

export class ReplicaWorld {
  readonly places = new Map<string, Place>();
  readonly events: [GroupEvent, string][] = [];
  readonly random: Random;
  /** How copies are proved; a world of made-up objects believes them. */
  prove: Prove = proveCopy;
  readonly #now: () => Date;

  constructor({
    random = secureRandom,
    now = () => new Date(),
  }: { random?: Random; now?: () => Date } = {}) {
    this.random = random;
    this.#now = now;
  }

  /** `memory:a` and so on; made when first named. */
  place(url: string): Place {
    const known = this.places.get(url);
    if (known !== undefined) return known;
    const raw = createMemoryBackend({ url, now: this.#now });
    const place = {
      url,
      raw,
      isCut: false,
      cutFor: new Set<string>(),
      plan: new FaultPlan(),
      onCall: () => undefined,
      latency: async () => undefined,
    };
    this.places.set(url, place);
    return place;
  }

  readonly openMember = (url: string): Promise<Backend> => this.openAs('everybody', url);

  async openAs(who: string, url: string): Promise<Backend> {
    return cuttable(this.place(url), who);
  }

  get membership(): MembershipWorld {
    const { openMember, random, prove } = this;
    return { openMember, random, prove, by: 'tester' };
  }

  /** A store at `memory:a` with a replica `b` at `memory:b`, and perhaps `c`. */
  async pair(mode: ReplicationMode, names: readonly string[] = ['b']): Promise<void> {
    await openStore(await this.openMember('memory:a'), {
      create: 'if-absent',
      random: this.random,
    });
    for (const name of names) {
      await addMember(this.membership, 'memory:a', { url: `memory:${name}`, name, mode });
    }
  }

  /** As a program opens the store by one of its URLs. */
  async open(
    url = 'memory:a',
    replicas: readonly string[] = [],
    who?: string,
  ): Promise<Backend & Replicated> {
    return createReplicatedBackend(await this.group(url, replicas, who));
  }

  async group(url = 'memory:a', replicas: readonly string[] = [], who = 'everybody') {
    const openMember = (member: string): Promise<Backend> => this.openAs(who, member);
    const group = await openGroup(await openMember(url), {
      ...this.membership,
      openMember,
      replicas,
      onEvent: (event, key) => this.events.push([event, key]),
    });
    if (group === null) throw new DatamonError('UNAVAILABLE', `${url} does not answer`);
    return group;
  }

  count(event: GroupEvent): number {
    return this.events.filter(([name]) => name === event).length;
  }
}

function cuttable(place: Place, who: string): Backend {
  const check = (): void => {
    place.onCall();
    if (place.isCut || place.cutFor.has(who))
      throw new DatamonError('UNAVAILABLE', `${place.url} is cut off`);
  };
  const inner = (): Backend => {
    check();
    return createFaultyBackend(place.raw, place.plan);
  };
  return {
    url: place.url,
    putIfAbsent: async (key, body) => {
      await place.latency();
      const outcome = await inner().putIfAbsent(key, body);
      await place.latency();
      check();
      return outcome;
    },
    async *get(key, range) {
      await place.latency();
      for await (const bytes of inner().get(key, range)) {
        yield bytes;
        check();
      }
    },
    stat: async (key) => {
      await place.latency();
      return inner().stat(key);
    },
    async *list(prefix, after) {
      await place.latency();
      for await (const found of inner().list(prefix, after)) {
        yield found;
        check();
      }
    },
    remove: async (key) => inner().remove(key),
    now: async () => inner().now(),
  };
}

/** Keys and bytes of a place, those below `without` left out. */
export async function contents(
  { raw }: Place,
  without: readonly string[] = ['debts/'],
): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for await (const { key } of raw.list('')) {
    if (without.some((prefix) => key.startsWith(prefix))) continue;
    found.set(key, (await collect(raw.get(key), 1 << 30)).toString('base64'));
  }
  return found;
}

/** Replaces an object by other bytes, as rot does. */
export async function forge({ raw }: Place, key: Key, bytes: Uint8Array): Promise<void> {
  await raw.remove(key);
  await raw.putIfAbsent(key, bytesBody(bytes));
}

export async function flipBit(place: Place, key: Key, bit: number): Promise<void> {
  const bytes = await collect(place.raw.get(key), 1 << 30);
  const at = Math.floor(bit / 8) % bytes.length;
  bytes[at] = (bytes[at] ?? 0) ^ (1 << (bit % 8));
  await forge(place, key, bytes);
}
