/** Two folders that hold one store: joined as users do it, and damaged in both, so that neither heals the other. */
import { pathToFileURL } from 'node:url';
import { openLocalBackend } from '../../../backends/local.ts';
import { type Backend, bytesBody } from '../../../core/backend/backend.ts';
import { collect } from '../../../core/bytes.ts';

const OBJECT_SIZE_MAX_BYTES = 128 * 1024 * 1024;

export interface StoreFolder {
  readonly dir: string;
  readonly url: string;
}

export const storeFolder = (dir: string): StoreFolder => ({ dir, url: pathToFileURL(dir).href });

export interface Pair {
  readonly home: StoreFolder;
  readonly replica: StoreFolder;
}

/** Runs a command; throws where it fails. */
export type Datamon = (args: readonly string[]) => Promise<unknown>;

/** Makes the store at `home`, and `replica` a copy of it by the name `eu`. */
export async function joinPair(
  datamon: Datamon,
  { home, replica, mode }: Pair & { readonly mode: 'sync' | 'async' },
): Promise<void> {
  // Any repo makes the store.
  await datamon(['repo', 'create', `${home.url}//team/first`]);
  await datamon(['replicate', home.url, '--add', replica.url, '--name', 'eu', '--mode', mode]);
}

/** What stands at home; what is changed is changed in both. */
export async function openPair({ home, replica }: Pair): Promise<Backend> {
  const [first, second] = await Promise.all(
    [home, replica].map(({ dir }) => openLocalBackend(dir)),
  );
  if (first === undefined || second === undefined) throw new Error('a pair is two folders');
  return {
    url: first.url,
    get: first.get.bind(first),
    stat: first.stat.bind(first),
    list: first.list.bind(first),
    now: first.now.bind(first),
    async remove(key) {
      await first.remove(key);
      await second.remove(key);
    },
    async putIfAbsent(key, body) {
      const bytes = await collect(body.open(), OBJECT_SIZE_MAX_BYTES);
      await second.putIfAbsent(key, bytesBody(bytes));
      return first.putIfAbsent(key, bytesBody(bytes));
    },
  };
}
