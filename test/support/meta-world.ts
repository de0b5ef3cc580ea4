/** A repo's history and locks on a backend in memory, over fake pages; with a clock and randomness that can be foretold. */
import type { Backend } from '../../core/backend/backend.ts';
import { createMemoryBackend } from '../../core/backend/memory.ts';
import { type Digest, digestOf } from '../../core/digest.ts';
import { type GitSha, type PushId, parseRepoName } from '../../core/keys.ts';
import { createSyntheticCommit } from '../../core/meta/commit-object.ts';
import { DirectHistory, type HistoryOptions } from '../../core/meta/history.ts';
import { DirectLocks } from '../../core/meta/locks.ts';
import type { Entry, PushReceipt, RawPath, RefMove } from '../../core/meta/model.ts';
import { type RecordedBundle, recordBundle } from '../../core/meta/record.ts';
import { secureRandom } from '../../core/random.ts';
import { createFakeBlobs, createFakePages } from './fake-stores.ts';

export const REPO = parseRepoName('acme/weather');
export const REMOTE = 'github.com/acme/weather';
export const FREE_RECEIPT: PushReceipt = {
  newBytes: 1,
  resumedBytes: 0,
  storedBytes: 2,
  packCount: 3,
  requestCount: 4,
  durationMs: 5,
  reusedFrom: null,
  measured: true,
};

export function entryOf(path: string, content = path): Entry {
  return {
    path: path as RawPath,
    kind: 'lfs',
    executable: false,
    oid: digestOf(content),
    sizeBytes: content.length,
  };
}

/** Each push a new id. */
export const pushIdOf = (text: string): PushId => digestOf(text).slice(0, 32) as PushId;

export interface WorldOptions {
  readonly remote?: string | null;
  readonly backend?: (inner: Backend) => Backend;
  readonly lockViolations?: HistoryOptions['lockViolations'];
}

export type World = ReturnType<typeof createWorld>;

export function createWorld(options: WorldOptions = {}) {
  const clock = { now: new Date('2026-01-01T00:00:00Z') };
  const inner = createMemoryBackend({ now: () => clock.now });
  const backend = options.backend?.(inner) ?? inner;
  const pages = createFakePages();
  const blobs = createFakeBlobs();
  const info = {
    pool: 'acme',
    remote: options.remote === undefined ? REMOTE : options.remote,
    createdBy: 'ada',
    createdAt: clock.now.toISOString(),
  };
  const shared = { backend, repo: REPO, info, pages, random: secureRandom };
  const { lockViolations } = options;
  /** Another client of the same store. */
  const openHistory = () =>
    new DirectHistory({ ...shared, ...(lockViolations ? { lockViolations } : {}) });
  const history = openHistory();
  const locks = new DirectLocks(shared);

  const bundle = (
    entries: readonly Entry[],
    message = 'a version',
    parents: GitSha[] = [],
  ): Promise<RecordedBundle> =>
    recordBundle(
      { pages, history },
      {
        ...createSyntheticCommit({
          message,
          author: { name: 'Ada', mail: 'ada@example.org' },
          at: clock.now,
          parents,
          treeLabel: '00',
        }),
        entries,
        rules: { recorder: 1, config: null },
        pointerExtensions: [],
      },
    );

  /** A recorded bundle of its own for each name, and the move of a ref to it. */
  const commits = new Map<string, RecordedBundle>();
  const commit = async (name: string): Promise<RecordedBundle> => {
    const made = commits.get(name) ?? (await bundle([entryOf('a.csv', name)], name));
    commits.set(name, made);
    return made;
  };
  const move = async (
    from: string | null,
    to: string | null,
    change: Partial<RefMove> = {},
  ): Promise<RefMove> => {
    const [old, next] = [
      from === null ? null : await commit(from),
      to === null ? null : await commit(to),
    ];
    return {
      pushId: pushIdOf(`${from}→${to}`),
      remote: REMOTE,
      ref: 'refs/heads/main',
      gitOld: old?.descriptor.commit ?? null,
      gitNew: next?.descriptor.commit ?? null,
      bundle: next?.bundle ?? null,
      totals: next?.totals ?? { fileCount: 0, sizeBytes: 0 },
      extraOids: null,
      missing: [],
      forced: false,
      pushedBy: 'Ada <ada@example.org>',
      receipt: FREE_RECEIPT,
      ...change,
    };
  };
  const push = async (from: string | null, to: string | null, change: Partial<RefMove> = {}) => {
    clock.now = new Date(clock.now.getTime() + 60_000);
    return await history.recordMove(await move(from, to, change));
  };
  const digestOfCommit = async (name: string): Promise<Digest> => (await commit(name)).bundle;
  return {
    clock,
    inner,
    backend,
    pages,
    blobs,
    history,
    openHistory,
    locks,
    bundle,
    commit,
    move,
    push,
    digestOfCommit,
    name: REPO,
  };
}

export async function listAll<T>(source: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const each of source) found.push(each);
  return found;
}
