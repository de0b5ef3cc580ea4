/** What keeps one file of an upload from being stored, in words for whoever pushes. */
import type { PutOutcome } from '../core/cas/blob-store.ts';
import { DatamonError } from '../core/errors.ts';
import type { RecordAnswer } from '../core/meta/api-wire.ts';
import type { FileUpload } from './file-upload.ts';

/** What was read is another file. */
export function mismatch(upload: FileUpload, found: string): DatamonError {
  const { oid, sizeBytes } = upload.source;
  return new DatamonError(
    'MISMATCH',
    `${upload.label} is not what was announced: expected ${sizeBytes} bytes of ${oid}, read ${found}`,
    { hint: 'It changed while it was read. Run the push again.' },
  );
}

/** The server got it together, and would not have it. */
export function refused(upload: FileUpload, failure: RecordAnswer['failed'][number]): DatamonError {
  if (failure.code === 'MISMATCH') return mismatch(upload, `others: ${failure.message}`);
  return new DatamonError(failure.code, `${upload.label}: ${failure.message}`);
}

/** Reading failed. */
export function readError(upload: FileUpload, cause: unknown): DatamonError {
  if (cause instanceof DatamonError) return cause;
  const { code, message } = cause as NodeJS.ErrnoException;
  const isAbsent = code === 'ENOENT';
  return new DatamonError(
    isAbsent ? 'NOT_FOUND' : 'UNAVAILABLE',
    `cannot read ${upload.label}: ${isAbsent ? 'it is not there' : message}`,
    { cause },
  );
}

/** The outcome of a file that the server does not get together. */
export function notTaken(upload: FileUpload, answer: RecordAnswer): PutOutcome {
  const { oid } = upload.source;
  const count = answer.missing.length;
  const message = `${upload.label}: the server still misses ${count} chunks after they were sent`;
  const hint = 'Run the push again; if this stays, run: datamon doctor';
  return { oid, error: new DatamonError('INCOMPLETE', message, { hint }) };
}
