/**
 * The file of an upload as a source that can be read again. It is opened once, before anything else, so that a prune
 * meanwhile takes only its name. Bytes that are not the announced ones are MISMATCH before the last of them is passed on.
 */
import { type FileHandle, open } from 'node:fs/promises';
import type { ByteStream } from '../core/bytes.ts';
import type { BlobSource } from '../core/cas/blob-store.ts';
import { createHasher, type Digest } from '../core/digest.ts';
import { DatamonError } from '../core/errors.ts';
import { fileError } from './temp-files.ts';

const READ_SIZE_BYTES = 256 * 1024;

export interface AnnouncedFile {
  readonly oid: Digest;
  readonly sizeBytes: number;
  readonly path: string;
}

export interface FileSource extends BlobSource {
  close(): Promise<void>;
}

export async function openFileSource(file: AnnouncedFile): Promise<FileSource> {
  const handle = await openFile(file.path);
  try {
    const { size } = await handle.stat();
    if (size !== file.sizeBytes) {
      throw changed(file, `it has ${size} bytes instead of ${file.sizeBytes}`);
    }
  } catch (cause) {
    await handle.close();
    throw fileError(cause, `cannot read ${file.path}`);
  }
  return {
    oid: file.oid,
    sizeBytes: file.sizeBytes,
    label: file.path,
    open: () => readVerified(handle, file),
    close: () => handle.close(),
  };
}

async function openFile(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') {
      throw fileError(cause, `cannot read ${path}`);
    }
    throw new DatamonError('MISMATCH', `the file to upload is gone: ${path}`, {
      cause,
      hint: 'Run: git lfs fsck, then push again.',
    });
  }
}

async function* readVerified(handle: FileHandle, file: AnnouncedFile): ByteStream {
  const hasher = createHasher();
  let position = 0;
  while (position < file.sizeBytes) {
    const length = Math.min(READ_SIZE_BYTES, file.sizeBytes - position);
    const bytes = await readExactly(handle, file, { position, length });
    hasher.update(bytes);
    position += length;
    if (position === file.sizeBytes && hasher.digest() !== file.oid) {
      throw changed(file, 'its content is no longer what its name says');
    }
    yield bytes;
  }
}

async function readExactly(
  handle: FileHandle,
  file: AnnouncedFile,
  range: { readonly position: number; readonly length: number },
): Promise<Uint8Array> {
  // A fresh buffer each time: what was yielded may still be in use.
  const buffer = Buffer.allocUnsafe(range.length);
  let filled = 0;
  while (filled < range.length) {
    const room = range.length - filled;
    const { bytesRead } = await handle
      .read(buffer, filled, room, range.position + filled)
      .catch((cause: unknown) => {
        throw fileError(cause, `cannot read ${file.path}`);
      });
    if (bytesRead === 0) throw changed(file, 'it became shorter while it was read');
    filled += bytesRead;
  }
  return buffer;
}

function changed(file: AnnouncedFile, why: string): DatamonError {
  return new DatamonError('MISMATCH', `${file.path} changed: ${why}; nothing was recorded`, {
    hint: 'Run: git lfs fsck, add the file again if it is named there, then push again.',
  });
}
