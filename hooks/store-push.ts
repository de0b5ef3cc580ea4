/** Stores what a push needs: one pass over all refs, then each commit's bundle. Nothing is visible afterwards; only the moved ref makes it so. */
import {
  addReceipts,
  type BlobSource,
  EMPTY_RECEIPT,
  type Receipt,
} from '../core/cas/blob-store.ts';
import type { Digest } from '../core/digest.ts';
import { DatamonError } from '../core/errors.ts';
import { isFast } from '../core/fast-paths.ts';
import type { PushReceipt } from '../core/meta/model.ts';
import { displayPath } from '../core/meta/raw-path.ts';
import { storeExtraOids } from '../core/meta/record.ts';
import type { Repository } from '../core/meta/repository.ts';
import { findSources, uploadSources, type WantedBlob } from '../git/blob-sources.ts';
import { getConfig, isTrue } from '../git/config.ts';
import { rememberTree } from '../git/known-trees.ts';
import { openLfsStore } from '../git/lfs-store.ts';
import {
  type CommitBundle,
  completeBase,
  headOf,
  storeBundle,
  wantedOf,
  wantedOfAll,
} from '../git/record-commit.ts';
import type { GitRepository } from '../git/repository.ts';
import type { PendingRef } from './local-pending.ts';
import { checkLocks } from './lock-guard.ts';
import type { PlannedRef } from './push-plan.ts';
import { Progress, sayFound, saySent } from './receipt.ts';
import { type HookWorld, say } from './world.ts';

export interface StorePush {
  readonly world: HookWorld;
  readonly repo: GitRepository;
  readonly repository: Repository;
  /** Normalised URL of the git remote. */
  readonly remote: string;
  readonly remoteName: string;
  /** As whom our own locks are known; null: not known, so locks are left to the server. */
  readonly lockOwner: string | null;
  readonly signal: AbortSignal;
}

interface BundledRef {
  readonly planned: PlannedRef;
  /** Being stored, while files are already sent. */
  readonly bundle: Promise<CommitBundle>;
  readonly base: Digest | null;
  readonly isFirst: boolean;
  /** What the store lacks of it. */
  readonly lacking: readonly WantedBlob[];
  /** Those that the bundle itself lists. */
  readonly listed: ReadonlySet<Digest>;
  readonly gitBlobs: ReadonlyMap<Digest, string>;
  /** Passing files the store is known to hold. */
  readonly heldPassing: ReadonlySet<Digest>;
}

/** Throws where anything could not be stored; LOCKED and INCOMPLETE before a byte was sent. */
export async function storePush(
  push: StorePush,
  planned: readonly PlannedRef[],
): Promise<readonly PendingRef[]> {
  const startedAtMs = push.world.nowMs();
  const bundled: BundledRef[] = [];
  for (const ref of planned) bundled.push(await bundleRef(push, ref));
  await checkLocks(push, bundled);
  const { receipts, absent } = await sendBeside(push, bundled);
  const refs: PendingRef[] = [];
  const counted = new Set<Digest>();
  for (const each of bundled) {
    const receipt = {
      ...shareOf(each, await each.bundle, { receipts, counted }),
      durationMs: push.world.nowMs() - startedAtMs,
    };
    refs.push(await pendingRef(push, each, { receipt, absent }));
  }
  return refs;
}

async function bundleRef(push: StorePush, planned: PlannedRef): Promise<BundledRef> {
  const { repository } = push;
  const bundle = bundleOf(push, planned);
  // Awaited later; until then a failure must not count as unhandled.
  bundle.catch(() => {});
  const head = await headOf(repository, planned.ref, push.remote);
  const base = completeBase(head);
  const isComparedWithNothing = base === null && planned.files.since === null;
  const { wanted, gitBlobs } =
    isComparedWithNothing && isFast('beside-bundle')
      ? await wantedOfAll(repository, planned.files)
      : await wantedOf(repository, { bundle: await bundle, base });
  const held = await repository.blobs.has(planned.passing.map(({ oid }) => oid));
  const lacking = [...wanted, ...planned.passing.filter(({ oid }) => !held.has(oid))].map(
    (blob) => ({
      ...blob,
      basis: basisFor(planned, blob),
    }),
  );
  const isFirst = head === null;
  const heldPassing = new Set(held.keys());
  const listed = new Set(wanted.map(({ oid }) => oid));
  return { planned, bundle, base, isFirst, lacking, listed, gitBlobs, heldPassing };
}

