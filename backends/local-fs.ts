/** The twelve file system calls a local store makes. Passed in, so that tests can fail, reorder or crash after any of them. */
import { constants } from 'node:fs';
import * as fs from 'node:fs/promises';

export interface FileStat {
  readonly kind: FileKind;
  readonly sizeBytes: number;
  readonly modifiedMs: number;
  /** Equal for two names of one file. */
  readonly identity: string;
}

export type FileKind = 'file' | 'folder' | 'other';

export interface LocalFile {
  /** Bytes read into `buffer`, perhaps fewer than it holds; 0 at the end. */
  read(buffer: Uint8Array, position: number): Promise<number>;
  /** Bytes written, perhaps fewer than given. */
  write(bytes: Uint8Array): Promise<number>;
  sync(): Promise<void>;
  stat(): Promise<FileStat>;
  close(): Promise<void>;
}

/** Errors carry the system's `code` (ENOENT, EEXIST, …), as those of node:fs do. */
export interface LocalFs {
  /** `create`: a new file for writing, EEXIST where there is one. No symbolic link is followed in the last segment. */
  open(path: string, how: 'create' | 'read' | 'folder'): Promise<LocalFile>;
  link(from: string, to: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
  mkdir(path: string): Promise<void>;
  readFolder(path: string): Promise<readonly { readonly name: string; readonly kind: FileKind }[]>;
  /** Of the name itself, were it a symbolic link. */
  stat(path: string): Promise<FileStat>;
}

/** What stands in a store is its owner's alone: chunk seeds are secret, and so may the data be. */
const FILE_MODE = 0o600;
const FOLDER_MODE = 0o700;

const OPEN_FLAGS = {
  create: constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
  read: constants.O_RDONLY | constants.O_NOFOLLOW,
  folder: constants.O_RDONLY | constants.O_DIRECTORY,
} as const;

export const nodeFs: LocalFs = {
  async open(path, how) {
    const handle = await fs.open(path, OPEN_FLAGS[how], FILE_MODE);
    return {
      read: async (buffer, position) =>
        (await handle.read(buffer, 0, buffer.length, position)).bytesRead,
      write: async (bytes) => (await handle.write(bytes)).bytesWritten,
      sync: () => handle.sync(),
      stat: async () => fileStat(await handle.stat({ bigint: true })),
      close: () => handle.close(),
    };
  },
  link: fs.link,
  rename: fs.rename,
  unlink: fs.unlink,
  mkdir: (path) => fs.mkdir(path, { mode: FOLDER_MODE }).then(() => undefined),
  async readFolder(path) {
    const entries = await fs.readdir(path, { withFileTypes: true });
    return entries.map((entry) => ({ name: entry.name, kind: kindOf(entry) }));
  },
  stat: async (path) => fileStat(await fs.lstat(path, { bigint: true })),
};

interface Kind {
  isFile(): boolean;
  isDirectory(): boolean;
}

function kindOf(entry: Kind): FileKind {
  if (entry.isFile()) return 'file';
  return entry.isDirectory() ? 'folder' : 'other';
}

function fileStat(
  stats: Kind & {
    readonly size: bigint;
    readonly mtimeMs: bigint;
    readonly dev: bigint;
    readonly ino: bigint;
  },
): FileStat {
  return {
    kind: kindOf(stats),
    sizeBytes: Number(stats.size),
    modifiedMs: Number(stats.mtimeMs),
    identity: `${stats.dev}:${stats.ino}`,
  };
}
