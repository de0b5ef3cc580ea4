/** The entries of a commit's bundle, and the LFS objects a range of commits brings: read from git's own trees, streaming, never from a work tree. */
import { type Digest, EMPTY_DIGEST } from '../core/digest.ts';
import type { GitSha } from '../core/keys.ts';
import { POINTER_SIZE_MAX_BYTES, type Pointer, parsePointer } from '../core/lfs/pointer.ts';
import type { Entry, RawPath } from '../core/meta/model.ts';
import { rawPathFromBytes } from '../core/meta/raw-path.ts';
import { lfsTracked } from './attributes.ts';
import { readObjects } from './cat-file.ts';
import { TRUE_OBJECTS } from './commit.ts';
import type { Git } from './git.ts';
import type { GitRepository } from './repository.ts';
import { type ContentRules, isRootDocument, rulesOfCommit } from './rules.ts';
import {
  blobSizes,
  changedPaths,
  filesOfCommit,
  isFileMode,
  knownCommits,
  MODE_EXECUTABLE,
  MODE_SUBMODULE,
  MODE_SYMLINK,
  recordsOf,
  type TreeLine,
  type TreeObject,
} from './tree.ts';

/** What is known of a git blob: read once, used for every commit it is in. */
interface KnownBlob {
  readonly digest: Digest;
  readonly sizeBytes: number;
  readonly pointer: Pointer | null;
  /** Of a symlink. */
  readonly target: string | null;
}

/** Blobs read so far; share one between the commits of a push. */
export type BlobCache = Map<string, KnownBlob>;

const CACHE_COUNT_MAX = 200_000;
const BATCH_COUNT = 4096;

export interface CommitContent {
  readonly rules: ContentRules;
  /** Sorted by path. Reading it to the end fills `pointerExtensions` and `gitBlobs`. */
  readonly entries: AsyncIterable<Entry>;
  readonly pointerExtensions: Set<string>;
  /** Git blobs behind entries of kind `git` and `symlink`, by the digest of their bytes. */
  readonly gitBlobs: Map<Digest, string>;
}

/** What the bundle of `commit` lists. A function of the commit alone. */
export async function pointersOfCommit(
  repo: GitRepository,
  commit: GitSha,
  cache: BlobCache = new Map(),
): Promise<CommitContent> {
  const rules = await rulesOfCommit(repo.git, commit);
  const content = {
    rules,
    pointerExtensions: new Set<string>(),
    gitBlobs: new Map<Digest, string>(),
  };
  return { ...content, entries: entriesOf({ repo, commit, cache, ...content }) };
}

/** What the bundle of a commit lists at these paths of it. */
export async function pointersAt(
  repo: GitRepository,
  commit: GitSha,
  lines: readonly TreeLine[],
  options: { readonly rules: ContentRules; readonly cache: BlobCache },
): Promise<Omit<CommitContent, 'entries'> & { readonly entries: readonly Entry[] }> {
  const content = {
    rules: options.rules,
    pointerExtensions: new Set<string>(),
    gitBlobs: new Map(),
  };
  const reading = { repo, commit, cache: options.cache, ...content };
  const entries: Entry[] = [];
  for (let start = 0; start < lines.length; start += BATCH_COUNT) {
    const batch = lines.slice(start, start + BATCH_COUNT);
    for await (const entry of entriesOfBatch(reading, batch)) entries.push(entry);
  }
  return { ...content, entries };
}

interface Reading extends Omit<CommitContent, 'entries'> {
  readonly repo: GitRepository;
  readonly commit: GitSha;
  readonly cache: BlobCache;
}

async function* entriesOf(reading: Reading): AsyncGenerator<Entry> {
  let batch: TreeLine[] = [];
  for await (const line of filesOfCommit(reading.repo.git, reading.commit)) {
    batch.push(line);
    if (batch.length < BATCH_COUNT) continue;
    yield* entriesOfBatch(reading, batch);
    batch = [];
  }
  yield* entriesOfBatch(reading, batch);
}

