/**
 * A store in a folder (`file:///abs/dir`). Invariants: a visible name means complete bytes; nothing is overwritten;
 * what was acknowledged survives a power loss, also where the acknowledgement was "it exists already".
 *
 * Put: write a temporary file on the same file system, fsync it, link it to its final name (which fails where the name
 * exists), fsync the folder and what was newly made above it, then acknowledge. An fsync that failed is never repeated
 * on the same file: its bytes are given up, since the system may have dropped them and would report success.
 */
import { dirname, isAbsolute, join, normalize } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Backend, Body, ByteRange } from '../core/backend/backend.ts';
import { checkRange, resolveRange } from '../core/backend/range.ts';
import { sized } from '../core/backend/sized.ts';
import type { ByteStream } from '../core/bytes.ts';
import { DatamonError } from '../core/errors.ts';
import { type Key, parseKey } from '../core/keys.ts';
import { currentHost, type LocalHost } from '../core/local-host.ts';
import { guarded, localError, systemCode } from './local-errors.ts';
import { createLocalFolders, type LocalFolders } from './local-folders.ts';
import { type LocalFile, type LocalFs, nodeFs } from './local-fs.ts';
import { infoOf, isAbsence, listLocal, statOptional } from './local-list.ts';
import { publish } from './local-publish.ts';
import { sweepTemps, TEMP_FOLDER, tempName } from './local-temp.ts';

const READ_SIZE_BYTES = 256 * 1024;

export interface LocalBackendOptions {
  readonly fs?: LocalFs;
  readonly host?: LocalHost;
}

/** Opens the store at `root`, an absolute path. The folder is made by the first put; what dead processes left is swept. */
export async function openLocalBackend(
  root: string,
  options: LocalBackendOptions = {},
): Promise<Backend> {
  if (!isAbsolute(root) || root.includes('\0')) {
    throw new DatamonError('INVALID', `not an absolute path: ${JSON.stringify(root)}`);
  }
  const fs = options.fs ?? nodeFs;
  const place = normalize(root).replace(/(.)\/+$/, '$1');
  await checkRoot(fs, place);
  const host = options.host ?? (await currentHost());
  const folders = createLocalFolders(fs, place);
  const store: LocalStore = { fs, root: place, host, folders, givenUp: new Set() };
  await sweepTemps({ ...store, nowMs: async () => (await touch(store)).getTime() });
  return {
    url: pathToFileURL(place).href,
    putIfAbsent: (key, body) => put(store, key, body),
    get: (key, range) => read(store, key, range),
    stat: async (key) => {
      const stat = await statOptional(fs, pathOf(store, key));
      return stat?.kind === 'file' ? infoOf(key, stat) : null;
    },
    list: (prefix, after = '') => listLocal(fs, place, prefix, after),
    remove: (key) => remove(store, key),
    now: () => touch(store),
    spoolPath: async () => {
      await folders.make(join(place, TEMP_FOLDER));
      return join(place, TEMP_FOLDER, tempName(host));
    },
  };
}

interface LocalStore {
  readonly fs: LocalFs;
  readonly root: string;
  readonly host: LocalHost;
  readonly folders: LocalFolders;
  /** Files of bodies whose fsync failed once. */
  readonly givenUp: Set<string>;
}

async function checkRoot(fs: LocalFs, root: string): Promise<void> {
  try {
    const folder = await fs.open(root, 'folder');
    await folder.close();
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw localError('read', root, error);
  }
}

/** The one way from a key to a path: `parseKey` lets no `..`, no empty segment and no NUL through. */
function pathOf(store: LocalStore, key: Key): string {
  parseKey(key);
  if (key === TEMP_FOLDER || key.startsWith(`${TEMP_FOLDER}/`)) {
    throw new DatamonError('INVALID', `${key} is the place of unfinished files and no key`);
  }
  return join(store.root, key);
}

async function put(store: LocalStore, key: Key, body: Body): Promise<{ created: boolean }> {
  const { fs, root, folders } = store;
  const path = pathOf(store, key);
  const folder = dirname(path);
  const existing = await statOptional(fs, path);
  if (existing !== null) {
    if (existing.kind !== 'file') throw notAnObject(path);
    // Whoever stored it may have been cut off before this.
    await folders.settle(folder);
    return { created: false };
  }
  const makeFolder = (): Promise<void> => folders.make(folder);
  const publishAs = async (temp: string): Promise<{ created: boolean }> => {
    const created = await publish({ fs, root, key, temp, path, makeFolder });
    await folders.settle(folder);
    return { created };
  };
  if (body.file !== undefined && dirname(body.file) === join(root, TEMP_FOLDER)) {
    await syncFile(store, body.file, key, body.sizeBytes);
    return publishAs(body.file);
  }
  const temp = join(root, TEMP_FOLDER, tempName(store.host));
  try {
    await writeTemp(store, temp, sized(key, body));
    return await publishAs(temp);
  } finally {
    // Renamed away or never made: then there is nothing to remove. Anything else is left to the next sweep.
    await fs.unlink(temp).catch(() => {});
  }
}

