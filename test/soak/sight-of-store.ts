/** What `store-writer` leaves in a folder, looked at with fresh eyes: the store is opened anew, as after a restart. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { openLocalBackend } from '../../backends/local.ts';
import type { Backend } from '../../core/backend/backend.ts';
import type { RepoName } from '../../core/keys.ts';
import type { Repository } from '../../core/meta/repository.ts';
import { openRepository } from '../../core/open-repository.ts';
import { Scrub } from '../../core/scrub/scrub.ts';
import type { Sight } from '../support/history-checker.ts';
import { sightOfBackend, sightOfRepository } from '../support/sights.ts';

export const SOAK_REPO = 'acme/soak' as RepoName;
const OBJECTS = 'soak/objects/';

export interface OpenedStore {
  readonly backend: Backend;
  readonly repository: Repository;
  readonly sight: Sight;
  /** Unfinished files that the sweep of the opening left, and what a scrub of the whole store calls damage. */
  damage(): Promise<readonly string[]>;
}

export async function openSoakStore(
  root: string,
  options: { readonly trees?: 'newest' | 'all' } = {},
): Promise<OpenedStore> {
  const backend = await openLocalBackend(root);
  const repository = await openRepository(backend, SOAK_REPO, {
    create: { by: 'soak', remote: null },
    spoolDir: `${root}-spool`,
  });
  const damage = async (): Promise<string[]> => {
    const left = await readdir(join(root, 'tmp')).catch(() => []);
    const found = left.map((name) => `an unfinished file is left: ${name}`);
    for await (const { severity, message } of new Scrub({ backend }).findings()) {
      if (severity === 'damage') found.push(`scrub: ${message}`);
    }
    return found;
  };
  return { backend, repository, damage, sight: sightOfStore(backend, repository, options) };
}

/** Bare objects and logs by their keys, files by their oids, branches by their names. */
export function sightOfStore(
  backend: Backend,
  repository: Repository,
  options: { readonly trees?: 'newest' | 'all' } = {},
): Sight {
  const bare = sightOfBackend(backend, OBJECTS);
  const content = sightOfRepository(repository, options);
  const of = (name: string): Sight => (name.startsWith('soak/') ? bare : content);
  return {
    digest: (name) => of(name).digest(name),
    ...(bare.names && { names: bare.names }),
    entries: (log) => of(log).entries(log),
  };
}
