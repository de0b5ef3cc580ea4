/**
 * Where a stage keeps its store: DATAMON_TEST_STORE says `local` (a folder, the default), `gcs` or `s3` (a bucket of its own
 * on a server of others), or `replicated` (two folders, mode `sync`). Another kind is one row in PLACES.
 */
import { join } from 'node:path';
import { openLocalBackend } from '../../../backends/local.ts';
import { openBackend } from '../../../backends/open.ts';
import type { Backend } from '../../../core/backend/backend.ts';
import { type BucketServer, setEnvironment } from '../../support/bucket-server.ts';
import { startGcsServer } from '../../support/gcs-server.ts';
import { startS3Server } from '../../support/s3-server.ts';
import { type Datamon, joinPair, openPair, type Pair, storeFolder } from './pair.ts';

export interface StorePlace {
  /** As programs are told it. */
  readonly url: string;
  /** What programs need in their environment to reach it. */
  readonly env: Readonly<Record<string, string>>;
  /** To look into the store, and to damage it, behind the programs' back. */
  open(): Promise<Backend>;
  /** What an operator does before the first push. */
  prepare?(datamon: Datamon): Promise<void>;
}

type Kind = 'local' | 'gcs' | 's3' | 'replicated';

const PLACES: { readonly [kind in Kind]: (root: string) => Promise<StorePlace> } = {
  local: async (root) => {
    const { dir, url } = storeFolder(join(root, 'store'));
    return { url, env: {}, open: () => openLocalBackend(dir) };
  },
  gcs: () => inBucket('gs', startGcsServer),
  s3: () => inBucket('s3', () => startS3Server('versity')),
  replicated: async (root) => {
    const pair: Pair = {
      home: storeFolder(join(root, 'store')),
      replica: storeFolder(join(root, 'store-eu')),
    };
    return {
      url: pair.home.url,
      env: {},
      open: () => openPair(pair),
      prepare: (datamon) => joinPair(datamon, { ...pair, mode: 'sync' }),
    };
  },
};

export const placeStore = (root: string): Promise<StorePlace> => PLACES[storeKind()](root);

export function storeKind(): Kind {
  const kind = process.env['DATAMON_TEST_STORE'] ?? 'local';
  if (kind in PLACES) return kind as Kind;
  throw new Error(`DATAMON_TEST_STORE is ${kind}: known are ${Object.keys(PLACES).join(', ')}`);
}

/** One server for all stages of this process. */
let running: Promise<BucketServer> | null = null;
let reset = (): void => {};

async function inBucket(
  scheme: 'gs' | 's3',
  start: () => Promise<BucketServer>,
): Promise<StorePlace> {
  running ??= start();
  const { bucket, env } = await running;
  reset();
  // This process looks into the store, too.
  reset = setEnvironment(env);
  const url = `${scheme}://${await bucket()}/store`;
  return { url, env, open: () => openBackend(url) };
}

after('stop the server of the stores', async () => {
  reset();
  await (await running)?.stop();
  running = null;
});

/** Tests that need the store to be a folder; on another kind their name is printed with the reason. */
export function describeOnFolder(
  title: string,
  why: string,
  tests: (this: Mocha.Suite) => void,
): void {
  if (storeKind() === 'local') describe(title, tests);
  else it(`${title}: not on ${storeKind()}, for ${why}`, () => {});
}
