/**
 * W9: bundles of very many files through the library, on a directory, requests counted at the backend: the first commit, then a commit,
 * a diff and the listing of a folder after one file changed; for a large number of files and for ten times as many.
 */
import { rm } from 'node:fs/promises';
import { openBackend } from '../../backends/open.ts';
import { createMeteredBackend } from '../../core/backend/metered.ts';
import { EMPTY_RECEIPT } from '../../core/cas/blob-store.ts';
import { type Digest, digestOf } from '../../core/digest.ts';
import { DatamonError } from '../../core/errors.ts';
import { type GitSha, type PushId, parseRepoName } from '../../core/keys.ts';
import { createSyntheticCommit } from '../../core/meta/commit-object.ts';
import { diffTrees } from '../../core/meta/diff.ts';
import type { Entry, RawPath } from '../../core/meta/model.ts';
import { rawPathFromText } from '../../core/meta/raw-path.ts';
import { type CommitContent, recordBundle } from '../../core/meta/record.ts';
import { listFolder } from '../../core/meta/tree-reader.ts';
import { type DirectRepository, openRepository } from '../../core/open-repository.ts';
import { randomHex, secureRandom } from '../../core/random.ts';
import type { Bench, Work } from '../bench.ts';
import { treePaths } from '../data.ts';
import type { Target } from '../model.ts';

const PROGRAM = 'datamon-library';
const REPO = parseRepoName('bench/many-files');
const FOLDER_FILE_COUNT = 1000;
const OID_COUNT = 1000;

type Step = 'first commit' | 'commit of one change' | 'diff of one change' | 'list a folder';
type Scale = 'fewer files' | 'ten times as many';

const caseOf = (step: Step, scale: Scale): string => `${step}, ${scale}`;

const MOST: Scale = 'ten times as many';

export const bundles: Work = {
  id: 'W9',
  title: 'bundles of very many files after one change',
  targets: [
    ...(['commit of one change', 'diff of one change'] as const).flatMap((step): Target[] => [
      { case: caseOf(step, MOST), program: PROGRAM, metric: 'seconds', bound: { atMost: 0.1 } },
      { case: caseOf(step, MOST), program: PROGRAM, metric: 'requests', bound: { atMost: 10 } },
      {
        case: caseOf(step, MOST),
        program: PROGRAM,
        metric: 'seconds',
        against: [PROGRAM],
        againstCase: caseOf(step, 'fewer files'),
        bound: { atMost: 1.3 },
      },
    ]),
    {
      case: caseOf('list a folder', MOST),
      program: PROGRAM,
      metric: 'requests',
      bound: { atMost: 5 },
    },
  ],
  async run(bench) {
    const [fewer, more] = bench.sizes.bundleFileCounts;
    const scales = [
      { name: 'fewer files' as const, fileCount: fewer },
      { name: MOST, fileCount: more },
    ].map((scale) => ({ ...scale, ours: true }));
    bench.note(`fewer files: ${fewer}; ten times as many: ${more}`);
    await bench.takeTurns(scales, ({ name, fileCount }) => runScale(bench, name, fileCount));
  },
};

async function runScale(bench: Bench, scale: Scale, fileCount: number): Promise<void> {
  const { rig } = bench;
  const storeDir = await rig.newFolder('store-bundles');
  const room = new Room(bench, { storeDir, scale });
  const before = makeEntries(fileCount);
  const changed = Math.floor(fileCount / 2);
  const first = await room.measure('first commit', (repository) =>
    commit(repository, { entries: before }, []),
  );
  const path = before[changed]?.path ?? rawPathFromText('no/file');
  const second = await room.measure('commit of one change', (repository) => {
    const entry: Entry = { ...fileAt(path), oid: digestOf('changed'), sizeBytes: 7 };
    return commit(repository, { base: first.tree, changes: [{ path, entry }] }, [first.commit]);
  });
  const diff = await room.measure('diff of one change', async ({ pages }) => {
    const paths: string[] = [];
    for await (const { path } of diffTrees(pages, first.tree, second.tree)) paths.push(path);
    return paths;
  });
  expectThat(diff.length === 1 && diff[0] === path, 'a diff of one changed file');
  const listing = await room.measure('list a folder', ({ pages }) =>
    listFolder(pages, second.tree, rawPathFromText('data/0000')),
  );
  const expected = Math.min(FOLDER_FILE_COUNT, fileCount);
  expectThat(listing?.files.length === expected, 'the listing of a folder');
  await rm(storeDir, { recursive: true });
}

