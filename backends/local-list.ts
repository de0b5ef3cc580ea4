/** Lists a local store in key order, reading only folders that can hold a key asked for, each when its turn comes. */
import { join } from 'node:path';
import type { ObjectInfo } from '../core/backend/backend.ts';
import { isKeySegment, type Key } from '../core/keys.ts';
import { localError, systemCode } from './local-errors.ts';
import type { FileStat, LocalFs } from './local-fs.ts';
import { TEMP_FOLDER } from './local-temp.ts';

/** What has no key's name (`.DS_Store`, `lost+found`) is none of ours and is passed over, as are links and devices. */
export async function* listLocal(
  fs: LocalFs,
  root: string,
  prefix: string,
  after: string,
): AsyncIterable<ObjectInfo> {
  const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1);
  const segments = folder.split('/').slice(0, -1);
  if (segments.every(isKeySegment) && segments[0] !== TEMP_FOLDER)
    yield* walk({ fs, root, prefix, after }, folder);
}

interface Walk {
  readonly fs: LocalFs;
  readonly root: string;
  readonly prefix: string;
  readonly after: string;
}

/** `folder` is empty or ends in a slash. */
async function* walk(options: Walk, folder: string): AsyncIterable<ObjectInfo> {
  const { fs, root, prefix, after } = options;
  for (const name of await sortedNames(fs, join(root, folder), folder)) {
    const key = `${folder}${name}`;
    if (!key.startsWith(prefix)) continue;
    if (name.endsWith('/')) {
      // Keys below sort behind the folder's own text, so it is behind us only where `after` is not among them.
      if (key > after || after.startsWith(key)) yield* walk(options, key);
    } else if (key > after) {
      const stat = await statOptional(fs, join(root, key));
      if (stat?.kind === 'file') yield infoOf(key as Key, stat);
    }
  }
}

/** Names in key order: a folder sorts, and is written, with the slash that follows it in keys. */
async function sortedNames(fs: LocalFs, path: string, folder: string): Promise<readonly string[]> {
  try {
    const entries = await fs.readFolder(path);
    return entries
      .filter(({ name }) => isKeySegment(name) && !(folder === '' && name === TEMP_FOLDER))
      .filter(({ kind }) => kind !== 'other')
      .map(({ name, kind }) => (kind === 'folder' ? `${name}/` : name))
      .sort((a, b) => (a < b ? -1 : 1));
  } catch (error) {
    if (isAbsence(error)) return [];
    throw localError('read', path, error);
  }
}

/** A file is written before it is linked to its name, and never after. */
export const infoOf = (key: Key, { sizeBytes, modifiedMs }: FileStat): ObjectInfo => ({
  key,
  sizeBytes,
  createdAt: new Date(modifiedMs),
});

/** Null where nothing of that name is there. */
export async function statOptional(fs: LocalFs, path: string): Promise<FileStat | null> {
  try {
    return await fs.stat(path);
  } catch (error) {
    if (isAbsence(error)) return null;
    throw localError('read', path, error);
  }
}

export function isAbsence(error: unknown): boolean {
  const code = systemCode(error);
  return code === 'ENOENT' || code === 'ENOTDIR';
}
