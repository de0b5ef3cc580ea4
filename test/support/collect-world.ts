/** A pool with a clock of its own, pushes into it, and a check that reads everything back, for tests of collection. */
import type { Backend } from '../../core/backend/backend.ts';
import { createMemoryBackend } from '../../core/backend/memory.ts';
import { collect } from '../../core/bytes.ts';
import { DAY_MS } from '../../core/cas/touch.ts';
import type { PoolOptions } from '../../core/collect/pool-survey.ts';
import { type Digest, digestOf } from '../../core/digest.ts';
import { type PoolName, parseRepoName, type RepoName } from '../../core/keys.ts';
import { createSyntheticCommit } from '../../core/meta/commit-object.ts';
import type { Entry, RawPath } from '../../core/meta/model.ts';
import { recordBundle } from '../../core/meta/record.ts';
import { entries } from '../../core/meta/tree-reader.ts';
import { type DirectRepository, openRepository } from '../../core/open-repository.ts';
import { type Random, secureRandom } from '../../core/random.ts';
import { blobOf } from './blob-of.ts';
import { FREE_RECEIPT, pushIdOf } from './meta-world.ts';

export const NAME: RepoName = parseRepoName('acme/robots');
export const POOL_NAME = 'acme' as PoolName;
export const REMOTE = 'github.com/acme/robots';

export interface Pushed {
  readonly bundle: Digest;
  readonly oids: readonly Digest[];
}

export interface CollectWorld {
  readonly backend: Backend;
  /** Below every decorator. */
  readonly memory: Backend;
  readonly clock: { now: Date };
  readonly options: PoolOptions;
  pass(days: number): void;
  open(name?: RepoName): Promise<DirectRepository>;
  /** Files as one commit on a branch; null deletes the branch. */
  push(branch: string, files: Readonly<Record<string, Uint8Array>> | null): Promise<Pushed>;
  /** Reads every file of a bundle; throws where one does not read back. */
  readBack(bundle: Digest): Promise<number>;
  sizeBytes(): Promise<number>;
}

export interface CollectWorldOptions {
  readonly decorate?: (inner: Backend) => Backend;
  readonly random?: Random;
  readonly spoolDir: string;
}

export function makeCollectWorld(options: CollectWorldOptions): CollectWorld {
  const clock = { now: new Date('2026-01-01T00:00:00Z') };
  const memory = createMemoryBackend({ now: () => clock.now });
  const backend = options.decorate?.(memory) ?? memory;
  const { spoolDir, random = secureRandom } = options;
  const heads = new Map<string, { readonly commit: string; readonly bundle: Digest }>();
  let pushes = 0;

  const open: CollectWorld['open'] = (name = NAME) =>
    openRepository(memory, name, { create: { by: 'ada', remote: REMOTE }, spoolDir, random });

  async function push(
    branch: string,
    files: Readonly<Record<string, Uint8Array>> | null,
  ): Promise<Pushed> {
    pushes += 1;
    const repository = await open();
    try {
      return await pushOnce(repository, branch, files);
    } finally {
      await repository.close();
    }
  }

  async function pushOnce(
    repository: DirectRepository,
    branch: string,
    files: Readonly<Record<string, Uint8Array>> | null,
  ): Promise<Pushed> {
    const old = heads.get(branch) ?? null;
    const move = {
      pushId: pushIdOf(`push ${pushes}`),
      remote: REMOTE,
      ref: `refs/heads/${branch}`,
      gitOld: (old?.commit ?? null) as never,
      totals: { fileCount: 0, sizeBytes: 0 },
      extraOids: null,
      missing: [],
      forced: false,
      pushedBy: 'Ada <ada@example.org>',
      receipt: FREE_RECEIPT,
    };
    if (files === null) {
      await repository.history.recordMove({ ...move, gitNew: null, bundle: null });
      heads.delete(branch);
      return { bundle: old?.bundle as Digest, oids: [] };
    }
    for await (const outcome of repository.blobs.putMany(
      Object.values(files).map((f) => blobOf(f)),
    )) {
      if ('error' in outcome) throw outcome.error;
    }
    const author = { name: 'Ada', mail: 'ada@example.org' };
    const message = `push ${pushes}`;
    const commit = createSyntheticCommit({
      ...{ message, author, at: clock.now, parents: [], treeLabel: '00' },
    });
    const rules = { recorder: 1, config: null };
    const request = { ...commit, entries: entriesOf(files), rules, pointerExtensions: [] };
    const { bundle, totals } = await recordBundle(repository, request);
    await repository.history.recordMove({ ...move, gitNew: commit.commit, bundle, totals });
    heads.set(branch, { commit: commit.commit, bundle });
    return { bundle, oids: Object.values(files).map((bytes) => digestOf(bytes)) };
  }

  const readBack = (bundle: Digest): Promise<number> =>
    readBundle({ backend: memory, spoolDir }, bundle);

  return {
    backend,
    memory,
    clock,
    options: { backend, pool: POOL_NAME, random, spoolDir },
    pass: (days) => {
      clock.now = new Date(clock.now.getTime() + days * DAY_MS);
    },
    open,
    push,
    readBack,
    async sizeBytes() {
      let sum = 0;
      for await (const { sizeBytes } of memory.list('')) sum += sizeBytes;
      return sum;
    },
  };
}

/** Reads every file of a bundle, as a process would that just started. How many there are; throws where one does not read back. */
export async function readBundle(
  { backend, spoolDir }: { readonly backend: Backend; readonly spoolDir: string },
  bundle: Digest,
): Promise<number> {
  const repository = await openRepository(backend, NAME, { spoolDir });
  try {
    const { tree } = await repository.history.getBundle(bundle);
    let count = 0;
    for await (const { oid, sizeBytes } of entries(repository.pages, tree)) {
      if (oid === null) continue;
      const bytes = await collect(repository.blobs.get(oid), sizeBytes);
      if (digestOf(bytes) !== oid) throw new Error(`${oid} reads back as something else`);
      count += 1;
    }
    return count;
  } finally {
    await repository.close();
  }
}

const entriesOf = (files: Readonly<Record<string, Uint8Array>>): Entry[] =>
  Object.entries(files).map(([path, bytes]) => ({
    path: path as RawPath,
    kind: 'lfs',
    executable: false,
    oid: digestOf(bytes),
    sizeBytes: bytes.length,
  }));
