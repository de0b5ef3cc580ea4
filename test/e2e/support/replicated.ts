/** A stage whose store lies in two folders; to be called before a server is started. */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Stage } from './stage.ts';

export interface StoreFolder {
  readonly dir: string;
  readonly url: string;
}

/** The stage's own store folder as home, and a replica `eu` beside it. */
export async function replicated(
  stage: Stage,
  mode: 'sync' | 'async',
): Promise<{ readonly home: StoreFolder; readonly replica: StoreFolder }> {
  const home = folder(stage.store);
  const replica = folder(join(stage.world.root, 'store-eu'));
  // Any repo makes the store.
  await stage.mustRun('datamon', ['repo', 'create', `${home.url}//team/first`]);
  const add = ['replicate', home.url, '--add', replica.url, '--name', 'eu', '--mode', mode];
  await stage.mustRun('datamon', add);
  return { home, replica };
}

const folder = (dir: string): StoreFolder => ({ dir, url: pathToFileURL(dir).href });
