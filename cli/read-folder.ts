/** A folder as the entries of a bundle: raw path bytes, exec bits, links as links; every file is hashed. `.git` folders are left out. */
import type { Dirent } from 'node:fs';
import { lstat, readdir, readlink } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { BlobSource } from '../core/cas/blob-store.ts';
import { digestStream } from '../core/cas/stream-digest.ts';
import { digestOf } from '../core/digest.ts';
import { DatamonError } from '../core/errors.ts';
import { fileStream } from '../core/file-stream.ts';
import type { Io } from '../core/io.ts';
import type { Entry, RawPath } from '../core/meta/model.ts';
import { checkoutProblem } from '../core/meta/path-safety.ts';
import { displayPath, rawPathFromBytes } from '../core/meta/raw-path.ts';
import { sortEntries } from '../core/meta/tree-builder.ts';

const FILE_COUNT_MAX = 10_000_000;
const SLASH = Buffer.from('/');

export interface FolderFile {
  readonly entry: Entry;
  /** Null for what has no bytes of its own in the store: links and empty folders. */
  readonly source: BlobSource | null;
}

/** In the order of paths. NOT_FOUND where there is no such folder; INVALID names a path no bundle may have. */
export async function readFolder(dir: string, io: Io): Promise<readonly FolderFile[]> {
  const root = Buffer.from(resolve(io.cwd, dir), 'utf8');
  const found = new Map<RawPath, FolderFile>();
  await walk(root, Buffer.alloc(0), { found, io, dir });
  return sortEntries([...found.values()].map(({ entry }) => entry)).map((entry) => {
    const file = found.get(entry.path);
    if (file === undefined) throw new DatamonError('INVALID', 'an entry without a file');
    return file;
  });
}

interface Walk {
  readonly found: Map<RawPath, FolderFile>;
  readonly io: Io;
  readonly dir: string;
}

async function walk(folder: Buffer, prefix: Buffer, state: Walk): Promise<void> {
  const children = await list(folder, prefix, state);
  const kept = children.filter((child) => child.name.toString('latin1') !== '.git');
  if (kept.length === 0 && prefix.length > 0) {
    add(state, { ...plainEntry(prefix), kind: 'directory', oid: null, sizeBytes: 0 }, null);
  }
  for (const child of kept) {
    state.io.signal.throwIfAborted();
    const path = Buffer.concat([folder, SLASH, child.name]);
    const below = prefix.length === 0 ? child.name : Buffer.concat([prefix, SLASH, child.name]);
    if (child.isDirectory()) await walk(path, below, state);
    else if (child.isSymbolicLink()) await addLink(path, below, state);
    else if (child.isFile()) await addFile(path, below, state);
    else {
      throw new DatamonError(
        'INVALID',
        `${displayPath(rawPathFromBytes(below))} is neither file, folder nor link`,
      );
    }
  }
}

async function list(folder: Buffer, prefix: Buffer, state: Walk): Promise<Dirent<Buffer>[]> {
  try {
    return await readdir(folder, { encoding: 'buffer', withFileTypes: true });
  } catch (cause) {
    const name = prefix.length === 0 ? state.dir : prefix.toString('utf8');
    const code = cause instanceof Error && 'code' in cause ? cause.code : '';
    if (code === 'ENOENT')
      throw new DatamonError('NOT_FOUND', `there is no folder ${name}`, { cause });
    if (code === 'ENOTDIR') throw new DatamonError('INVALID', `${name} is not a folder`, { cause });
    throw new DatamonError('FORBIDDEN', `${name} cannot be read: ${String(code)}`, { cause });
  }
}

function plainEntry(path: Buffer): Pick<Entry, 'path' | 'executable'> {
  const raw = rawPathFromBytes(path);
  const problem = checkoutProblem(raw);
  if (problem !== null) {
    throw new DatamonError('INVALID', `${displayPath(raw)} cannot be in a bundle: ${problem}`);
  }
  return { path: raw, executable: false };
}

function add(state: Walk, entry: Entry, source: BlobSource | null): void {
  if (state.found.size >= FILE_COUNT_MAX) {
    throw new DatamonError('TOO_LARGE', `${state.dir} has more than ${FILE_COUNT_MAX} files`);
  }
  state.found.set(entry.path, { entry, source });
}

async function addLink(path: Buffer, below: Buffer, state: Walk): Promise<void> {
  const target = await readlink(path, { encoding: 'buffer' });
  const entry = {
    ...plainEntry(below),
    kind: 'symlink',
    oid: digestOf(target),
    sizeBytes: target.length,
    reference: target.toString('utf8'),
  } as const;
  add(state, entry, null);
}

async function addFile(path: Buffer, below: Buffer, state: Walk): Promise<void> {
  const { mode, size } = await lstat(path);
  const { oid, sizeBytes } = await hashFile(path, size, state.io.signal);
  const entry = {
    ...plainEntry(below),
    kind: 'lfs',
    executable: (mode & 0o100) !== 0,
    oid,
    sizeBytes,
  } as const;
  add(state, entry, {
    oid,
    sizeBytes,
    label: displayPath(entry.path),
    open: (options) => fileStream(path, { links: 'refused', ...options }),
  });
}

async function hashFile(path: Buffer, announcedBytes: number, signal: AbortSignal) {
  const { digest, sizeBytes } = await digestStream(announcedBytes, async function* (how) {
    for await (const bytes of fileStream(path, { links: 'refused', ...how })) {
      signal.throwIfAborted();
      yield bytes;
    }
  });
  return { oid: digest, sizeBytes };
}
