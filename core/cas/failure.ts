/** Any failure as one that can be shown: an error of ours stays, anything else is wrapped and named. */
import { DatamonError } from '../errors.ts';
import type { BlobSource } from './blob-store.ts';

export function asDatamonError(
  error: unknown,
  source: Pick<BlobSource, 'oid' | 'label'>,
): DatamonError {
  if (error instanceof DatamonError) return error;
  const why = error instanceof Error ? error.message : String(error);
  return new DatamonError('UNAVAILABLE', `storing ${source.label ?? source.oid} failed: ${why}`, {
    cause: error,
  });
}
