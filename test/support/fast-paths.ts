/** Loaded by mocha before the tests: DATAMON_FAST_PATHS_OFF holds for them as it does for the programs they start. */
import { switchOffFastPaths } from '../../core/fast-paths.ts';

switchOffFastPaths(process.env);

/** For a suite about what fast paths spare: all of them are on in it. */
export function useFastPaths(): void {
  before(() => switchOffFastPaths({}));
  after(() => switchOffFastPaths(process.env));
}
