/** Lists git trees and their differences as git stores them: raw path bytes, NUL-terminated, sorted bytewise. */
import { type GitSha, isGitSha } from '../core/keys.ts';
import type { RawPath } from '../core/meta/model.ts';
import { rawPathFromBytes } from '../core/meta/raw-path.ts';
import { TRUE_OBJECTS } from './commit.ts';
import type { Git } from './git.ts';

export interface TreeLine {
  readonly mode: string;
  readonly sha: string;
  /** Null for a submodule. */
  readonly sizeBytes: number | null;
  readonly path: RawPath;
}

export const MODE_EXECUTABLE = '100755';
export const MODE_SYMLINK = '120000';
export const MODE_SUBMODULE = '160000';

/** NUL-terminated records of a stream of bytes. */
export async function* recordsOf(stream: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const bytes of stream) {
    let buffer = rest.length === 0 ? Buffer.from(bytes) : Buffer.concat([rest, bytes]);
    for (let end = buffer.indexOf(0); end >= 0; end = buffer.indexOf(0)) {
      yield buffer.subarray(0, end);
      buffer = buffer.subarray(end + 1);
    }
    rest = buffer;
  }
  if (rest.length > 0) yield rest;
}

/** Every file of a commit, in the order of the paths' bytes. */
export async function* filesOfCommit(git: Git, commit: GitSha): AsyncGenerator<TreeLine> {
  const output = git.stream(['ls-tree', '-r', '-z', '-l', '--full-tree', commit], {
    env: TRUE_OBJECTS,
  });
  for await (const record of recordsOf(output)) {
    const tab = record.indexOf(0x09);
    const [mode = '', , sha = '', size = ''] = record
      .subarray(0, tab)
      .toString('latin1')
      .split(/ +/);
    yield {
      mode,
      sha,
      sizeBytes: /^\d+$/.test(size) ? Number(size) : null,
      path: rawPathFromBytes(record.subarray(tab + 1)),
    };
  }
}

/** Trees without entries, which git knows without having them. */
const EMPTY_TREE = '4b825dc642cb6eb9a060e54bf8d69288fbee4904';
const EMPTY_TREE_SHA256 = '6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321';

export interface ChangedPath {
  readonly path: RawPath;
  /** Null where there was, or is, nothing. */
  readonly before: TreeObject | null;
  readonly after: TreeObject | null;
}

export type TreeObject = Pick<TreeLine, 'mode' | 'sha'>;

/** Paths that differ between two commits, every path where there is none before. Renames are a removal and an addition. */
export async function* changedPaths(
  git: Git,
  before: GitSha | null,
  after: GitSha,
): AsyncGenerator<ChangedPath> {
  const from = before ?? (after.length === 64 ? EMPTY_TREE_SHA256 : EMPTY_TREE);
  const output = git.stream([...CHANGES, from, after], { env: TRUE_OBJECTS });
  let meta: string | null = null;
  for await (const record of recordsOf(output)) {
    if (meta === null) {
      meta = record.toString('latin1');
      continue;
    }
    const [oldMode = '', newMode = '', oldSha = '', newSha = ''] = meta.slice(1).split(' ');
    meta = null;
    yield {
      path: rawPathFromBytes(record),
      before: oldMode === NO_MODE ? null : { mode: oldMode, sha: oldSha },
      after: newMode === NO_MODE ? null : { mode: newMode, sha: newSha },
    };
  }
}

/** Whatever the clone's configuration says of submodules: what a commit holds is not a matter of taste. */
const CHANGES = 'diff-tree -r -z --raw --no-renames --no-abbrev --ignore-submodules=none'.split(
  ' ',
);

const NO_MODE = '000000';

export const isFileMode = (mode: string): boolean => mode.startsWith('100');

/** Sizes of those of the objects that are blobs. */
export async function blobSizes(
  git: Git,
  shas: Iterable<string>,
): Promise<ReadonlyMap<string, number>> {
  const sizes = new Map<string, number>();
  const asked = [...new Set(shas)];
  if (asked.length === 0) return sizes;
  const answer = await git.bytes(
    ['cat-file', '--buffer', '--batch-check=%(objectname) %(objecttype) %(objectsize)'],
    { input: `${asked.join('\n')}\n`, env: TRUE_OBJECTS },
  );
  for (const line of answer.toString('latin1').split('\n')) {
    const [sha = '', type, size = ''] = line.split(' ');
    if (type === 'blob') sizes.set(sha, Number(size));
  }
  return sizes;
}

/** Ids of `shas` that this clone has and that are commits or tags. */
export async function knownCommits(git: Git, shas: readonly string[]): Promise<readonly GitSha[]> {
  if (shas.length === 0) return [];
  const output = await git.bytes(['cat-file', '--batch-check=%(objectname) %(objecttype)'], {
    input: `${shas.join('\n')}\n`,
  });
  const known: GitSha[] = [];
  for (const line of output.toString('latin1').split('\n')) {
    const [sha, type] = line.split(' ');
    if (isGitSha(sha) && (type === 'commit' || type === 'tag')) known.push(sha);
  }
  return known;
}