/** Opens the repo anew for each step, so that every step starts from cold. Opening counts towards neither time nor requests. */
class Room {
  readonly #bench: Bench;
  readonly #storeDir: string;
  readonly #scale: Scale;

  constructor(bench: Bench, place: { readonly storeDir: string; readonly scale: Scale }) {
    this.#bench = bench;
    this.#storeDir = place.storeDir;
    this.#scale = place.scale;
  }

  async measure<T>(step: Step, work: (repository: DirectRepository) => Promise<T>): Promise<T> {
    const { rig } = this.#bench;
    const metered = createMeteredBackend(await openBackend(`file://${this.#storeDir}`));
    const spoolDir = await rig.newFolder('spool');
    const repository = await openRepository(metered.backend, REPO, {
      spoolDir,
      create: { by: 'bench', remote: 'bench' },
    });
    try {
      const before = metered.counts().requestCount;
      const began = performance.now();
      const result = await work(repository);
      const seconds = (performance.now() - began) / 1000;
      const requests = metered.counts().requestCount - before;
      const name = caseOf(step, this.#scale);
      this.#bench.record({ case: name, program: PROGRAM, values: { seconds, requests } });
      return result;
    } finally {
      await repository.close();
      await rm(spoolDir, { recursive: true, force: true });
    }
  }
}

/** A bundle and the move of the branch to it: what makes it visible. */
async function commit(
  repository: DirectRepository,
  content: CommitContent,
  parents: readonly GitSha[],
): Promise<{ readonly tree: Digest; readonly commit: GitSha }> {
  const { history } = repository;
  const made = createSyntheticCommit({
    message: `Version ${parents.length + 1}`,
    author: { name: 'Ada', mail: 'ada@example.org' },
    at: new Date('2026-01-02T03:04:05Z'),
    parents,
    treeLabel: '00',
  });
  const rules = { recorder: 1, config: null };
  const recorded = await recordBundle(repository, {
    ...made,
    ...content,
    rules,
    pointerExtensions: [],
  });
  const { newBytes, storedBytes, packCount, requestCount } = EMPTY_RECEIPT;
  const outcome = await history.recordMove({
    pushId: randomHex(secureRandom, 16) as PushId,
    remote: 'bench',
    ref: 'refs/heads/main',
    gitOld: parents[0] ?? null,
    gitNew: made.commit,
    bundle: recorded.bundle,
    totals: recorded.totals,
    extraOids: null,
    missing: [],
    forced: false,
    pushedBy: 'bench',
    receipt: {
      ...{ newBytes, storedBytes, packCount, requestCount },
      durationMs: 0,
      reusedFrom: null,
      resumedBytes: 0,
      measured: true,
    },
  });
  expectThat(outcome === 'recorded', 'a recorded bundle');
  return { tree: recorded.descriptor.tree, commit: made.commit };
}

function makeEntries(fileCount: number): readonly Entry[] {
  const oids = Array.from({ length: OID_COUNT }, (_, index) => digestOf(`content ${index}`));
  return Array.from(treePaths(fileCount), (path, index) => ({
    ...fileAt(path),
    oid: oids[index % OID_COUNT] ?? null,
    sizeBytes: 1000 + (index % OID_COUNT),
  }));
}

const fileAt = (path: RawPath) => ({ path, kind: 'lfs', executable: false }) as const;

function expectThat(holds: boolean, what: string): void {
  if (!holds) throw new DatamonError('MISMATCH', `${what} was expected, and came out otherwise`);
}
