/** Where `fsck --repair` looks for what the store lost: a folder that was named, and the clone we stand in. */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { ByteStream } from '../core/bytes.ts';
import type { Digest } from '../core/digest.ts';
import { DatamonError } from '../core/errors.ts';
import type { GitSha } from '../core/keys.ts';
import type { RepairSources } from '../core/scrub/remake.ts';
import { TRUE_OBJECTS } from '../git/commit.ts';
import { openLfsStore, readLfsObject } from '../git/lfs-store.ts';
import type { BlobCache } from '../git/pointers.ts';
import { type RemadeCommit, remakeBundle } from '../git/remake-bundle.ts';
import type { GitRepository } from '../git/repository.ts';
import type { Context } from './context.ts';

type Opener = (() => ByteStream) | null;

/** Commits that are read for the files git itself holds, per file. */
const COMMITS_TRIED_MAX = 3;

export async function repairSources(
  context: Context,
  from: string | undefined,
): Promise<RepairSources> {
  const folder = from === undefined ? null : await folderOf(resolve(context.io.cwd, from));
  const clone = await context.clone();
  const inClone = clone === null ? null : await openClone(clone);
  const names = [from, clone === null ? undefined : 'this clone'].filter(
    (name) => name !== undefined,
  );
  return {
    name: names.length === 0 ? 'nowhere' : names.join(' and '),
    file: async (oid, sizeBytes, commits) =>
      (folder === null ? null : await inFolder(folder, oid, sizeBytes)) ??
      (await inClone?.file(oid, sizeBytes, commits)) ??
      null,
    bundle: async (commit) => (await inClone?.commit(commit)) ?? null,
  };
}

async function folderOf(path: string): Promise<string> {
  if ((await stat(path).catch(() => null))?.isDirectory()) return path;
  throw new DatamonError('NOT_FOUND', `--from: ${path} is no folder`, {
    hint: 'Name a folder laid out as .git/lfs/objects: 12/34/1234…',
  });
}

async function inFolder(folder: string, oid: Digest, sizeBytes: number): Promise<Opener> {
  const path = join(folder, oid.slice(0, 2), oid.slice(2, 4), oid);
  const found = await stat(path).catch(() => null);
  return found?.isFile() && found.size === sizeBytes ? () => createReadStream(path) : null;
}

async function openClone(clone: GitRepository) {
  const lfs = await openLfsStore(clone);
  const cache: BlobCache = new Map();
  // The newest commit read stays at hand: a lost pack holds many files of one commit.
  let last: { readonly commit: GitSha; readonly made: RemadeCommit | null } | null = null;
  const commit = async (wanted: GitSha): Promise<RemadeCommit | null> => {
    if (last?.commit !== wanted) {
      last = { commit: wanted, made: await remakeBundle(clone, wanted, cache) };
    }
    return last.made;
  };
  const file = async (
    oid: Digest,
    sizeBytes: number,
    commits: readonly GitSha[],
  ): Promise<Opener> => {
    const path = lfs.find(oid, sizeBytes);
    if (path !== null) return () => readLfsObject(path, oid);
    for (const each of commits.slice(0, COMMITS_TRIED_MAX)) {
      const sha = (await commit(each))?.gitBlobs.get(oid);
      if (sha === undefined) continue;
      return () => clone.git.stream(['cat-file', 'blob', sha], { env: TRUE_OBJECTS });
    }
    return null;
  };
  return { commit, file };
}
