/**
 * From a commit to its bundle. Shared by hooks, which announce first and confirm later, and by `datamon record`, which makes
 * up for pushes that no hook saw. Nothing here moves a branch but `recordRef`.
 */
import { addReceipts, EMPTY_RECEIPT, type Receipt } from '../core/cas/blob-store.ts';
import type { Digest } from '../core/digest.ts';
import { hasCode } from '../core/errors.ts';
import { type GitSha, type PushId, parsePushId } from '../core/keys.ts';
import type {
  BranchEvent,
  BundleDescriptor,
  Entry,
  MoveOutcome,
  PushReceipt,
  RawPath,
  RefMove,
  TreeTotals,
} from '../core/meta/model.ts';
import {
  absentBlobs,
  estimateReceipt,
  missingOids,
  recordBundle,
  storedOid,
  storeExtraOids,
} from '../core/meta/record.ts';
import { refTarget } from '../core/meta/ref-names.ts';
import type { Repository } from '../core/meta/repository.ts';
import { randomHex, secureRandom } from '../core/random.ts';
import { type BlobPlaces, findSources, uploadSources, type WantedBlob } from './blob-sources.ts';
import { isAncestor } from './commit.ts';
import { type CommitFiles, filesOf, RECORDER_VERSION } from './commit-files.ts';
import { openLfsStore } from './lfs-store.ts';
import { type BlobCache, type IntroducedPointer, pointersIntroduced } from './pointers.ts';
import type { GitRepository } from './repository.ts';

export interface CommitBundle {
  readonly bundle: Digest;
  readonly descriptor: BundleDescriptor;
  readonly totals: TreeTotals;
  /** Cost of its pages. */
  readonly receipt: Receipt;
  /** What it was made of. */
  readonly files: CommitFiles;
}

/** Stores the bundle of a commit. No log names it yet. */
export async function storeBundle(
  repository: Repository,
  files: CommitFiles,
): Promise<CommitBundle> {
  const { since } = files;
  const content =
    since === null ? { entries: files.entries } : { base: since.tree, changes: since.changes };
  try {
    const recorded = await recordBundle(repository, {
      commit: files.commit,
      commitObject: files.commitObject,
      ...content,
      rules: { recorder: RECORDER_VERSION, config: files.config },
      pointerExtensions: files.pointerExtensions,
    });
    return { ...recorded, files };
  } catch (error) {
    // Another store, or one that lost or collected the tree that this clone knows.
    if (since === null || !isTreeGone(error)) throw error;
    return storeBundle(repository, await since.all());
  }
}

const isTreeGone = (error: unknown): boolean =>
  hasCode(error, 'INCOMPLETE') || hasCode(error, 'NOT_FOUND') || hasCode(error, 'CORRUPT');

export interface Wanted {
  readonly wanted: readonly WantedBlob[];
  /** Those that git itself holds, by the digest of their bytes. */
  readonly gitBlobs: ReadonlyMap<Digest, string>;
}

/** Files of a commit that the store lacks, by their oid. `base`: a bundle known to be complete. */
export async function wantedOf(
  repository: Repository,
  stored: { readonly bundle: CommitBundle; readonly base: Digest | null },
): Promise<Wanted> {
  const { files } = stored.bundle;
  const base = stored.base === null ? null : (await repository.history.getBundle(stored.base)).tree;
  const missing = new Set(await missingOids(repository, stored.bundle.descriptor.tree, base));
  const wanted = takeWanted(missing, files.entries);
  // The bundle is not compared with what its files were told by, so what is missing may have been there before.
  if (missing.size > 0 && files.since !== null) {
    const all = await files.since.all();
    return { wanted: [...wanted, ...takeWanted(missing, all.entries)], gitBlobs: all.gitBlobs };
  }
  return { wanted, gitBlobs: files.gitBlobs };
}

/** As `wantedOf`, with nothing to compare with: asks about all files, whether their bundle is stored yet or not. */
export async function wantedOfAll(
  { blobs }: Pick<Repository, 'blobs'>,
  { entries, gitBlobs }: CommitFiles,
): Promise<Wanted> {
  const missing = new Set(await absentBlobs(blobs, entries));
  return { wanted: takeWanted(missing, entries), gitBlobs };
}

function takeWanted(missing: Set<Digest>, entries: readonly Entry[]): WantedBlob[] {
  const wanted: WantedBlob[] = [];
  for (const entry of entries) {
    const oid = storedOid(entry);
    if (oid === null || !missing.delete(oid)) continue;
    wanted.push({ oid, sizeBytes: entry.sizeBytes, path: entry.path, basis: [] });
  }
  return wanted;
}

/** The newest event of the log a remote's ref belongs to; null where it has none, or is a label's. */
export async function headOf(
  repository: Repository,
  ref: string,
  remote: string,
): Promise<BranchEvent | null> {
  const info = await repository.history.info();
  const target = refTarget(ref, remote, info.remote ?? remote);
  if (target.kind === 'label') return null;
  for await (const { event } of repository.history.branchLog(target.name)) return event;
  return null;
}

/** A bundle that lists nothing missing, to compare with: the branch's own head. */
export const completeBase = (head: BranchEvent | null): Digest | null =>
  head !== null && head.missing.length === 0 ? head.bundle : null;

