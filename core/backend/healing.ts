/**
 * What a backend with several copies of each object can do besides the six verbs. Decorators pass it on; who reads asks for it with
 * `healingOf` and finds null on a store with one place.
 */
import { hasCode } from '../errors.ts';
import type { Key } from '../keys.ts';
import type { Backend } from './backend.ts';

/** `healed`: a proven copy took the place of a bad or missing one, or is read instead of it from now on. */
export type HealOutcome = 'healed' | 'intact' | 'no good copy';

export interface Healing {
  /** Proves each copy of the object and replaces those that fail by one that does not. What was condemned is left as it is. */
  heal(key: Key): Promise<HealOutcome>;
}

export interface CopyCount {
  /** Members that have all of the keys asked for. */
  readonly have: number;
  /** Members the store has, those that are out included. */
  readonly of: number;
}

export interface Copies {
  /** How many members have these objects; a member that does not answer counts as not having them. */
  copies(keys: readonly Key[]): Promise<CopyCount>;
}

export type Replicated = Healing & Copies;

/** The extra verbs of `backend`, or null where each object has one copy. */
export function replicatedOf(backend: Backend): Replicated | null {
  return 'heal' in backend && 'copies' in backend ? (backend as Backend & Replicated) : null;
}

/** For decorators: `decorated` with the extra verbs of `inner`, if it has them; `keyOf` where keys are spelled otherwise there. */
export function passReplicated(
  inner: Backend,
  decorated: Backend,
  keyOf: (key: Key) => Key = (key) => key,
): Backend {
  const replicated = replicatedOf(inner);
  if (replicated === null) return decorated;
  const passed: Backend & Replicated = {
    ...decorated,
    heal: (key) => replicated.heal(keyOf(key)),
    copies: (keys) => replicated.copies(keys.map(keyOf)),
  };
  return passed;
}

/**
 * Runs `read`; where it finds an object damaged and another copy heals it, once more. The first failure is thrown on where there is
 * no other copy, or healing fails.
 */
export async function readHealed<T>(
  backend: Backend,
  key: Key,
  read: () => Promise<T>,
  isDamage: (error: unknown) => boolean = (error) => hasCode(error, 'CORRUPT'),
): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (!isDamage(error) || (await healQuietly(backend, key)) !== 'healed') throw error;
    return await read();
  }
}

/** As `heal`, for readers: what stands in the way of healing is no reason to hide the damage it was called for. */
export async function healQuietly(backend: Backend, key: Key): Promise<HealOutcome> {
  try {
    return (await replicatedOf(backend)?.heal(key)) ?? 'no good copy';
  } catch {
    return 'no good copy';
  }
}