async function bundleOf(
  { repository, repo }: StorePush,
  { files }: PlannedRef,
): Promise<CommitBundle> {
  const bundle = await storeBundle(repository, files);
  await remember(repo, bundle);
  return bundle;
}

/** Which pointer extensions there are is not remembered, so trees with any are not either. */
async function remember(repo: GitRepository, { files, descriptor }: CommitBundle): Promise<void> {
  if (descriptor.pointerExtensions.length > 0) return;
  const { commit, config, lfsCount } = files;
  const { recorder } = descriptor.rules;
  await rememberTree(repo, { commit, tree: descriptor.tree, recorder, config, lfsCount });
}

function basisFor({ basis }: PlannedRef, { path, oid }: WantedBlob): readonly Digest[] {
  const before = basis.get(path);
  return before === undefined || before === oid ? [] : [before];
}

function uniqueBlobs(blobs: readonly WantedBlob[]): readonly WantedBlob[] {
  const byOid = new Map<Digest, WantedBlob>();
  for (const blob of blobs) if (!byOid.has(blob.oid)) byOid.set(blob.oid, blob);
  return [...byOid.values()];
}

const SHOWN_COUNT_MAX = 5;

/** Sends what the store lacks while it stores the bundles, and stops where one of these cannot be stored. */
async function sendBeside(push: StorePush, bundled: readonly BundledRef[]): Promise<SentFiles> {
  const lacking = uniqueBlobs(bundled.flatMap((each) => each.lacking));
  const stop = new AbortController();
  const stored = Promise.all(bundled.map(({ bundle }) => bundle));
  stored.catch((error: unknown) => stop.abort(error));
  const signal = AbortSignal.any([push.signal, stop.signal]);
  try {
    const sent = await send({ ...push, signal }, bundled, lacking);
    await stored;
    return sent;
  } catch (error) {
    throw stop.signal.aborted ? stop.signal.reason : error;
  }
}

interface SentFiles {
  readonly receipts: ReadonlyMap<Digest, Receipt>;
  /** Allowed to be missing, because the user said so. */
  readonly absent: ReadonlySet<Digest>;
}

async function send(
  push: StorePush,
  bundled: readonly BundledRef[],
  lacking: readonly WantedBlob[],
): Promise<SentFiles> {
  if (lacking.length === 0) return { receipts: new Map(), absent: new Set() };
  const gitBlobs = new Map(bundled.flatMap((each) => [...each.gitBlobs]));
  const lfs = await openLfsStore(push.repo);
  const { sources, absent } = await findSources({ git: push.repo.git, lfs, gitBlobs }, lacking);
  if (absent.length > 0) await allowAbsent(push, absent);
  const receipts = await upload(push, sources);
  return { receipts, absent: new Set(absent.map(({ oid }) => oid)) };
}

async function upload(
  push: StorePush,
  sources: readonly BlobSource[],
): Promise<ReadonlyMap<Digest, Receipt>> {
  if (sources.length === 0) return new Map();
  const { world } = push;
  const sizeBytes = sources.reduce((sum, source) => sum + source.sizeBytes, 0);
  const startedAtMs = world.nowMs();
  sayFound(world, sources.length, sizeBytes);
  const progress = new Progress(world, sizeBytes);
  const stored = { count: 0 };
  try {
    const { receipts, failed } = await uploadSources(push.repository.blobs, sources, {
      signal: push.signal,
      onProgress: (oid, doneBytes) => progress.update(oid, doneBytes),
    });
    stored.count = receipts.size;
    if (failed.length > 0) throw failedUpload(world, sources, failed);
    const receipt = [...receipts.values()].reduce(addReceipts, EMPTY_RECEIPT);
    progress.end();
    saySent(world, { sizeBytes, receipt, durationMs: world.nowMs() - startedAtMs });
    return receipts;
  } finally {
    progress.end();
  }
}

function failedUpload(
  world: HookWorld,
  sources: readonly BlobSource[],
  failed: readonly { readonly oid: Digest; readonly error: DatamonError }[],
): DatamonError {
  const labels = new Map(sources.map(({ oid, label }) => [oid, label ?? oid]));
  for (const { oid, error } of failed.slice(0, SHOWN_COUNT_MAX)) {
    say(world, `${labels.get(oid) ?? oid}: ${error.message}`);
  }
  const [first] = failed;
  return new DatamonError(
    first?.error.code ?? 'UNAVAILABLE',
    `${failed.length} of ${sources.length} files could not be stored. Nothing was pushed.`,
    {
      cause: first?.error,
      hint: first?.error.hint ?? 'Push again: what is stored is not sent twice.',
    },
  );
}