/** Oids of the range that the tip does not list any more, with their sizes and a path for messages. */
export async function passingOids(
  repo: GitRepository,
  files: CommitFiles,
  options: { readonly exclude: readonly string[]; readonly cache?: BlobCache },
): Promise<readonly WantedBlob[]> {
  const range = { include: [files.commit], exclude: options.exclude };
  const introduced = await pointersIntroduced(repo.git, range, options.cache);
  const notIn = (all: CommitFiles, some: readonly IntroducedPointer[]) => {
    const tip = new Set(all.entries.map(({ oid }) => oid));
    return some.filter(({ oid }) => !tip.has(oid));
  };
  let passing = notIn(files, introduced);
  // Files that did not change since one commit may be introduced beside another, where the branch was amended.
  if (passing.length > 0 && files.since !== null) {
    passing = notIn(await files.since.all(), passing);
  }
  return passing.map((each) => ({ ...each, basis: [] }));
}

export interface RecordRefRequest {
  readonly repository: Repository;
  readonly repo: GitRepository;
  /** Normalised URL of the git remote. */
  readonly remote: string;
  /** Full name on the remote: `refs/heads/main`, `refs/tags/v1`. */
  readonly ref: string;
  readonly commit: GitSha;
  readonly pushedBy: string;
  /** Where the ref stood, if that was seen; else the log's own head is taken. */
  readonly gitOld?: GitSha | null;
  /** Whether files that are on this machine and not in the store are sent. */
  readonly upload: 'missing' | 'nothing';
  readonly signal?: AbortSignal;
  readonly cache?: BlobCache;
}

export interface RecordedRef {
  readonly bundle: Digest;
  readonly commit: GitSha;
  readonly ref: string;
  readonly totals: TreeTotals;
  readonly outcome: MoveOutcome;
  readonly receipt: PushReceipt;
  /** Files that were sent now. */
  readonly uploadedCount: number;
  /** Files the bundle lists that the store does not hold, and this machine neither. */
  readonly missing: readonly { readonly oid: Digest; readonly path: RawPath }[];
}

/** Records that `ref` of `remote` stands at `commit`: bundle, commit and branch event or label. Idempotent. */
export async function recordRef(request: RecordRefRequest): Promise<RecordedRef> {
  const { repository, repo, remote, ref, commit } = request;
  const cache = request.cache ?? new Map();
  const files = await filesOf(repo, commit, cache);
  const bundle = await storeBundle(repository, files);
  const head = await headOf(repository, ref, remote);
  const gitOld = request.gitOld ?? head?.gitNew ?? null;
  const exclude = [gitOld, head?.gitNew].filter((sha) => typeof sha === 'string');
  const passing = await passingOids(repo, files, { exclude, cache });
  const { wanted, gitBlobs } = await wantedOf(repository, { bundle, base: completeBase(head) });
  const held = await repository.blobs.has(passing.map(({ oid }) => oid));
  const lacking = [...wanted, ...passing.filter(({ oid }) => !held.has(oid))];
  const sent = await sendLacking(request, gitBlobs, lacking);
  const missing = wanted.filter(({ oid }) => !sent.receipts.has(oid));
  const move: RefMove = {
    pushId: newPushId(),
    remote,
    ref,
    gitOld: head === null ? null : gitOld,
    gitNew: commit,
    bundle: bundle.bundle,
    totals: bundle.totals,
    extraOids: await storeExtraOids(
      repository.pages,
      new Map(
        passing
          .filter(({ oid }) => held.has(oid) || sent.receipts.has(oid))
          .map(({ oid, sizeBytes }) => [oid, sizeBytes]),
      ),
    ),
    missing: missing.map(({ oid }) => oid),
    forced: gitOld !== null && (await isAncestor(repo.git, gitOld, commit)) === false,
    pushedBy: request.pushedBy,
    receipt: await receiptOf(repository, { bundle: bundle.bundle, head, sent: sent.total }),
  };
  const outcome = await repository.history.recordMove(move);
  return {
    bundle: bundle.bundle,
    commit,
    ref,
    totals: bundle.totals,
    outcome,
    receipt: move.receipt,
    uploadedCount: sent.receipts.size,
    missing: missing.map(({ oid, path }) => ({ oid, path })),
  };
}

export const newPushId = (): PushId => parsePushId(randomHex(secureRandom, 16));

interface Sent {
  readonly receipts: ReadonlyMap<Digest, Receipt>;
  readonly total: Receipt;
}

async function sendLacking(
  request: RecordRefRequest,
  gitBlobs: CommitFiles['gitBlobs'],
  lacking: readonly WantedBlob[],
): Promise<Sent> {
  if (request.upload === 'nothing' || lacking.length === 0) {
    return { receipts: new Map(), total: EMPTY_RECEIPT };
  }
  const { git } = request.repo;
  const lfs = await openLfsStore(request.repo);
  const places: BlobPlaces = { git, lfs, gitBlobs };
  const { sources } = await findSources(places, lacking);
  const options = request.signal === undefined ? {} : { signal: request.signal };
  const { receipts } = await uploadSources(request.repository.blobs, sources, options);
  return { receipts, total: [...receipts.values()].reduce(addReceipts, EMPTY_RECEIPT) };
}

/** Measured where something was sent here; else worked out from what the store knows. */
async function receiptOf(
  repository: Repository,
  facts: { readonly bundle: Digest; readonly head: BranchEvent | null; readonly sent: Receipt },
): Promise<PushReceipt> {
  const estimate = await estimateReceipt(repository, facts.bundle, facts.head?.bundle ?? null);
  if (facts.sent.fileCount === 0) return estimate;
  const { newBytes, storedBytes, packCount, requestCount } = facts.sent;
  return { ...estimate, newBytes, storedBytes, packCount, requestCount };
}
