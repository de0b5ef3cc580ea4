/** Where git-lfs keeps objects on this machine. Read only: nothing here writes into git-lfs's folders. */
import { type Stats, statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import type { ByteStream } from '../core/bytes.ts';
import type { OpenOptions } from '../core/cas/blob-store.ts';
import { type Digest, EMPTY_DIGEST } from '../core/digest.ts';
import { fileStream } from '../core/file-stream.ts';
import { getConfig } from './config.ts';
import type { GitRepository } from './repository.ts';

export interface LfsStore {
  /** Folder of the objects of this clone. */
  readonly folder: string;
  /** Where the object of an oid is, or would be. */
  pathOf(oid: Digest): string;
  /** The file that holds the object with exactly this size, in this clone or one it borrows objects from; else null. */
  find(oid: Digest, sizeBytes: number): string | null;
}

const objectPath = (folder: string, oid: Digest): string =>
  join(folder, oid.slice(0, 2), oid.slice(2, 4), oid);

export async function openLfsStore(repo: GitRepository): Promise<LfsStore> {
  const storage = (await getConfig(repo.git, 'lfs.storage')) ?? 'lfs';
  const root = isAbsolute(storage) ? storage : resolve(repo.commonDir, storage);
  const folder = join(root, 'objects');
  const folders = [folder, ...(await borrowedFolders(repo))];
  return {
    folder,
    pathOf: (oid) => objectPath(folder, oid),
    find: (oid, sizeBytes) => {
      for (const candidate of folders) {
        const path = objectPath(candidate, oid);
        const found = statOf(path);
        if (found?.isFile() && found.size === sizeBytes) return path;
      }
      return null;
    },
  };
}

/** At once: of ten thousand files, turns of the event loop took longer than the kernel's answers. */
function statOf(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

/** `git clone --reference` lends git objects; git-lfs takes the LFS objects beside them too. */
async function borrowedFolders(repo: GitRepository): Promise<readonly string[]> {
  const objects = join(repo.commonDir, 'objects');
  const text = await readFile(join(objects, 'info', 'alternates'), 'utf8').catch(() => '');
  return text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#') && !line.startsWith('"'))
    .map((line) => join(dirname(resolve(objects, line)), 'lfs', 'objects'));
}

/** The bytes of a file found by `LfsStore.find`; none at all for the empty file, which has no object. */
export async function* readLfsObject(
  path: string | null,
  oid: Digest,
  options: OpenOptions = {},
): ByteStream {
  if (path !== null) yield* fileStream(path, options);
  else if (oid !== EMPTY_DIGEST) throw new Error(`no file for ${oid}`);
}