async function* entriesOfBatch(
  reading: Reading,
  lines: readonly TreeLine[],
): AsyncGenerator<Entry> {
  const all = reading.rules.record === 'all';
  const wanted = lines.filter((line) => isWanted(line, all));
  const { cache, repo } = reading;
  const shasOf = (fits: (mode: string) => boolean) =>
    wanted.filter(({ mode }) => fits(mode)).map(({ sha }) => sha);
  await readInto(cache, repo.git, shasOf(isFileMode));
  await readLinks(
    cache,
    repo.git,
    shasOf((mode) => mode === MODE_SYMLINK),
  );
  const empty = wanted.filter(({ sizeBytes, mode }) => sizeBytes === 0 && isFileMode(mode));
  const tracked = await lfsTracked(
    repo,
    reading.commit,
    empty.map(({ path }) => path),
  );
  for (const line of wanted) {
    const entry = entryOf(reading, line, tracked);
    if (entry !== null) yield entry;
  }
}

function isWanted(line: TreeLine, all: boolean): boolean {
  if (all) return true;
  if (!isFileMode(line.mode)) return false;
  return (line.sizeBytes ?? 0) <= POINTER_SIZE_MAX_BYTES || isRootDocument(line.path);
}

function entryOf(reading: Reading, line: TreeLine, tracked: ReadonlySet<RawPath>): Entry | null {
  const { path, sha } = line;
  const executable = line.mode === MODE_EXECUTABLE;
  if (line.mode === MODE_SUBMODULE) {
    return { path, kind: 'submodule', executable, oid: null, sizeBytes: 0, reference: sha };
  }
  const blob = reading.cache.get(line.mode === MODE_SYMLINK ? linkKey(sha) : sha);
  if (blob === undefined) throw new Error(`blob ${sha} was not read`);
  if (line.mode === MODE_SYMLINK) {
    reading.gitBlobs.set(blob.digest, sha);
    const reference = blob.target === null ? {} : { reference: blob.target };
    const { digest: oid, sizeBytes } = blob;
    return { path, kind: 'symlink', executable, oid, sizeBytes, ...reference };
  }
  if (blob.pointer !== null) {
    for (const name of blob.pointer.extensions) reading.pointerExtensions.add(name);
    const { oid, sizeBytes } = blob.pointer;
    return { path, kind: 'lfs', executable, oid, sizeBytes };
  }
  if (tracked.has(path)) return { path, kind: 'lfs', executable, oid: EMPTY_DIGEST, sizeBytes: 0 };
  if (reading.rules.record !== 'all' && !isRootDocument(path)) return null;
  reading.gitBlobs.set(blob.digest, sha);
  return { path, kind: 'git', executable, oid: blob.digest, sizeBytes: blob.sizeBytes };
}

/** Reads the blobs that are not known yet. */
async function readInto(cache: BlobCache, git: Git, shas: readonly string[]): Promise<void> {
  if (cache.size > CACHE_COUNT_MAX) cache.clear();
  const unknown = new Set(shas.filter((sha) => !cache.has(sha)));
  if (unknown.size === 0) return;
  for await (const object of readObjects(git, unknown, { keepBytes: POINTER_SIZE_MAX_BYTES })) {
    const { content, digest, sizeBytes } = object;
    const pointer = content === null ? null : parsePointer(content);
    cache.set(object.sha, { digest, sizeBytes, pointer, target: null });
  }
}

/** Linux's PATH_MAX. */
const LINK_SIZE_MAX_BYTES = 4096;

/** The same blob may be a file elsewhere, and a link is never a pointer. */
const linkKey = (sha: string): string => `link ${sha}`;

async function readLinks(cache: BlobCache, git: Git, shas: readonly string[]): Promise<void> {
  const unknown = new Set(shas.filter((sha) => !cache.has(linkKey(sha))));
  if (unknown.size === 0) return;
  for await (const object of readObjects(git, unknown, { keepBytes: LINK_SIZE_MAX_BYTES })) {
    const { content, digest, sizeBytes } = object;
    const target = content?.toString('utf8') ?? null;
    cache.set(linkKey(object.sha), { digest, sizeBytes, pointer: null, target });
  }
}

export interface ChangedPointer {
  readonly path: RawPath;
  readonly before: Pointer | null;
  readonly after: Pointer | null;
}

