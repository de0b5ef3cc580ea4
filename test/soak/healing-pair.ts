/** A store in two places, one copy of which goes wrong: whether healing makes that copy what the good one is, and touches nothing else. */
import { type Backend, bytesBody } from '../../core/backend/backend.ts';
import type { Replicated } from '../../core/backend/healing.ts';
import { collect } from '../../core/bytes.ts';
import type { Key } from '../../core/keys.ts';
import { contents, forge, type Place, ReplicaWorld } from '../support/replica-world.ts';

/** Home, and its replica. */
const URLS = ['memory:a', 'memory:b'] as const;
const OBJECT_SIZE_MAX_BYTES = 2 ** 24;

export interface Damage {
  readonly key: Key;
  /** What stands there instead. */
  readonly bytes: Uint8Array;
  readonly in: 'home' | 'replica';
}

export class HealingPair {
  readonly #places: readonly Place[];
  readonly #backend: Backend & Replicated;
  /** What each place holds while all is well. */
  readonly #sound: readonly Contents[];

  private constructor(
    places: readonly Place[],
    backend: Backend & Replicated,
    sound: readonly Contents[],
  ) {
    this.#places = places;
    this.#backend = backend;
    this.#sound = sound;
  }

  /** A pair that holds what `store` does. */
  static async of(store: Backend): Promise<HealingPair> {
    const world = new ReplicaWorld();
    const places = URLS.map((url) => world.place(url));
    const [home] = places as [Place, Place];
    for await (const { key } of store.list('')) {
      await home.raw.putIfAbsent(
        key,
        bytesBody(await collect(store.get(key), OBJECT_SIZE_MAX_BYTES)),
      );
    }
    await world.pair('sync');
    return new HealingPair(places, await world.open(), await Promise.all(places.map(all)));
  }

  /** Null where the copy was made good and all else is as it was; what is wrong otherwise. The pair is whole again afterwards. */
  async heal({ key, bytes, in: where }: Damage, heal: 'heal' | 'leave'): Promise<string | null> {
    const place = this.#places[where === 'home' ? 0 : 1] as Place;
    const good = Buffer.from(this.#sound[0]?.get(key) ?? '', 'base64');
    await forge(place, key, bytes);
    const outcome = heal === 'heal' ? await this.#backend.heal(key) : 'left alone';
    const wrong = await this.#difference();
    if (wrong !== null) await forge(place, key, good);
    if (wrong !== null) return `${outcome} in ${where}, but ${wrong}`;
    return outcome === 'healed' ? null : `${outcome} in ${where}`;
  }

  async #difference(): Promise<string | null> {
    for (const [index, place] of this.#places.entries()) {
      const now = await all(place);
      const before = this.#sound[index] as Contents;
      const changed = [...new Set([...now.keys(), ...before.keys()])].find(
        (key) => now.get(key) !== before.get(key),
      );
      if (changed !== undefined) return `${changed} is not what it was in ${place.url}`;
    }
    return null;
  }
}

type Contents = ReadonlyMap<string, string>;

const all = (place: Place): Promise<Contents> => contents(place, []);
