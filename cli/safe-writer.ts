/**
 * Writes files below one folder and nowhere else. Each folder on the way is opened by itself, never through a link; files
 * appear whole under their name or not at all; nothing existing is replaced unless told so; links may only point inside.
 */
import { constants, type Stats } from 'node:fs';
import {
  type FileHandle,
  link,
  lstat,
  mkdir,
  open,
  readlink,
  realpath,
  rename,
  rm,
  symlink,
} from 'node:fs/promises';
import type { ByteStream } from '../core/bytes.ts';
import { createHasher, type Digest } from '../core/digest.ts';
import { DatamonError } from '../core/errors.ts';
import { randomHex, secureRandom } from '../core/random.ts';
import { linkProblem } from './link-problem.ts';
import { makeFolder } from './make-folder.ts';

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_RDONLY, O_WRONLY } = constants;
const FOLDER_FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
const READ_SIZE_BYTES = 1024 * 1024;
/** Every temporary file begins like this, so that a person who finds one knows whose it is. */
const TEMP_PREFIX = '.datamon-';

export type WriteResult = 'written' | 'already';

export interface FileToWrite {
  /** Parts of the path below the root as raw bytes, each checked by the caller. */
  readonly segments: readonly Buffer[];
  readonly oid: Digest;
  readonly sizeBytes: number;
  readonly executable: boolean;
  /** Replaces what is there. */
  readonly replace: boolean;
  readonly signal: AbortSignal;
  open(): ByteStream;
}

export interface LinkToWrite {
  readonly segments: readonly Buffer[];
  readonly target: string;
  readonly replace: boolean;
}

/** A folder held open, and a path that leads to it whatever happens to the names above it. */
interface Folder {
  readonly handle: FileHandle;
  readonly path: Buffer;
}

export class SafeWriter {
  readonly #root: string;
  readonly #byHandle: boolean;

  private constructor(root: string, byHandle: boolean) {
    this.#root = root;
    this.#byHandle = byHandle;
  }

  /** Creates `root` where it is absent. */
  static async open(root: string): Promise<SafeWriter> {
    await makeFolder(root);
    const real = await realpath(root);
    const handle = await open(real, FOLDER_FLAGS);
    try {
      // Linux leads from a descriptor to its folder, so no name above a file is resolved twice.
      const byHandle = await lstat(`/proc/self/fd/${handle.fd}/.`).then(
        () => true,
        () => false,
      );
      return new SafeWriter(real, byHandle);
    } finally {
      await handle.close();
    }
  }

  async writeFile(file: FileToWrite): Promise<WriteResult> {
    const { folders, name } = await this.#descend(file.segments);
    try {
      const parent = last(folders);
      const target = below(parent.path, name);
      const present = await statOrNull(target);
      if (present !== null) {
        if (await holdsAlready(target, present, file)) return 'already';
        refuseUnlessReplaceable(present, file.replace);
      }
      await writeWhole(parent.path, name, file);
      return 'written';
    } finally {
      await closeAll(folders);
    }
  }

  async writeLink(entry: LinkToWrite): Promise<WriteResult> {
    const problem = linkProblem(entry.segments.length - 1, entry.target);
    if (problem !== null) throw new DatamonError('FORBIDDEN', problem);
    const { folders, name } = await this.#descend(entry.segments);
    try {
      const parent = last(folders);
      const target = below(parent.path, name);
      const present = await statOrNull(target);
      if (present?.isSymbolicLink() && (await readlink(target)) === entry.target) return 'already';
      if (present !== null) refuseUnlessReplaceable(present, entry.replace);
      const temp = below(parent.path, tempName());
      await symlink(entry.target, temp);
      await publish(temp, target, entry.replace);
      return 'written';
    } finally {
      await closeAll(folders);
    }
  }

  async makeFolder(segments: readonly Buffer[]): Promise<WriteResult> {
    const { folders, name } = await this.#descend(segments);
    try {
      const path = below(last(folders).path, name);
      const isThere = (await statOrNull(path)) !== null;
      const { handle } = await this.#enter(path, name);
      await handle.close();
      return isThere ? 'already' : 'written';
    } finally {
      await closeAll(folders);
    }
  }

  /** Opens every folder above the last segment, making those that are absent. */
  async #descend(
    segments: readonly Buffer[],
  ): Promise<{ folders: readonly Folder[]; name: Buffer }> {
    const folders = [await this.#openFolder(Buffer.from(this.#root, 'utf8'))];
    try {
      for (const segment of segments.slice(0, -1)) {
        const path = below(last(folders).path, segment);
        folders.push(await this.#enter(path, segment));
      }
    } catch (error) {
      await closeAll(folders);
      throw error;
    }
    return { folders, name: segments.at(-1) ?? Buffer.alloc(0) };
  }

  async #enter(path: Buffer, segment: Buffer): Promise<Folder> {
    try {
      await mkdir(path);
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw writeFailure(error);
    }
    try {
      return await this.#openFolder(path);
    } catch (error) {
      const code = codeOf(error);
      if (code === 'ELOOP' || code === 'ENOTDIR') {
        throw new DatamonError(
          'CONFLICT',
          `${JSON.stringify(segment.toString('utf8'))} above it is a link or a file, not a folder`,
          { cause: error },
        );
      }
      throw writeFailure(error);
    }
  }

  async #openFolder(path: Buffer): Promise<Folder> {
    const handle = await open(path, FOLDER_FLAGS);
    return { handle, path: this.#byHandle ? Buffer.from(`/proc/self/fd/${handle.fd}`) : path };
  }
}

