/**
 * What a REF stands for: the tree of a bundle, or of a commit of this clone that has no bundle (its tree is then worked out
 * from git's pointers, and looks the same). Trees of both kinds can be listed and compared with each other.
 */
import type { Digest } from '../core/digest.ts';
import { DatamonError, hasCode } from '../core/errors.ts';
import type { GitSha } from '../core/keys.ts';
import type { Entry, RawPath, TreeTotals } from '../core/meta/model.ts';
import { LATEST } from '../core/meta/ref-text.ts';
import type { Repository } from '../core/meta/repository.ts';
import { resolveRef } from '../core/meta/resolve.ts';
import { buildTree } from '../core/meta/tree-builder.ts';
import {
  type FolderListing,
  findEntry,
  listFolder,
  type PageSource,
} from '../core/meta/tree-reader.ts';
import { peelToCommit, readCommit } from '../git/commit.ts';
import { pointersOfCommit } from '../git/pointers.ts';
import type { GitRepository } from '../git/repository.ts';
import type { Context } from './context.ts';

export interface Snapshot {
  /** As it was asked for. */
  readonly ref: string;
  /** Null for a commit of this clone without a bundle. */
  readonly bundle: Digest | null;
  readonly commit: GitSha;
  readonly commitObject: Buffer;
  readonly root: Digest;
  readonly totals: TreeTotals;
}

export class Snapshots {
  readonly repository: Repository;
  readonly #clone: GitRepository | null;
  /** Pages of trees that only this clone knows. */
  readonly #localPages = new Map<Digest, Uint8Array>();

  private constructor(repository: Repository, clone: GitRepository | null) {
    this.repository = repository;
    this.#clone = clone;
  }

  static async open(context: Context): Promise<Snapshots> {
    const repository = await context.repository();
    // Another repo's refs have nothing to do with this clone's commits.
    const { source } = await context.address();
    return new Snapshots(repository, source === 'this clone' ? await context.clone() : null);
  }

  /** Where pages of every snapshot opened here are read from. */
  readonly pages: PageSource = {
    getPage: async (digest) =>
      this.#localPages.get(digest) ?? (await this.repository.pages.getPage(digest)),
  };

  /** NOT_FOUND names the ref; an ambiguous prefix is INVALID and lists what it could be. */
  async at(ref: string): Promise<Snapshot> {
    try {
      const { bundle } = await resolveRef(this.repository, ref, { now: new Date() });
      return await this.#ofBundle(ref, bundle);
    } catch (error) {
      if (!hasCode(error, 'NOT_FOUND') || this.#clone === null) throw error;
      const commit = await peelToCommit(this.#clone.git, ref);
      if (commit === null) throw error;
      return this.#ofCommit(this.#clone, ref, commit);
    }
  }

  /** What is meant where no REF was given: HEAD in a clone, else the newest push. */
  async byDefault(): Promise<Snapshot> {
    return this.at(this.#clone === null ? LATEST : 'HEAD');
  }

  find(snapshot: Snapshot, path: RawPath): Promise<Entry | null> {
    return findEntry(this.pages, snapshot.root, path);
  }

  folder(snapshot: Snapshot, path: RawPath | ''): Promise<FolderListing | null> {
    return listFolder(this.pages, snapshot.root, path);
  }

  async #ofBundle(ref: string, bundle: Digest): Promise<Snapshot> {
    const descriptor = await this.repository.history.getBundle(bundle);
    return {
      ref,
      bundle,
      commit: descriptor.commit,
      commitObject: Buffer.from(descriptor.commitObject, 'base64'),
      root: descriptor.tree,
      totals: descriptor.totals,
    };
  }

  async #ofCommit(clone: GitRepository, ref: string, commit: GitSha): Promise<Snapshot> {
    const bundle = await this.repository.history.bundleOfCommit(commit);
    if (bundle !== null) return this.#ofBundle(ref, bundle);
    const content = await pointersOfCommit(clone, commit);
    const tree = await buildTree(content.entries);
    for (const page of tree.pages) this.#localPages.set(page.digest, page.bytes);
    return {
      ref,
      bundle: null,
      commit,
      commitObject: await readCommit(clone.git, commit),
      root: tree.root,
      totals: tree.totals,
    };
  }
}

export const noSuchPath = (snapshot: Snapshot, path: string): DatamonError =>
  new DatamonError('NOT_FOUND', `${snapshot.ref} has no ${path}`, {
    hint: `See what it has: datamon ls ${snapshot.ref}`,
  });
