/** What a HistoryChecker looks at: a bare store of objects and logs, or a repository with its blobs and branches. Every byte is read. */
import type { Backend } from '../../core/backend/backend.ts';
import { createHasher, type Digest } from '../../core/digest.ts';
import { hasCode } from '../../core/errors.ts';
import type { Key, LogPrefix } from '../../core/keys.ts';
import { openLog } from '../../core/log.ts';
import { storedOid } from '../../core/meta/record.ts';
import type { Repository } from '../../core/meta/repository.ts';
import { entries as entriesOf } from '../../core/meta/tree-reader.ts';
import { secureRandom } from '../../core/random.ts';
import { text } from '../../core/shape.ts';
import type { Sight } from './history-checker.ts';

/** Objects are keys below `prefix`, logs are logs of texts. */
export function sightOfBackend(backend: Backend, prefix: string): Sight {
  return {
    digest: (name) => digestOfStream(() => backend.get(name as Key)),
    async *names() {
      for await (const { key } of backend.list(prefix)) yield key;
    },
    async entries(log) {
      const entries: string[] = [];
      const opened = openLog({
        backend,
        prefix: log as LogPrefix,
        random: secureRandom,
        parse: (event) => text(event, 'event'),
      });
      for await (const { event } of opened.entries()) entries.unshift(event);
      return entries;
    },
  };
}

export interface RepositorySightOptions {
  /** Of which entries of a branch the whole tree is read, and the files it lists are asked for. Default: the newest. */
  readonly trees?: 'newest' | 'all';
}

/** Objects are blobs by their oids; a log is a branch, its entries the push ids. A visible entry means all that it stands for. */
export function sightOfRepository(
  repository: Repository,
  { trees = 'newest' }: RepositorySightOptions = {},
): Sight {
  return {
    digest: (name) => digestOfStream(() => repository.blobs.get(name as Digest)),
    async entries(branch) {
      const entries: string[] = [];
      for await (const { event } of repository.history.branchLog(branch)) {
        const isDue = trees === 'all' || entries.length === 0;
        if (isDue && event.bundle !== null) await readTree(repository, event.bundle);
        entries.unshift(event.pushId);
      }
      return entries;
    },
  };
}

/** Branches alone, whose trees may list what nobody stored. */
export function sightOfBranches({ history }: Pick<Repository, 'history'>): Sight {
  return {
    digest: async () => null,
    async entries(branch) {
      const entries: string[] = [];
      for await (const { event } of history.branchLog(branch)) entries.unshift(event.pushId);
      return entries;
    },
  };
}

async function readTree(repository: Repository, bundle: Digest): Promise<void> {
  const { tree } = await repository.history.getBundle(bundle);
  const oids: Digest[] = [];
  for await (const entry of entriesOf(repository.pages, tree)) {
    const oid = storedOid(entry);
    if (oid !== null) oids.push(oid);
  }
  const held = await repository.blobs.has(oids);
  const missing = oids.filter((oid) => !held.has(oid));
  if (missing.length > 0) throw new Error(`bundle ${bundle} lists ${missing}, which is not there`);
}

async function digestOfStream(open: () => AsyncIterable<Uint8Array>): Promise<Digest | null> {
  const hasher = createHasher();
  try {
    for await (const bytes of open()) hasher.update(bytes);
  } catch (error) {
    if (hasCode(error, 'NOT_FOUND')) return null;
    throw error;
  }
  return hasher.digest();
}