async function writeWhole(folder: Buffer, name: Buffer, file: FileToWrite): Promise<void> {
  const temp = below(folder, tempName());
  try {
    const flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
    const handle = await open(temp, flags, file.executable ? 0o777 : 0o666);
    try {
      await copyVerified(file, handle);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await publish(temp, below(folder, name), file.replace);
  } catch (error) {
    await rm(temp, { force: true }).catch(() => {});
    throw writeFailure(error);
  }
}

/** Writes the stream and proves it: size and digest are checked here too, whatever the store promised. */
async function copyVerified(file: FileToWrite, handle: FileHandle): Promise<void> {
  const hasher = createHasher();
  let sizeBytes = 0;
  for await (const bytes of file.open()) {
    if (file.signal.aborted) throw new DatamonError('CANCELLED', 'stopped');
    hasher.update(bytes);
    sizeBytes += bytes.length;
    await writeAll(handle, bytes);
  }
  if (sizeBytes !== file.sizeBytes || hasher.digest() !== file.oid) {
    throw new DatamonError('CORRUPT', `the store sent other bytes than ${file.oid}`);
  }
}

async function writeAll(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  let offset = 0;
  while (offset < bytes.length) {
    const { bytesWritten } = await handle.write(bytes, offset);
    offset += bytesWritten;
  }
}

/** Gives a finished temporary its name: by link, which never replaces, or by rename where replacing was asked for. */
async function publish(temp: Buffer, target: Buffer, replace: boolean): Promise<void> {
  if (replace) return rename(temp, target);
  try {
    await link(temp, target);
  } catch (error) {
    if (codeOf(error) === 'EEXIST') {
      await rm(temp, { force: true });
      throw existsAlready();
    }
    if (!['EPERM', 'ENOTSUP', 'ENOSYS', 'EMLINK'].includes(codeOf(error))) throw error;
    // A file system without hard links: look, then rename.
    if ((await statOrNull(target)) !== null) throw existsAlready();
    return rename(temp, target);
  }
  await rm(temp, { force: true });
}

/** True where a regular file with these very bytes and this exec bit is there. */
async function holdsAlready(target: Buffer, present: Stats, file: FileToWrite): Promise<boolean> {
  if (!present.isFile() || present.size !== file.sizeBytes) return false;
  const handle = await open(target, O_RDONLY | O_NOFOLLOW).catch(() => null);
  if (handle === null) return false;
  try {
    const hasher = createHasher();
    const buffer = Buffer.allocUnsafe(Math.min(READ_SIZE_BYTES, Math.max(1, present.size)));
    for (;;) {
      const { bytesRead } = await handle.read(buffer, 0, buffer.length);
      if (bytesRead === 0) break;
      hasher.update(buffer.subarray(0, bytesRead));
    }
    const isExecutable = (present.mode & 0o100) !== 0;
    return hasher.digest() === file.oid && isExecutable === file.executable;
  } finally {
    await handle.close();
  }
}

function refuseUnlessReplaceable(present: Stats, replace: boolean): void {
  if (present.isDirectory()) throw new DatamonError('CONFLICT', 'a folder has its place');
  if (!replace) throw existsAlready();
}

const existsAlready = (): DatamonError =>
  new DatamonError('CONFLICT', 'another file has its place', {
    hint: 'Use --force to replace it, or another folder.',
  });

function writeFailure(error: unknown): Error {
  if (error instanceof DatamonError) return error;
  const code = codeOf(error);
  const message = error instanceof Error ? error.message : String(error);
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new DatamonError('NO_SPACE', 'the disk is full', { cause: error });
  }
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') {
    return new DatamonError('FORBIDDEN', `not allowed to write: ${message}`, { cause: error });
  }
  if (code === 'ENAMETOOLONG') {
    return new DatamonError('INVALID', 'the name is too long for this file system', {
      cause: error,
    });
  }
  return error instanceof Error ? error : new Error(message);
}

const tempName = (): Buffer => Buffer.from(`${TEMP_PREFIX}${randomHex(secureRandom, 8)}`);

const SLASH = Buffer.from('/');
const below = (folder: Buffer, name: Buffer): Buffer => Buffer.concat([folder, SLASH, name]);

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : '';

async function statOrNull(path: Buffer): Promise<Stats | null> {
  try {
    return await lstat(path);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw writeFailure(error);
  }
}

function last(folders: readonly Folder[]): Folder {
  const folder = folders.at(-1);
  if (folder === undefined) throw new DatamonError('INVALID', 'an empty path');
  return folder;
}

async function closeAll(folders: readonly Folder[]): Promise<void> {
  for (const folder of folders) await folder.handle.close();
}