/** As git-lfs has it: `lfs.allowincompletepush` lets a push go although files are nowhere to be found. */
async function allowAbsent(push: StorePush, absent: readonly WantedBlob[]): Promise<void> {
  if (isTrue(await getConfig(push.repo.git, 'lfs.allowincompletepush'))) return;
  for (const { path } of absent.slice(0, SHOWN_COUNT_MAX)) {
    say(push.world, `${displayPath(path)} is neither on this machine nor in the store`);
  }
  const before = await formerEndpoint(push);
  const fetch =
    before === null ? 'git lfs fetch --all' : `git -c lfs.url=${before} lfs fetch --all`;
  const files = absent.length === 1 ? '1 file' : `${absent.length} files`;
  throw new DatamonError(
    'INCOMPLETE',
    before === null
      ? `${files} of this push are neither on this machine nor in the store. Nothing was pushed.`
      : `${files} of this push are still on ${before}. Nothing was pushed.`,
    { hint: `Run: ${fetch} ${push.remoteName} && git push` },
  );
}

/** Where git-lfs kept this remote's objects before it was told otherwise: beside the git repo itself. */
async function formerEndpoint({ repo, remoteName }: StorePush): Promise<string | null> {
  const url = await getConfig(repo.git, `remote.${remoteName}.url`).catch(() => null);
  const web = url === null ? null : webUrlOf(url);
  return web === null ? null : `${web.replace(/\/+$/, '').replace(/\.git$/, '')}.git/info/lfs`;
}

function webUrlOf(url: string): string | null {
  const http = /^https?:\/\/(?:[^@/]*@)?(.*)$/i.exec(url);
  if (http !== null) return `https://${http[1]}`;
  const ssh = /^(?:ssh:\/\/(?:[^@/]*@)?([^/:]+)(?::\d+)?\/|(?:[^@/]*@)([^:/]+):\/?)(.*)$/i.exec(
    url,
  );
  return ssh === null ? null : `https://${ssh[1] ?? ssh[2]}/${ssh[3]}`;
}

/** What this ref's files cost; a file that two refs need is counted for the first. */
function shareOf(
  each: BundledRef,
  bundle: CommitBundle,
  {
    receipts,
    counted,
  }: { readonly receipts: ReadonlyMap<Digest, Receipt>; readonly counted: Set<Digest> },
): PushReceipt {
  let total = bundle.receipt;
  for (const { oid } of each.lacking) {
    const receipt = counted.has(oid) ? undefined : receipts.get(oid);
    counted.add(oid);
    if (receipt !== undefined) total = addReceipts(total, receipt);
  }
  const newFileBytes = total.newBytes - bundle.receipt.newBytes;
  return {
    // Pages are the bundle's own, not the data's.
    newBytes: newFileBytes,
    resumedBytes: total.resumedBytes,
    storedBytes: total.storedBytes,
    packCount: total.packCount,
    requestCount: total.requestCount,
    durationMs: 0,
    reusedFrom: newFileBytes < bundle.totals.sizeBytes ? each.base : null,
    measured: true,
  };
}

async function pendingRef(
  push: StorePush,
  each: BundledRef,
  facts: { readonly receipt: PushReceipt; readonly absent: ReadonlySet<Digest> },
): Promise<PendingRef> {
  const { planned, base } = each;
  const { bundle, totals } = await each.bundle;
  const passing = planned.passing.filter(({ oid }) => !facts.absent.has(oid));
  return {
    ref: planned.ref,
    tracking: planned.tracking,
    // What moved before the first push that was seen is nobody's gap.
    gitOld: each.isFirst ? null : planned.gitOld,
    gitNew: planned.files.commit,
    tip: planned.tip,
    bundle,
    base,
    totals,
    extraOids: await storeExtraOids(
      push.repository.pages,
      new Map(passing.map(({ oid, sizeBytes }) => [oid, sizeBytes])),
    ),
    missing: [...facts.absent].filter((oid) => each.listed.has(oid)),
    forced: planned.forced,
    receipt: facts.receipt,
    isQuiet: planned.changed.length === 0 && each.lacking.length === 0,
  };
}
