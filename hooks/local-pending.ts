/** Pushes of this clone that are announced and not yet confirmed: one private file each, removed once the remote's refs were seen. */
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Digest } from '../core/digest.ts';
import type { GitSha, PushId } from '../core/keys.ts';
import type { PushReceipt, TreeTotals } from '../core/meta/model.ts';
import { randomHex, secureRandom } from '../core/random.ts';
import { pendingFolder } from '../git/own-folder.ts';
import type { GitRepository } from '../git/repository.ts';

export interface PendingRef {
  /** Full name on the remote. */
  readonly ref: string;
  /** Remote-tracking ref that git moves when the push took; null where there is none. */
  readonly tracking: string | null;
  /** Commits, tags peeled. `gitNew` null: the ref is deleted. */
  readonly gitOld: GitSha | null;
  readonly gitNew: GitSha | null;
  /** What the ref itself will hold: a tag's own id. */
  readonly tip: GitSha | null;
  /** Null with `gitNew`. */
  readonly bundle: Digest | null;
  readonly base: Digest | null;
  readonly totals: TreeTotals;
  readonly extraOids: Digest | null;
  readonly missing: readonly Digest[];
  readonly forced: boolean;
  readonly receipt: PushReceipt;
  /** No data changed: nothing is printed. */
  readonly isQuiet: boolean;
}

export interface LocalPending {
  readonly version: 1;
  readonly pushId: PushId;
  readonly remoteName: string;
  /** Where git pushed to, to ask it again. */
  readonly remoteUrl: string;
  /** Normalised. */
  readonly remote: string;
  /** LFS endpoint of the store or server. */
  readonly lfsUrl: string;
  /** True where the store knows of it too. */
  readonly isAnnounced: boolean;
  readonly pushedBy: string;
  readonly createdAtMs: number;
  /** The `git push` it belongs to, null where that is not known. */
  readonly gitPid: number | null;
  /** Those not confirmed yet. */
  readonly refs: readonly PendingRef[];
}

export const pendingFile = (repo: GitRepository, push: PushId): string =>
  join(pendingFolder(repo), `${push}.json`);

export async function writePending(repo: GitRepository, pending: LocalPending): Promise<void> {
  await mkdir(pendingFolder(repo), { recursive: true, mode: 0o700 });
  const file = pendingFile(repo, pending.pushId);
  const temp = `${file}.${randomHex(secureRandom, 4)}`;
  await writeFile(temp, JSON.stringify(pending), { mode: 0o600, flag: 'wx' });
  await rename(temp, file);
}

export async function removePending(repo: GitRepository, push: PushId): Promise<void> {
  await rm(pendingFile(repo, push), { force: true });
}

export async function readPending(repo: GitRepository, push: PushId): Promise<LocalPending | null> {
  const text = await readFile(pendingFile(repo, push), 'utf8').catch(() => null);
  return text === null ? null : parsePending(text);
}

/** All, oldest first. What is not readable (a newer version's, a crash's) is left alone. */
export async function listPending(repo: GitRepository): Promise<readonly LocalPending[]> {
  const names = await readdir(pendingFolder(repo)).catch(() => []);
  const found: LocalPending[] = [];
  for (const name of names) {
    if (!/^[0-9a-f]{32}\.json$/.test(name)) continue;
    const pending = await readPending(repo, name.slice(0, 32) as PushId);
    if (pending !== null) found.push(pending);
  }
  return found.sort((a, b) => a.createdAtMs - b.createdAtMs);
}

/** Takes one ref out of a pending push; true where it was the last. */
export async function dropRef(
  repo: GitRepository,
  push: PushId,
  ref: string,
): Promise<{ readonly isLast: boolean }> {
  const pending = await readPending(repo, push);
  if (pending === null) return { isLast: true };
  const refs = pending.refs.filter((each) => each.ref !== ref);
  if (refs.length === 0) return { isLast: true };
  await writePending(repo, { ...pending, refs });
  return { isLast: false };
}

function parsePending(text: string): LocalPending | null {
  try {
    const value = JSON.parse(text) as LocalPending;
    return value.version === 1 && Array.isArray(value.refs) ? value : null;
  } catch {
    return null;
  }
}
