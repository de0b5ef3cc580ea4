/**
 * The bytes of a file. Promises: each buffer is the reader's to keep, unless lent, and no larger than what the file can fill; a file that grows or
 * shrinks meanwhile is read to where it ends. Errors are the system's own.
 */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { open } from 'node:fs/promises';
import type { ByteStream } from './bytes.ts';

const READ_SIZE_BYTES = 1024 * 1024;
/** Files up to this size are read at once, without a turn of the event loop for each call: ten times as fast where there are many. */
const AT_ONCE_SIZE_MAX_BYTES = 256 * 1024;

export interface FileStreamOptions {
  /** `lent`: one buffer, filled again for each turn. Default: each is the reader's to keep. */
  readonly buffers?: 'lent' | 'given' | undefined;
  /** With lent buffers: memory to put the next bytes in, asked for each time. What is yielded is then a view of its beginning. */
  readonly room?: (() => Uint8Array) | undefined;
  /** Whether a symbolic link may stand at the path. Default: yes. */
  readonly links?: 'followed' | 'refused';
}

export async function* fileStream(
  path: string | Buffer,
  options: FileStreamOptions = {},
): ByteStream {
  const flags = constants.O_RDONLY | (options.links === 'refused' ? constants.O_NOFOLLOW : 0);
  const { start, isWhole } = readAtOnce(path, flags);
  if (start.length > 0) yield start;
  if (isWhole) return;
  const file = await open(path, flags);
  try {
    const buffers = buffersOf(options);
    for (let at = start.length; ; ) {
      const buffer = buffers();
      const { bytesRead } = await file.read(buffer, 0, buffer.length, at);
      if (bytesRead === 0) return;
      yield buffer.subarray(0, bytesRead);
      at += bytesRead;
    }
  } finally {
    await file.close();
  }
}

function buffersOf({ buffers, room }: FileStreamOptions): () => Uint8Array {
  if (buffers !== 'lent') return () => Buffer.allocUnsafeSlow(READ_SIZE_BYTES);
  if (room !== undefined) return room;
  const lent = Buffer.allocUnsafeSlow(READ_SIZE_BYTES);
  return () => lent;
}

/** The whole of a small file, or how a larger one begins. */
function readAtOnce(
  path: string | Buffer,
  flags: number,
): { readonly start: Buffer; readonly isWhole: boolean } {
  const file = openSync(path, flags);
  try {
    // One more than there should be: reading fewer tells that the file ends there.
    const wanted = Math.min(fstatSync(file).size, AT_ONCE_SIZE_MAX_BYTES) + 1;
    const buffer = Buffer.allocUnsafeSlow(wanted);
    let length = 0;
    while (length < wanted) {
      const count = readSync(file, buffer, length, wanted - length, length);
      if (count === 0) break;
      length += count;
    }
    return { start: buffer.subarray(0, length), isWhole: length < wanted };
  } finally {
    closeSync(file);
  }
}
