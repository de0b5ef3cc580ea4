/** The bytes of a download so far, hashed as they come; the beginning that an interrupted one left is hashed before anything is added. */
import { createHasher, type Hasher } from '../core/digest.ts';
import type { DatamonError } from '../core/errors.ts';
import { throwIfStopped } from './guard.ts';
import type { DownloadRequest } from './messages.ts';
import type { TransferOptions } from './session.ts';
import { fileError, type TempFile } from './temp-files.ts';

const READ_SIZE_BYTES = 1024 * 1024;

/** Kept over interruptions so that only what is missing is asked for again. */
export interface Received {
  bytes: number;
  readonly hasher: Hasher;
  /** Of these, bytes that an interrupted download left: only the whole digest tells whether they are right. */
  readonly foundBytes: number;
  /** Why some of them are not in the file; null: they are. */
  lost: DatamonError | null;
}

export const nothing = (): Received => ({
  bytes: 0,
  hasher: createHasher(),
  foundBytes: 0,
  lost: null,
});

/** What is in the file already; nothing, and an empty file, where that is more than the object has. */
export async function beginningOf(
  request: DownloadRequest,
  { handle, foundBytes }: Pick<TempFile, 'handle' | 'foundBytes'>,
  { signal, onProgress }: TransferOptions,
): Promise<Received> {
  if (foundBytes === 0) return nothing();
  if (foundBytes > request.sizeBytes) {
    await handle.truncate(0);
    return nothing();
  }
  const hasher = createHasher();
  const buffer = Buffer.allocUnsafe(READ_SIZE_BYTES);
  let bytes = 0;
  while (bytes < foundBytes) {
    throwIfStopped(signal);
    const length = Math.min(buffer.length, foundBytes - bytes);
    const { bytesRead } = await handle.read(buffer, 0, length, bytes).catch((cause: unknown) => {
      throw fileError(cause, 'cannot read an unfinished download of this clone');
    });
    if (bytesRead === 0) break;
    hasher.update(buffer.subarray(0, bytesRead));
    bytes += bytesRead;
    onProgress(bytes);
  }
  return { bytes, hasher, foundBytes: bytes, lost: null };
}