async function writeTemp(store: LocalStore, temp: string, bytes: ByteStream): Promise<void> {
  const file = await createTemp(store, temp);
  try {
    for await (const part of bytes) await writeWhole(file, temp, part);
    await guarded('write', temp, file.sync());
  } catch (error) {
    await file.close().catch(() => {});
    throw error;
  }
  await guarded('write', temp, file.close());
}

/** Makes a finished file of our own durable. INVALID unless it has the size that was announced. */
async function syncFile(
  store: LocalStore,
  path: string,
  key: Key,
  sizeBytes: number,
): Promise<void> {
  if (store.givenUp.has(path)) {
    throw new DatamonError('UNAVAILABLE', `cannot write ${path}: the disk lost some of it before`);
  }
  const file = await guarded('read', path, store.fs.open(path, 'read'));
  try {
    const found = (await guarded('read', path, file.stat())).sizeBytes;
    if (found !== sizeBytes) {
      throw new DatamonError('INVALID', `${key}: ${sizeBytes} bytes announced, ${found} came`);
    }
    store.givenUp.add(path);
    await guarded('write', path, file.sync());
    store.givenUp.delete(path);
  } finally {
    await file.close().catch(() => {});
  }
}

async function createTemp({ fs, folders }: LocalStore, temp: string): Promise<LocalFile> {
  try {
    return await fs.open(temp, 'create');
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw localError('write', temp, error);
    await folders.make(dirname(temp));
    return guarded('write', temp, fs.open(temp, 'create'));
  }
}

async function writeWhole(file: LocalFile, path: string, bytes: Uint8Array): Promise<void> {
  let rest = bytes;
  while (rest.length > 0) {
    const count = await guarded('write', path, file.write(rest));
    if (count === 0)
      throw new DatamonError('UNAVAILABLE', `cannot write ${path}: nothing is taken`);
    rest = rest.subarray(count);
  }
}

async function* read(store: LocalStore, key: Key, range: ByteRange | undefined): ByteStream {
  checkRange(range, key);
  const path = pathOf(store, key);
  const file = await openObject(store.fs, key, path);
  try {
    const stat = await guarded('read', path, file.stat());
    if (stat.kind !== 'file') throw absent(key);
    const { start, end } = resolveRange(range, stat.sizeBytes, key);
    for (let at = start; at < end; ) {
      const buffer = Buffer.allocUnsafe(Math.min(READ_SIZE_BYTES, end - at));
      const count = await guarded('read', path, file.read(buffer, at));
      if (count === 0) throw new DatamonError('CORRUPT', `${path} ends at ${at}, not at ${end}`);
      at += count;
      yield buffer.subarray(0, count);
    }
  } finally {
    await file.close().catch(() => {});
  }
}

async function openObject(fs: LocalFs, key: Key, path: string): Promise<LocalFile> {
  try {
    return await fs.open(path, 'read');
  } catch (error) {
    if (isAbsence(error)) throw absent(key);
    throw localError('read', path, error);
  }
}

async function remove(store: LocalStore, key: Key): Promise<void> {
  const path = pathOf(store, key);
  const existing = await statOptional(store.fs, path);
  if (existing !== null && existing.kind !== 'file') return;
  try {
    await store.fs.unlink(path);
  } catch (error) {
    if (!isAbsence(error)) throw localError('write', path, error);
  }
  // Or a power loss would bring back a reference to what is deleted next; also where another removed it just before.
  const folder = await statOptional(store.fs, dirname(path));
  if (folder?.kind === 'folder') await store.folders.sync(dirname(path));
  // Folders stay: removing them would race with puts.
}

/** The file system's clock: the time it gives a new file. */
async function touch(store: LocalStore): Promise<Date> {
  const temp = join(store.root, TEMP_FOLDER, tempName(store.host));
  const file = await createTemp(store, temp);
  try {
    return new Date((await guarded('read', temp, file.stat())).modifiedMs);
  } finally {
    await file.close().catch(() => {});
    await store.fs.unlink(temp).catch(() => {});
  }
}

const absent = (key: Key): DatamonError =>
  new DatamonError('NOT_FOUND', `${key} is not in the store`);

const notAnObject = (path: string): DatamonError =>
  new DatamonError('INVALID', `cannot write ${path}: something that is no object stands there`);
