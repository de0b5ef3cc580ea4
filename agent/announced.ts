/**
 * What will be asked for next, from those who know it exactly: the hook's list (`DATAMON_PUSH`), else the members of the
 * server's batch. Nothing is guessed: what the pushed ref does not reach is never uploaded.
 */
import { open } from 'node:fs/promises';
import { batchMembers } from '../client/batch-members.ts';
import { parseHasAnswer, type SizedOid } from '../core/meta/api-wire.ts';
import type { BatchAccess } from './routes.ts';

const LIST_SIZE_MAX_BYTES = 64 * 1024 * 1024;
const OTHERS_BITS = 0o077;

export interface AnnouncedOptions {
  /** `DATAMON_PUSH`: a file only its owner can read. */
  readonly listPath: string | undefined;
  readonly batch: BatchAccess | null;
  readonly signal: AbortSignal;
}

export async function announcedObjects(options: AnnouncedOptions): Promise<readonly SizedOid[]> {
  const { listPath, batch, signal } = options;
  if (listPath !== undefined && listPath !== '') return await readList(listPath);
  if (batch === null || batch.token === null) return [];
  return await batchMembers({ repoUrl: batch.repoUrl, token: batch.token, signal });
}

/** `{"objects":[{"oid":…,"size":…}]}`. A list others could have written is ignored. */
async function readList(path: string): Promise<readonly SizedOid[]> {
  const file = await open(path, 'r');
  try {
    const { mode, size } = await file.stat();
    if ((mode & OTHERS_BITS) !== 0 || size > LIST_SIZE_MAX_BYTES) return [];
    return parseHasAnswer(JSON.parse(await file.readFile('utf8')), path).objects;
  } finally {
    await file.close();
  }
}
