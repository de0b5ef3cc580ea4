/** A stage whose store lies in two folders; to be called before a server is started. */
import { join } from 'node:path';
import { joinPair, type Pair, storeFolder } from './pair.ts';
import type { Stage } from './stage.ts';

/** The stage's own store folder as home, and a replica `eu` beside it. */
export async function replicated(stage: Stage, mode: 'sync' | 'async'): Promise<Pair> {
  const pair: Pair = {
    home: storeFolder(stage.store),
    replica: storeFolder(join(stage.world.root, 'store-eu')),
  };
  await joinPair((args) => stage.mustRun('datamon', args), { ...pair, mode });
  return pair;
}
