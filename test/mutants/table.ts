/** Every mistake that `npm run mutants` makes. */
import { COLLECT_MUTANTS } from './collect-mutants.ts';
import { CONTENT_MUTANTS } from './content-mutants.ts';
import { HISTORY_MUTANTS } from './history-mutants.ts';
import type { Mutant } from './mutant.ts';
import { PLACE_MUTANTS } from './place-mutants.ts';
import { STORE_MUTANTS } from './store-mutants.ts';

export const MUTANTS: readonly Mutant[] = [
  ...STORE_MUTANTS,
  ...CONTENT_MUTANTS,
  ...HISTORY_MUTANTS,
  ...COLLECT_MUTANTS,
  ...PLACE_MUTANTS,
];
