/**
 * Which files of a commit belong to LFS by its own `.gitattributes`. Needed for empty files, whose pointer is an empty blob.
 * Asked in a throw-away git folder, so that neither this machine's attributes nor the user's index have a say.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { GitSha } from '../core/keys.ts';
import type { RawPath } from '../core/meta/model.ts';
import { rawPathFromBytes, rawPathToBytes } from '../core/meta/raw-path.ts';
import { TRUE_OBJECTS } from './commit.ts';
import { ownFolder } from './own-folder.ts';
import type { GitRepository } from './repository.ts';

/** Those of `paths` that `commit` keeps in LFS. */
export async function lfsTracked(
  repo: GitRepository,
  commit: GitSha,
  paths: readonly RawPath[],
): Promise<ReadonlySet<RawPath>> {
  if (paths.length === 0) return new Set();
  await mkdir(ownFolder(repo), { recursive: true });
  const folder = await mkdtemp(join(ownFolder(repo), 'tmp-'));
  try {
    const env = await throwAwayGit(repo, folder, commit);
    await repo.git.bytes(['read-tree', commit], { env });
    const input = Buffer.concat(paths.flatMap((path) => [rawPathToBytes(path), Buffer.alloc(1)]));
    const answer = await repo.git.bytes(
      ['-c', 'core.attributesFile=', 'check-attr', '--cached', '--stdin', '-z', 'filter'],
      { env, input },
    );
    return parseAnswer(answer);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function throwAwayGit(
  repo: GitRepository,
  folder: string,
  commit: GitSha,
): Promise<Record<string, string | undefined>> {
  const sha256 = commit.length === 64;
  const format = sha256
    ? '[core]\n\trepositoryformatversion = 1\n\tbare = true\n[extensions]\n\tobjectFormat = sha256\n'
    : '[core]\n\trepositoryformatversion = 0\n\tbare = true\n';
  await writeFile(join(folder, 'HEAD'), 'ref: refs/heads/none\n');
  await writeFile(join(folder, 'config'), format);
  await mkdir(join(folder, 'refs'));
  return {
    ...TRUE_OBJECTS,
    GIT_DIR: folder,
    GIT_WORK_TREE: undefined,
    GIT_OBJECT_DIRECTORY: join(repo.commonDir, 'objects'),
    GIT_INDEX_FILE: join(folder, 'index'),
    GIT_ATTR_NOSYSTEM: '1',
  };
}

/** `path NUL attribute NUL value NUL`, over and over. */
function parseAnswer(answer: Buffer): ReadonlySet<RawPath> {
  const fields: Buffer[] = [];
  for (let start = 0, end = answer.indexOf(0); end >= 0; end = answer.indexOf(0, start)) {
    fields.push(answer.subarray(start, end));
    start = end + 1;
  }
  const tracked = new Set<RawPath>();
  for (let index = 0; index + 2 < fields.length; index += 3) {
    const [path, , value] = fields.slice(index, index + 3);
    if (path !== undefined && value?.toString('latin1') === 'lfs') {
      tracked.add(rawPathFromBytes(path));
    }
  }
  return tracked;
}
