/**
 * Folders of a local store. Invariant: once `settle(folder)` resolved, every name that stood in the folder when it was
 * called, and every folder above it up to the root, survives a power loss.
 */
import { dirname } from 'node:path';
import { DatamonError, hasCode } from '../core/errors.ts';
import { guarded, localError, systemCode } from './local-errors.ts';
import type { LocalFs } from './local-fs.ts';

/** File systems without a folder fsync say so in these words; their folders are as durable as they ever get. */
const NO_FOLDER_SYNC = new Set(['EINVAL', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS']);
/** Forgetting costs an fsync, remembering costs memory. */
const SETTLED_COUNT_MAX = 10_000;

export interface LocalFolders {
  /** Makes the folder and those above it where they are missing. */
  make(folder: string): Promise<void>;
  /** See the invariant. */
  settle(folder: string): Promise<void>;
  /** Fsyncs this folder alone; callers that come while one runs share the next. */
  sync(folder: string): Promise<void>;
}

export function createLocalFolders(fs: LocalFs, root: string): LocalFolders {
  const sync = sharedSync((folder) => syncFolder(fs, folder));
  let madeRoot = false;
  /** Folders whose own name is durable in the folder above. */
  const settled = new Set<string>();

  /** False where the folder above is missing. */
  const makeOne = async (folder: string): Promise<boolean> => {
    try {
      await fs.mkdir(folder);
      settled.delete(folder);
      madeRoot ||= folder === root;
      return true;
    } catch (error) {
      const code = systemCode(error);
      if (code === 'EEXIST') return true;
      if (code === 'ENOENT') return false;
      throw localError('write', folder, error);
    }
  };

  const make = async (folder: string): Promise<void> => {
    if (await makeOne(folder)) return;
    if (folder !== dirname(folder)) await make(dirname(folder));
    if (await makeOne(folder)) return;
    throw new DatamonError('UNAVAILABLE', `${dirname(folder)} was removed while it was in use`);
  };

  const settleName = async (folder: string): Promise<void> => {
    if (settled.has(folder)) return;
    // Also for folders made by others: they may not have got round to it.
    await syncAbove(folder);
    if (settled.size >= SETTLED_COUNT_MAX) settled.clear();
    settled.add(folder);
  };

  const syncAbove = async (folder: string): Promise<void> => {
    const above = dirname(folder);
    if (folder !== root) {
      await sync(above);
      return settleName(above);
    }
    try {
      await sync(above);
    } catch (error) {
      // The folder that holds the root may be closed to us, where somebody else made the root for us.
      if (madeRoot || !hasCode(error, 'FORBIDDEN')) throw error;
    }
  };

  const settle = async (folder: string): Promise<void> => {
    await sync(folder);
    await settleName(folder);
  };

  return { make, settle, sync };
}

/** One fsync at a time per folder; whoever comes while it runs shares the one that starts after it. */
function sharedSync(sync: (folder: string) => Promise<void>): (folder: string) => Promise<void> {
  const running = new Map<string, Promise<void>>();
  const waiting = new Map<string, Promise<void>>();

  const start = (folder: string): Promise<void> => {
    const current = sync(folder).finally(() => running.delete(folder));
    running.set(folder, current);
    return current;
  };

  return (folder) => {
    const current = running.get(folder);
    if (current === undefined) return waiting.get(folder) ?? start(folder);
    const queued = waiting.get(folder);
    if (queued !== undefined) return queued;
    const startNext = (): Promise<void> => {
      waiting.delete(folder);
      return start(folder);
    };
    const next = current.then(startNext, startNext);
    waiting.set(folder, next);
    return next;
  };
}

async function syncFolder(fs: LocalFs, folder: string): Promise<void> {
  const handle = await guarded('write', folder, fs.open(folder, 'folder'));
  try {
    await handle.sync();
  } catch (error) {
    if (!NO_FOLDER_SYNC.has(systemCode(error))) throw unsynced(folder, error);
  } finally {
    // Nothing was written through it that closing could lose.
    await handle.close().catch(() => {});
  }
}

function unsynced(folder: string, error: unknown): DatamonError {
  const { code, message } = localError('write', folder, error);
  return new DatamonError(code, `${message}; what was just stored there may not survive`, {
    cause: error,
  });
}