/** LFS files that differ between two commits; all of `after` where there is none before. */
export async function changedPointers(
  git: Git,
  range: { readonly before: GitSha | null; readonly after: GitSha },
  cache: BlobCache = new Map(),
): Promise<readonly ChangedPointer[]> {
  const changed: ChangedPointer[] = [];
  let batch: { path: RawPath; before: string | null; after: string | null }[] = [];
  const flush = async () => {
    const shas = batch.flatMap(({ before, after }) => [before, after]);
    await readSmall(
      cache,
      git,
      shas.filter((sha) => sha !== null),
    );
    for (const { path, before, after } of batch) {
      const pointers = { before: pointerIn(cache, before), after: pointerIn(cache, after) };
      if (pointers.before !== null || pointers.after !== null) changed.push({ path, ...pointers });
    }
    batch = [];
  };
  for await (const { path, before, after } of changedPaths(git, range.before, range.after)) {
    batch.push({ path, before: fileSha(before), after: fileSha(after) });
    if (batch.length >= BATCH_COUNT) await flush();
  }
  await flush();
  return changed;
}

const fileSha = (object: TreeObject | null): string | null =>
  object !== null && isFileMode(object.mode) ? object.sha : null;

const pointerIn = (cache: BlobCache, sha: string | null): Pointer | null =>
  sha === null ? null : (cache.get(sha)?.pointer ?? null);

/** Reads those of the blobs that are small enough to be pointers. */
async function readSmall(cache: BlobCache, git: Git, shas: readonly string[]): Promise<void> {
  const sizes = await blobSizes(
    git,
    shas.filter((sha) => !cache.has(sha)),
  );
  const small = [...sizes].filter(([, sizeBytes]) => sizeBytes <= POINTER_SIZE_MAX_BYTES);
  await readInto(
    cache,
    git,
    small.map(([sha]) => sha),
  );
}

export interface IntroducedPointer {
  readonly oid: Digest;
  readonly sizeBytes: number;
  /** One of the paths it stands at; a name for messages, cut at a newline. */
  readonly path: RawPath;
}

export interface IntroducedRange {
  readonly include: readonly GitSha[];
  /** What the other side has; ids this clone does not know are left out. */
  readonly exclude: readonly string[];
}

/** LFS objects of all commits in the range, intermediate versions too, newest first; each oid once. */
export async function pointersIntroduced(
  git: Git,
  range: IntroducedRange,
  cache: BlobCache = new Map(),
): Promise<readonly IntroducedPointer[]> {
  const found = new Map<Digest, IntroducedPointer>();
  let batch: { sha: string; path: RawPath }[] = [];
  const flush = async () => {
    await readSmall(
      cache,
      git,
      batch.map(({ sha }) => sha),
    );
    for (const { sha, path } of batch) {
      const pointer = pointerIn(cache, sha);
      if (pointer !== null && !found.has(pointer.oid)) {
        found.set(pointer.oid, { oid: pointer.oid, sizeBytes: pointer.sizeBytes, path });
      }
    }
    batch = [];
  };
  for await (const object of objectsOf(git, range)) {
    batch.push(object);
    if (batch.length >= BATCH_COUNT) await flush();
  }
  await flush();
  return [...found.values()];
}

async function* objectsOf(
  git: Git,
  range: IntroducedRange,
): AsyncGenerator<{ sha: string; path: RawPath }> {
  const known = await knownCommits(git, range.exclude);
  const lines = [...range.include, ...known.map((sha) => `^${sha}`)];
  const output = git.stream(
    ['rev-list', '--objects', `--filter=blob:limit=${POINTER_SIZE_MAX_BYTES + 1}`, '--stdin'],
    { env: TRUE_OBJECTS, input: oneString(`${lines.join('\n')}\n`) },
  );
  for await (const line of recordsOf(newlinesToNul(output))) {
    const space = line.indexOf(0x20);
    // Commits stand alone on their line; a tree or blob has a path behind it, the root tree an empty one.
    if (space < 0 || space === line.length - 1) continue;
    yield {
      sha: line.subarray(0, space).toString('latin1'),
      path: rawPathFromBytes(line.subarray(space + 1)),
    };
  }
}

async function* oneString(text: string): AsyncGenerator<string> {
  yield text;
}

/** rev-list knows no `-z` here; it cuts names at a newline, so lines are safe to split. */
async function* newlinesToNul(stream: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const bytes of stream) {
    yield Buffer.from(bytes).map((byte) => (byte === 0x0a ? 0 : byte));
  }
}
