/** The data of HEAD: whether all of it can be had, and whether git holds bytes where it should hold pointers. */
import { formatCount } from '../client/format.ts';
import type { GitSha } from '../core/keys.ts';
import type { RawPath } from '../core/meta/model.ts';
import { displayPath } from '../core/meta/raw-path.ts';
import { storedOid } from '../core/meta/record.ts';
import { lfsTracked } from '../git/attributes.ts';
import { peelToCommit } from '../git/commit.ts';
import { openLfsStore } from '../git/lfs-store.ts';
import { pointersOfCommit } from '../git/pointers.ts';
import type { GitRepository } from '../git/repository.ts';
import { filesOfCommit } from '../git/tree.ts';
import type { Context } from './context.ts';
import { type Finding, finding } from './doctor-check.ts';
import { cloneRepoUrl } from './repo-address.ts';

const inClone = finding('clone');
/** Pointers of HEAD asked for in one go. */
const OID_BATCH_COUNT = 10_000;
const NO_COMMITS = 'no commits yet';

/** Files of HEAD whose bytes are neither here nor in the store. */
export async function dataFinding(context: Context, clone: GitRepository): Promise<Finding> {
  const head = await peelToCommit(clone.git, 'HEAD');
  if (head === null) return inClone('data', null, NO_COMMITS);
  if ((await cloneRepoUrl(clone)) === null) {
    return inClone('data', null, 'this clone’s data is not in datamon');
  }
  const { count, absent } = await absentFiles(context, clone, head);
  const [first] = absent;
  if (first === undefined) {
    return inClone('data', true, `${formatCount(count, 'file')} of HEAD can be had`);
  }
  return inClone(
    'data',
    false,
    `${formatCount(absent.length, 'file')} of HEAD are neither here nor in the store, such as ${first}`,
    { fix: 'git lfs fetch --all' },
  );
}

async function absentFiles(
  context: Context,
  clone: GitRepository,
  head: GitSha,
): Promise<{ readonly count: number; readonly absent: readonly string[] }> {
  const { blobs } = await context.repository();
  const store = await openLfsStore(clone);
  const absent: string[] = [];
  let count = 0;
  let batch = new Map<Parameters<typeof store.find>[0], string>();
  const ask = async (): Promise<void> => {
    const held = await blobs.has([...batch.keys()]);
    for (const [oid, path] of batch) if (!held.has(oid)) absent.push(path);
    batch = new Map();
  };
  for await (const entry of (await pointersOfCommit(clone, head)).entries) {
    const oid = entry.kind === 'lfs' ? storedOid(entry) : null;
    if (oid === null) continue;
    count += 1;
    if (store.find(oid, entry.sizeBytes) === null) batch.set(oid, displayPath(entry.path));
    if (batch.size >= OID_BATCH_COUNT) await ask();
  }
  if (batch.size > 0) await ask();
  return { count, absent };
}

/** Files that `.gitattributes` gives to LFS and whose bytes were committed into git itself: by a machine without git-lfs. */
export async function realDataFinding(clone: GitRepository): Promise<Finding> {
  const head = await peelToCommit(clone.git, 'HEAD');
  if (head === null) return inClone('real-data', null, NO_COMMITS);
  const pointers = new Set<RawPath>();
  for await (const { kind, path } of (await pointersOfCommit(clone, head)).entries) {
    if (kind === 'lfs') pointers.add(path);
  }
  const others: RawPath[] = [];
  for await (const { mode, sizeBytes, path } of filesOfCommit(clone.git, head)) {
    if (mode.startsWith('100') && sizeBytes !== 0 && !pointers.has(path)) others.push(path);
  }
  const tracked = await lfsTracked(clone, head, others);
  const [first] = tracked;
  if (first === undefined) {
    return inClone('real-data', true, 'git holds pointers, no data, for every LFS file');
  }
  const files = formatCount(tracked.size, 'LFS file');
  return inClone(
    'real-data',
    false,
    `git itself holds the bytes of ${files} of HEAD, such as ${displayPath(first)}; no bundle lists them`,
    { fix: 'git add --renormalize . && git commit -m "Pointers for LFS files"' },
  );
}
