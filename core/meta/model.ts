/** What bundles, branches, labels and pushes are made of. Types only; the bytes are in docs/format.md. */
import type { Digest } from '../digest.ts';
import type { GitSha, PushId } from '../keys.ts';

/** A path exactly as git has it: each char of the string is one byte, so comparing strings compares bytes. See `raw-path.ts`. */
export type RawPath = string & { readonly __brand: 'RawPath' };

export type EntryKind = 'lfs' | 'git' | 'symlink' | 'submodule' | 'directory' | 'external';

/** One file of a bundle. */
export interface Entry {
  readonly path: RawPath;
  readonly kind: EntryKind;
  readonly executable: boolean;
  /** SHA-256 of the bytes: the LFS oid, or the digest of a git blob's or a symlink target's bytes. Null for submodule, directory. */
  readonly oid: Digest | null;
  readonly sizeBytes: number;
  /** Symlink: its target. Submodule: its commit. External: a URL. */
  readonly reference?: string;
}

export interface TreeTotals {
  readonly fileCount: number;
  readonly sizeBytes: number;
}

/** Immutable view of a repo at a commit; named by the digest of its canonical JSON. A function of commit and rules only. */
export interface BundleDescriptor {
  /** Root page. */
  readonly tree: Digest;
  readonly totals: TreeTotals;
  readonly commit: GitSha;
  /** The raw git commit object, base64; or of a synthetic commit of the same shape. */
  readonly commitObject: string;
  readonly rules: BundleRules;
  /** Names of `ext-` lines seen in pointers, sorted. */
  readonly pointerExtensions: readonly string[];
}

export interface BundleRules {
  /** Version of the recorder that decided what is listed. */
  readonly recorder: number;
  /** Digest of `.datamon.yaml` in the commit's tree, null without one. */
  readonly config: Digest | null;
}

/** What one push cost, as printed and as kept in the branch log. Sizes in bytes. */
export interface PushReceipt {
  readonly newBytes: number;
  /** Of these, what an interrupted push had stored already. */
  readonly resumedBytes: number;
  readonly storedBytes: number;
  readonly packCount: number;
  readonly requestCount: number;
  readonly durationMs: number;
  /** Bundle that most of the reused bytes are in, where known. */
  readonly reusedFrom: Digest | null;
  /** False where it was worked out afterwards from the recipes: the push itself was not seen. */
  readonly measured: boolean;
}

/** One event of a branch: the remote ref moved. */
export interface BranchEvent {
  /** The branch's name: `main`, or `~<remote id>/main` for other remotes than the canonical one. */
  readonly branch: string;
  /** Null when the branch was deleted. */
  readonly bundle: Digest | null;
  readonly gitOld: GitSha | null;
  readonly gitNew: GitSha | null;
  readonly totals: TreeTotals;
  /** Root page of a tree listing the oids that commits between old and new introduced and the tip no longer has; paths are oids. */
  readonly extraOids: Digest | null;
  /** Oids the bundle lists that this repo does not hold. */
  readonly missing: readonly Digest[];
  readonly pushId: PushId;
  /** `Name <mail>` as git has it, or the token's subject. */
  readonly pushedBy: string;
  /** RFC 3339, by the store's clock. */
  readonly pushedAt: string;
  readonly receipt: PushReceipt;
  /** True where the entry does not follow its predecessor's `gitNew`. */
  readonly gap: boolean;
  /** True where gitOld is no ancestor of gitNew. */
  readonly forced: boolean;
  /** Paths changed though somebody else held their lock, `path (owner)`. */
  readonly lockViolations: readonly string[];
}

export interface LabelEvent {
  readonly label: string;
  /** Null when the label was removed. */
  readonly bundle: Digest | null;
  readonly by: string;
  readonly at: string;
}

/** A numbered entry of a log. */
export interface Numbered<T> {
  readonly n: number;
  readonly event: T;
}

/** One ref of an announced push. */
export interface AnnouncedRef {
  /** Full name on the remote: `refs/heads/main`, `refs/tags/v1`. */
  readonly ref: string;
  readonly gitOld: GitSha | null;
  /** The commit, tags peeled. */
  readonly gitNew: GitSha;
  readonly bundle: Digest;
  readonly totals: TreeTotals;
  readonly extraOids: Digest | null;
  readonly missing: readonly Digest[];
  readonly forced: boolean;
}

/** A push whose objects are durable and whose ref has not been seen to move yet. */
export interface Announcement {
  readonly pushId: PushId;
  /** Normalised URL of the git remote; see `git/remote-id.ts`. */
  readonly remote: string;
  readonly refs: readonly AnnouncedRef[];
  readonly pushedBy: string;
  readonly receipt: PushReceipt;
}

/** A remote ref was seen at `gitNew`. */
export interface RefMove {
  readonly pushId: PushId;
  readonly remote: string;
  readonly ref: string;
  readonly gitOld: GitSha | null;
  /** Null: the ref was deleted. */
  readonly gitNew: GitSha | null;
  /** Null with `gitNew`. */
  readonly bundle: Digest | null;
  readonly totals: TreeTotals;
  readonly extraOids: Digest | null;
  readonly missing: readonly Digest[];
  readonly forced: boolean;
  readonly pushedBy: string;
  readonly receipt: PushReceipt;
}

export type MoveOutcome = 'recorded' | 'already' | 'gap';

/** A lock as the LFS API has it. */
export interface Lock {
  /** 32 hex digits. */
  readonly id: string;
  /** Slash-separated, canonical. */
  readonly path: string;
  readonly owner: string;
  /** RFC 3339. */
  readonly lockedAt: string;
  readonly ref: string | null;
}

/** Written once when a repo is created. */
export interface RepoInfo {
  readonly pool: string;
  /** Normalised URL of the remote whose branches log under their own names; null until a first push tells. */
  readonly remote: string | null;
  readonly createdBy: string;
  readonly createdAt: string;
}
