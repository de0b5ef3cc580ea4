/**
 * Trees of commits as this clone's pushes recorded them, so that the next push can tell its tree by what changed. A cache in the
 * clone: a function of commits and rules, so true of every store, and nobody's only copy.
 */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Digest, isDigest } from '../core/digest.ts';
import { type GitSha, isGitSha } from '../core/keys.ts';
import { randomHex, secureRandom } from '../core/random.ts';
import { ownFolder } from './own-folder.ts';
import type { GitRepository } from './repository.ts';

export interface KnownTree {
  readonly commit: GitSha;
  /** Root page of the bundle's tree. */
  readonly tree: Digest;
  /** What decided which files it lists. */
  readonly recorder: number;
  readonly config: Digest | null;
  readonly lfsCount: number;
}

/** Branches that one clone pushes by turns. */
const KEPT_COUNT = 16;

const fileOf = (repo: GitRepository): string => join(ownFolder(repo), 'known-trees.json');

/** Null where it is not known, or the cache does not read. */
export async function knownTree(repo: GitRepository, commit: GitSha): Promise<KnownTree | null> {
  return (await readAll(repo)).find((known) => known.commit === commit) ?? null;
}

/** Failing to remember costs the next push some time and nothing else. */
export async function rememberTree(repo: GitRepository, known: KnownTree): Promise<void> {
  const others = (await readAll(repo)).filter(({ commit }) => commit !== known.commit);
  const trees = [known, ...others].slice(0, KEPT_COUNT);
  const file = fileOf(repo);
  const temp = `${file}.${randomHex(secureRandom, 4)}`;
  try {
    await mkdir(ownFolder(repo), { recursive: true });
    await writeFile(temp, JSON.stringify({ version: 1, trees }), { mode: 0o600, flag: 'wx' });
    await rename(temp, file);
  } catch {
    // A full disk, or a clone of somebody else's.
  }
}

async function readAll(repo: GitRepository): Promise<readonly KnownTree[]> {
  try {
    const { version, trees } = JSON.parse(await readFile(fileOf(repo), 'utf8'));
    return version === 1 && Array.isArray(trees) ? trees.filter(isKnownTree) : [];
  } catch {
    return [];
  }
}

function isKnownTree(value: unknown): value is KnownTree {
  const { commit, tree, recorder, config, lfsCount } = (value ?? {}) as Partial<KnownTree>;
  const counts = [recorder, lfsCount];
  const isOfRules = config === null || isDigest(config);
  return isGitSha(commit) && isDigest(tree) && isOfRules && counts.every(Number.isSafeInteger);
}
