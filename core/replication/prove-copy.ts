/** What one member's copy of an object is worth, by its key and bytes alone. */
import { kindOfKey } from '../key-kind.ts';
import { proveObject, type Verdict } from '../scrub/prove-object.ts';
import type { Proof, Prove } from './heal.ts';

const PROOFS: Readonly<Record<Verdict, Proof>> = {
  sound: 'sound',
  damaged: 'damaged',
  missing: 'missing',
  newer: 'unknown',
  foreign: 'unknown',
};

export const proveCopy: Prove = async (backend, key) => {
  if (kindOfKey(key).kind === 'diverged') return 'unknown';
  return PROOFS[(await proveObject(backend, key)).verdict];
};
