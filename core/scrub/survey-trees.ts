/**
 * Walks every tree that a log names, each distinct page once, and finds what of it does not read: which files of which bundles are
 * concerned by damage, and which a bundle lists though no record has them.
 */
import { collect } from '../bytes.ts';
import { FRAME_RAW_SIZE_MAX_BYTES } from '../cas/frame.ts';
import type { RecordKind } from '../cas/segment-tables.ts';
import type { Digest } from '../digest.ts';
import { hasCode } from '../errors.ts';
import type { Entry, RawPath } from '../meta/model.ts';
import { displayPath } from '../meta/raw-path.ts';
import { storedOid } from '../meta/record.ts';
import { isLeaf, type PageReference, type TreePage } from '../meta/tree-page.ts';
import { type PageSource, readChild, readRoot } from '../meta/tree-reader.ts';
import { BUNDLES_SHOWN_MAX } from './finding.ts';
import { countsAsAbsent, type NamedTree, type RepoSurvey, wantedName } from './survey.ts';

/** A file or page that is broken or absent, and where it is missed. */
export interface Troubled {
  readonly kind: RecordKind;
  readonly oid: Digest;
  readonly sizeBytes: number;
  /** For people: a file's first path; of a page the paths it lists. */
  readonly path: string;
}

export interface Trouble extends Troubled {
  /** The first few trees it is missed in. */
  readonly trees: NamedTree[];
  treeCount: number;
}

/** What lies below one page; more than so much is counted by what is shown of it. */
const TROUBLED_COUNT_MAX = 10_000;
const NOTHING: readonly Troubled[] = [];

/** By kind and oid. What is absent is also noted in the repo's survey. */
export async function surveyTrees(
  repo: RepoSurvey,
  onRead: (sizeBytes: number) => void,
): Promise<ReadonlyMap<string, Trouble>> {
  const walk = new TreeWalk(repo, onRead);
  const troubles = new Map<string, Trouble>();
  const owed = new Set<Digest>();
  for (const named of repo.trees.values()) {
    if (named.tree === null) continue;
    for (const each of await walk.root(named.tree)) {
      const name = wantedName(each.kind, each.oid);
      const trouble = troubles.get(name) ?? { ...each, trees: [], treeCount: 0 };
      troubles.set(name, trouble);
      trouble.treeCount += 1;
      if (named.missing?.has(each.oid) !== true) owed.add(each.oid);
      if (trouble.trees.length < BUNDLES_SHOWN_MAX) trouble.trees.push(named);
    }
  }
  await recheck(repo);
  excuse(repo, owed);
  return troubles;
}

/** What no push that listed it claimed to have brought is nobody's damage. */
function excuse({ absent, excused }: RepoSurvey, owed: ReadonlySet<Digest>): void {
  for (const { kind, oid } of absent.values()) {
    if (kind === 'blob' && !owed.has(oid)) excused.add(oid);
  }
}

/** What seemed absent may have been merged meanwhile: it is asked for once more, by a new listing. */
async function recheck(repo: RepoSurvey): Promise<void> {
  if (repo.absent.size === 0) return;
  await repo.index.refresh();
  for (const [name, { oid, kind }] of repo.absent) {
    const records = (await repo.index.peek([oid], kind)).get(oid) ?? [];
    if (records.some((record) => !countsAsAbsent(record, repo.pool))) repo.absent.delete(name);
  }
}

class TreeWalk {
  readonly #repo: RepoSurvey;
  readonly #pages: PageSource;
  readonly #done = new Map<Digest, readonly Troubled[]>();

  constructor(repo: RepoSurvey, onRead: (sizeBytes: number) => void) {
    this.#repo = repo;
    this.#pages = {
      getPage: async (digest) => {
        const page = await collect(repo.reader.read(digest, 'page'), FRAME_RAW_SIZE_MAX_BYTES);
        onRead(page.length);
        return page;
      },
    };
  }

  root(digest: Digest): Promise<readonly Troubled[]> {
    const whole = {
      kind: 'page',
      oid: digest,
      sizeBytes: 0,
      path: 'the list of all files',
    } as const;
    return this.#once(whole, () => readRoot(this.#pages, digest));
  }

  #child(child: PageReference, level: number): Promise<readonly Troubled[]> {
    const { digest, firstPath, fileCount, sizeBytes } = child;
    const path = `the list of ${fileCount} files from ${displayPath(firstPath)} on`;
    const listing = { kind: 'page', oid: digest, sizeBytes, path } as const;
    return this.#once(listing, () => readChild(this.#pages, child, level));
  }

  async #once(listing: Troubled, read: () => Promise<TreePage>): Promise<readonly Troubled[]> {
    const known = this.#done.get(listing.oid);
    if (known !== undefined) return known;
    const found: Troubled[] = [];
    if (this.#repo.broken.has(wantedName('page', listing.oid))) found.push(listing);
    try {
      await this.#below(await read(), found);
    } catch (error) {
      if (!hasCode(error, 'CORRUPT') && !hasCode(error, 'NOT_FOUND')) throw error;
      if (found.length === 0) this.#miss(listing, found);
    }
    const result = found.length === 0 ? NOTHING : found.slice(0, TROUBLED_COUNT_MAX);
    this.#done.set(listing.oid, result);
    return result;
  }

  async #below(page: TreePage, found: Troubled[]): Promise<void> {
    if (isLeaf(page)) return await this.#files(page.entries, found);
    for (const child of page.children) {
      const below = await this.#child(child, page.level - 1);
      if (found.length < TROUBLED_COUNT_MAX) found.push(...below);
    }
  }

  async #files(entries: readonly Entry[], found: Troubled[]): Promise<void> {
    const files = new Map<Digest, { readonly path: RawPath; readonly sizeBytes: number }>();
    for (const entry of entries) {
      const oid = storedOid(entry);
      if (oid !== null && !files.has(oid)) files.set(oid, entry);
    }
    const records = await this.#repo.index.peek([...files.keys()], 'blob');
    for (const [oid, { path, sizeBytes }] of files) {
      const file = { kind: 'blob', oid, sizeBytes, path: displayPath(path) } as const;
      const isHeld = (records.get(oid) ?? []).some(
        (each) => !countsAsAbsent(each, this.#repo.pool),
      );
      if (!isHeld) this.#miss(file, found);
      else if (this.#repo.broken.has(wantedName('blob', oid))) found.push(file);
    }
  }

  #miss(wanted: Troubled, found: Troubled[]): void {
    found.push(wanted);
    const { kind, oid, sizeBytes } = wanted;
    this.#repo.absent.set(wantedName(kind, oid), { kind, oid, sizeBytes });
  }
}
