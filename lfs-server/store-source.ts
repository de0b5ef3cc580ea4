/** Repos of a backend, as `Repos` wants them. The store itself is made when the server starts, a repo when it is first written to. */
import { join } from 'node:path';
import type { Backend } from '../core/backend/backend.ts';
import { escapeName, formatLog, parsePoolName } from '../core/keys.ts';
import { openRepository } from '../core/open-repository.ts';
import { type Random, secureRandom } from '../core/random.ts';
import { createRepo, listRepos, openPool, openStore } from '../core/store.ts';
import { createOwnStore } from './own-store.ts';
import type { RepoSource } from './repos.ts';

export interface StoreSourceOptions {
  readonly backend: Backend;
  /** For temp files of all repos. */
  readonly spoolDir: string;
  readonly random?: Random;
}

/** Checks the store's format, and makes the store where the place is empty. */
export async function openStoreSource(options: StoreSourceOptions): Promise<RepoSource> {
  const { spoolDir, random = secureRandom } = options;
  // Whoever starts a server is told what the store says; its callers are not.
  const opened = await openStore(options.backend, { create: 'if-absent', random });
  const backend = createOwnStore(opened.backend);
  const store = { ...opened, backend };
  return {
    open: async (name) => {
      const folder = join(spoolDir, escapeName(name));
      const repository = await openRepository(backend, name, {
        random,
        spoolDir: folder,
        elapsedMs: () => performance.now(),
      });
      const { ingest, pool } = repository;
      return { repository, ingest, pool, info: await repository.history.info() };
    },
    create: async (name, by) => {
      const info = await createRepo(store, name, by);
      await openPool(store, parsePoolName(info.pool), { create: 'if-absent' });
    },
    list: () => listRepos(store),
    probe: async () => {
      // One list call of one key: the first of what every store has.
      for await (const _object of backend.list(formatLog)) return;
    },
  };
}
