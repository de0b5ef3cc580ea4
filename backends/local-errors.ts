/** What a file system's error means to the caller of a backend. One table, so that no call site decides by itself. */
import { DatamonError, type ErrorCode } from '../core/errors.ts';

/** What was being done: some errors mean different things to a reader and to a writer. */
export type Doing = 'read' | 'write';

interface Meaning {
  readonly code: ErrorCode;
  readonly why: string;
  readonly hint?: string;
}

const NO_SPACE_HINT =
  'Free space there or raise the quota, then run the same command again; nothing stored is lost.';
const FORBIDDEN_HINT = 'Check who owns the store and how it is mounted: datamon doctor';
const OPEN_FILES_HINT = 'Raise the limit of open files (ulimit -n) or do less at once.';

const MEANINGS: { readonly [code: string]: Meaning } = {
  ENOSPC: { code: 'NO_SPACE', why: 'the disk is full', hint: NO_SPACE_HINT },
  EDQUOT: { code: 'NO_SPACE', why: 'the disk quota is used up', hint: NO_SPACE_HINT },
  EFBIG: { code: 'NO_SPACE', why: 'the file would exceed a size limit', hint: NO_SPACE_HINT },
  EACCES: { code: 'FORBIDDEN', why: 'permission denied', hint: FORBIDDEN_HINT },
  EPERM: { code: 'FORBIDDEN', why: 'the system does not permit it', hint: FORBIDDEN_HINT },
  EROFS: { code: 'FORBIDDEN', why: 'the file system is read-only', hint: FORBIDDEN_HINT },
  ENOENT: { code: 'NOT_FOUND', why: 'it does not exist' },
  ENOTDIR: { code: 'INVALID', why: 'a file stands where a folder is needed' },
  EISDIR: { code: 'INVALID', why: 'a folder stands where a file is needed' },
  ENAMETOOLONG: { code: 'INVALID', why: 'the name is too long for this file system' },
  ELOOP: { code: 'CORRUPT', why: 'a symbolic link stands where an object should' },
  EXDEV: { code: 'UNSUPPORTED', why: 'the store is spread over several file systems' },
  EMFILE: { code: 'UNAVAILABLE', why: 'too many files are open', hint: OPEN_FILES_HINT },
  ENFILE: { code: 'UNAVAILABLE', why: 'too many files are open', hint: OPEN_FILES_HINT },
};

/** The disk cannot give these bytes: no retry helps, another copy may. A writer may try again, in a new file. */
const READ_FAILED: Meaning = { code: 'CORRUPT', why: 'the disk cannot read it' };

/** What a writer made or found a moment ago is gone: swept or deleted under it. In a new try it is made again. */
const REMOVED: Meaning = { code: 'UNAVAILABLE', why: 'it was removed while it was in use' };

const BY_DOING: { readonly [doing in Doing]: { readonly [code: string]: Meaning } } = {
  read: { EIO: READ_FAILED },
  write: { ENOENT: REMOVED },
};

/** Everything unlisted may pass: EAGAIN, EBUSY, EINTR, EIO of a writer, ENOMEM, ESTALE, ETIMEDOUT and their kind. */
export function localError(doing: Doing, path: string, error: unknown): DatamonError {
  if (error instanceof DatamonError) return error;
  const system = systemCode(error);
  const known = BY_DOING[doing][system] ?? MEANINGS[system];
  const { code, why, hint } = known ?? { code: 'UNAVAILABLE', why: 'the system failed' };
  return new DatamonError(code, `cannot ${doing} ${path}: ${why}${system && ` (${system})`}`, {
    cause: error,
    ...(hint === undefined ? {} : { hint }),
  });
}

/** ENOENT and its kind, or the empty string for what is no system error. */
export function systemCode(error: unknown): string {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  return typeof code === 'string' ? code : '';
}

/** The outcome of one system call, its error translated. */
export async function guarded<T>(doing: Doing, path: string, call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    throw localError(doing, path, error);
  }
}
