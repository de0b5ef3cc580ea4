/** Makes lost pages and bundles anew from git. Promise: a damaged bundle gives way only to the very bytes its key names. */
import { type Backend, bytesBody } from '../backend/backend.ts';
import type { ByteStream } from '../bytes.ts';
import type { PageStore } from '../cas/blob-store.ts';
import type { Digest } from '../digest.ts';
import { bundleKey, type GitSha, type Key, type RepoName } from '../keys.ts';
import { encodeBundle } from '../meta/bundle.ts';
import type { BundleDescriptor } from '../meta/model.ts';
import type { Finding } from './finding.ts';
import type { Scrub } from './scrub.ts';
import type { NamedTree, RepoSurvey } from './survey.ts';

/** Where lost things may be found outside of the store. */
export interface RepairSources {
  /** For messages: `this clone`, `/mnt/objects`. */
  readonly name: string;
  /** A file of this size that should have this oid, or null. `commits` are some that list it. */
  file(
    oid: Digest,
    sizeBytes: number,
    commits: readonly GitSha[],
  ): Promise<(() => ByteStream) | null>;
  /** What recording the commit makes, or null where that cannot be told. */
  bundle(commit: GitSha): Promise<RemadeBundle | null>;
}

export interface RemadeBundle {
  readonly descriptor: BundleDescriptor;
  /** Children before parents. */
  readonly pages: readonly Uint8Array[];
}

export interface RepairAction {
  readonly did:
    | 'healed'
    | 'copied out'
    | 'rebuilt'
    | 'sent again'
    | 'made from git'
    | 'condemned'
    | 'left';
  readonly key: Key | null;
  readonly repo: string | null;
  /** In a sentence. */
  readonly message: string;
}

interface RemakeOptions {
  readonly scrub: Scrub;
  readonly findings: readonly Finding[];
  readonly sources: RepairSources;
}

export async function* remake(
  options: RemakeOptions,
  repo: RepoSurvey,
  pages: Pick<PageStore, 'putPages'>,
): AsyncGenerator<RepairAction> {
  const bad = badBundles(options, repo);
  for (const named of new Set([...bad, ...treesWithoutPages(options, repo)])) {
    const { bundle, commit } = named;
    if (bundle === null || commit === null) continue;
    const made = await options.sources.bundle(commit);
    const shown = commit.slice(0, 12);
    if (made === null) continue;
    const { bundle: madeBundle, bytes } = encodeBundle(made.descriptor);
    if (madeBundle !== bundle) {
      const message = `commit ${shown} makes another bundle now, by other rules: the lost one cannot be made again`;
      yield { did: 'left', key: bundleKey(repo.name, bundle), repo: repo.name, message };
      continue;
    }
    await pages.putPages(made.pages);
    if (bad.has(named)) {
      await replaceBundle(options.scrub.survey.backend, repo.name, { bundle, bytes });
    }
    const message = `the bundle of commit ${shown} was made again from ${options.sources.name}`;
    yield { did: 'made from git', key: bundleKey(repo.name, bundle), repo: repo.name, message };
  }
}

/** The bytes hash to the key's own digest, so no other object could rightly stand there. */
async function replaceBundle(
  backend: Backend,
  repo: RepoName,
  { bundle, bytes }: { readonly bundle: Digest; readonly bytes: Uint8Array },
): Promise<void> {
  const key = bundleKey(repo, bundle);
  await backend.remove(key);
  await backend.putIfAbsent(key, bytesBody(bytes));
}

function badBundles({ findings }: RemakeOptions, repo: RepoSurvey): Set<NamedTree> {
  const bad = new Set<NamedTree>();
  for (const { kind, state, bundles, repo: name } of findings) {
    if (kind !== 'bundle' || name !== repo.name || state === 'newer') continue;
    for (const { bundle } of bundles) {
      const named = repo.trees.get(bundle);
      if (named !== undefined) bad.add(named);
    }
  }
  return bad;
}

/** Trees of which a page does not read, the newest few of each page: one of them brings it back for all. */
function treesWithoutPages({ scrub }: RemakeOptions, repo: RepoSurvey): readonly NamedTree[] {
  return [...(scrub.troubles.get(repo)?.values() ?? [])]
    .filter(({ kind }) => kind === 'page')
    .flatMap(({ trees }) => trees);
}
