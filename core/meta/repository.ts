/** The Repository port: one repo, however reached (straight on a store, or through a server). Hooks, CLI and pages are written against it. */
import type { CopyCount } from '../backend/healing.ts';
import type { BlobStore, PageStore } from '../cas/blob-store.ts';
import type { Digest } from '../digest.ts';
import type { GitSha, PushId, RepoName } from '../keys.ts';
import type {
  Announcement,
  BranchEvent,
  BundleDescriptor,
  LabelEvent,
  Lock,
  MoveOutcome,
  Numbered,
  RefMove,
  RepoInfo,
} from './model.ts';

export interface Repository {
  readonly name: RepoName;
  /** Where a person can look at it: the server's URL of the repo, or null without a server. */
  readonly webUrl: string | null;
  readonly blobs: BlobStore;
  readonly pages: PageStore;
  readonly history: History;
  readonly locks: Locks;
  /** How many places of the store have the bundle and all it needs; absent where there is one place, or it cannot be told. */
  readonly copies?: (bundle: Digest, commit: GitSha) => Promise<CopyCount>;
  /** Waits for background work (merging) and frees spool files. */
  close(): Promise<void>;
}

/** Bundles and the logs that name them. NOT_FOUND where a named thing is absent; reads of an unknown repo are NOT_FOUND. */
export interface History {
  info(): Promise<RepoInfo>;
  /**
   * Stores a descriptor whose pages are all durable (INCOMPLETE otherwise) and returns its digest. Idempotent. `treeIsStored`: the
   * caller stored the tree, or was told that it is, just now.
   */
  putBundle(
    descriptor: BundleDescriptor,
    known?: { readonly treeIsStored: boolean },
  ): Promise<Digest>;
  getBundle(bundle: Digest): Promise<BundleDescriptor>;
  /** Full digests of bundles starting with `prefix` (at least 4 hex digits), at most `limit`. */
  findBundles(prefix: string, limit: number): Promise<readonly Digest[]>;
  /** The newest bundle recorded for a commit, or null. */
  bundleOfCommit(commit: GitSha): Promise<Digest | null>;
  /** Commits with a bundle whose id starts with `prefix` (at least 4 hex digits), at most `limit`. */
  findCommits(prefix: string, limit: number): Promise<readonly GitSha[]>;
  /** The newest event of every branch, by name; deleted branches too (their bundle is null). */
  branches(): AsyncIterable<Numbered<BranchEvent>>;
  /** Events of one branch, newest first, those before `before` if given. Empty for an unknown branch. */
  branchLog(branch: string, before?: number): AsyncIterable<Numbered<BranchEvent>>;
  labels(): AsyncIterable<Numbered<LabelEvent>>;
  labelLog(label: string): AsyncIterable<Numbered<LabelEvent>>;
  /** Null removes it. */
  setLabel(label: string, bundle: Digest | null, by: string): Promise<void>;
  /** Writes `pending/<push id>/announced`. Nothing becomes visible. LOCKED where somebody else holds a lock on a changed path is the caller's check. */
  announce(announcement: Announcement): Promise<void>;
  /** Announced and not yet done, oldest first: costs a list of all pushes ever. With `only` that push alone, whatever there are. */
  pending(only?: PushId): AsyncIterable<Announcement>;
  /**
   * The remote ref moved: records commit and branch event, or the label of a tag. Idempotent: `already` where the branch's head is
   * at `gitNew`; `gap` where the head was not at `gitOld`. INCOMPLETE where the bundle is not stored.
   */
  recordMove(move: RefMove): Promise<MoveOutcome>;
  /** Writes `pending/<push id>/done`. */
  settle(push: PushId, outcome: 'confirmed' | 'abandoned'): Promise<void>;
}

export interface Locks {
  list(): Promise<readonly Lock[]>;
  /** LOCKED (with the holder in the message) where the path is held. */
  lock(request: {
    readonly path: string;
    readonly owner: string;
    readonly ref: string | null;
  }): Promise<Lock>;
  /** NOT_FOUND for an unknown id; FORBIDDEN where another owner holds it and `force` is false. */
  unlock(request: {
    readonly id: string;
    readonly owner: string;
    readonly force: boolean;
  }): Promise<Lock>;
}
