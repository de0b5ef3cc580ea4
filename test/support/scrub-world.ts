/** A whole store of real parts with a few pushes in it, in memory, for tests that damage it by hand. */
import { type Backend, bytesBody } from '../../core/backend/backend.ts';
import { createMemoryBackend } from '../../core/backend/memory.ts';
import { collect } from '../../core/bytes.ts';
import { digestOf } from '../../core/digest.ts';
import { type Key, parseRepoName } from '../../core/keys.ts';
import { createSyntheticCommit } from '../../core/meta/commit-object.ts';
import type { Entry, RawPath } from '../../core/meta/model.ts';
import { type RecordedBundle, recordBundle } from '../../core/meta/record.ts';
import { type DirectRepository, openRepository } from '../../core/open-repository.ts';
import { blobOf } from './cas-world.ts';
import { FREE_RECEIPT, listAll, pushIdOf, REMOTE } from './meta-world.ts';
import { makeTempDir } from './temp-dir.ts';

export const NAME = parseRepoName('acme/weather');

export type Files = Readonly<Record<string, Buffer>>;

export interface PushHow {
  /** Another repo of the same pool. */
  readonly repo?: string;
  /** Paths that are listed and not brought: the push says so. */
  readonly missing?: readonly string[];
}

export interface ScrubWorld {
  readonly backend: Backend;
  readonly clock: { now: Date };
  readonly spoolDir: string;
  /** Opens the repo (another one of the same pool, if named) as another process would. */
  open(name?: string): Promise<DirectRepository>;
  /** Stores the files and records a bundle of them as the next push to main. */
  push(files: Files, how?: PushHow): Promise<RecordedBundle>;
  /** Keys below a prefix. */
  keys(prefix: string): Promise<Key[]>;
  read(key: Key): Promise<Buffer>;
  /** Puts other bytes in an object's place; null takes it away. */
  replace(key: Key, bytes: Uint8Array | null): Promise<void>;
}

/** `through` wraps the backend that everybody uses. */
export async function makeScrubWorld(
  through: (backend: Backend) => Backend = (backend) => backend,
): Promise<ScrubWorld> {
  const clock = { now: new Date('2026-03-01T00:00:00Z') };
  const backend = through(createMemoryBackend({ now: () => clock.now }));
  const spoolDir = await makeTempDir();
  const open = (name: string = NAME): Promise<DirectRepository> =>
    openRepository(backend, parseRepoName(name), {
      create: { by: 'ada', remote: REMOTE },
      spoolDir,
    });
  const read = (key: Key): Promise<Buffer> => collect(backend.get(key), Number.MAX_SAFE_INTEGER);
  return {
    backend,
    clock,
    spoolDir,
    open,
    read,
    push: async (files, { repo, missing = [] } = {}) => {
      const repository = await open(repo);
      try {
        return await pushFiles(repository, files, { at: clock.now, missing });
      } finally {
        await repository.close();
      }
    },
    keys: async (prefix) => (await listAll(backend.list(prefix))).map(({ key }) => key),
    replace: async (key, bytes) => {
      await backend.remove(key);
      if (bytes !== null) await backend.putIfAbsent(key, bytesBody(bytes));
    },
  };
}

export function entriesOf(files: Files): Entry[] {
  return Object.entries(files).map(([path, bytes]) => ({
    path: path as RawPath,
    kind: 'lfs',
    executable: false,
    oid: digestOf(bytes),
    sizeBytes: bytes.length,
  }));
}

async function pushFiles(
  repository: DirectRepository,
  files: Files,
  { at, missing }: { readonly at: Date; readonly missing: readonly string[] },
): Promise<RecordedBundle> {
  const brought = Object.entries(files).filter(([path]) => !missing.includes(path));
  const sources = brought.map(([, bytes]) => blobOf(bytes));
  for (const outcome of await listAll(repository.blobs.putMany(sources))) {
    if ('error' in outcome) throw outcome.error;
  }
  const [head] = await listAll(repository.history.branchLog('main'));
  const made = await recordBundle(repository, {
    ...createSyntheticCommit({
      message: `version ${(head?.n ?? 0) + 1}`,
      author: { name: 'Ada', mail: 'ada@example.org' },
      at,
      parents: head?.event.gitNew == null ? [] : [head.event.gitNew],
      treeLabel: '00',
    }),
    entries: entriesOf(files),
    rules: { recorder: 1, config: null },
    pointerExtensions: [],
  });
  const { bundle, descriptor, totals } = made;
  await repository.history.recordMove({
    pushId: pushIdOf(bundle),
    remote: REMOTE,
    ref: 'refs/heads/main',
    gitOld: head?.event.gitNew ?? null,
    gitNew: descriptor.commit,
    bundle,
    totals,
    extraOids: null,
    missing: missing.map((path) => digestOf(files[path] ?? '')),
    forced: false,
    pushedBy: 'Ada <ada@example.org>',
    receipt: FREE_RECEIPT,
  });
  return made;
}
