/**
 * What a repo's refs, commits and pushes reach: blobs and pages. Promise (I9): a root that does not read ends the marking with an
 * error. The order matters: pendings are read before branches, since a push that is done has its branch entry by then.
 */
import type { Backend } from '../backend/backend.ts';
import { listSegments } from '../backend/segments.ts';
import { collect } from '../bytes.ts';
import type { CollectPolicy } from '../cas/condemned.ts';
import type { Digest } from '../digest.ts';
import { DatamonError, hasCode } from '../errors.ts';
import {
  branchesPrefix,
  bundleKey,
  commitsPrefix,
  labelsPrefix,
  logOfSegment,
  pendingPrefix,
  type RepoName,
} from '../keys.ts';
import { type LogEntry, openLog } from '../log.ts';
import { BUNDLE_SIZE_MAX_BYTES, decodeBundle } from '../meta/bundle.ts';
import { parseBranchRecord, parseCommitRecord, parseLabelRecord } from '../meta/events.ts';
import { PendingPushes } from '../meta/pending.ts';
import { keepsCommits, keepsEntry, keepsPending } from '../meta/retention.ts';
import { decodePage, isLeaf } from '../meta/tree-page.ts';
import type { Random } from '../random.ts';
import { DigestSet } from './digest-set.ts';

export interface RootOptions {
  readonly backend: Backend;
  readonly repo: RepoName;
  readonly random: Random;
  readonly policy: CollectPolicy;
  readonly now: Date;
  /** Reads a page. */
  readonly getPage: (digest: Digest) => Promise<Uint8Array>;
  readonly signal?: AbortSignal;
}

/** Blobs and pages found reachable so far. */
export class Reached {
  readonly blobs = new DigestSet();
  readonly pages = new DigestSet();
  readonly #bundles = new DigestSet();
  readonly #options: RootOptions;

  constructor(options: RootOptions) {
    this.#options = options;
  }

  async addBundle(bundle: Digest): Promise<void> {
    if (!this.#bundles.add(bundle)) return;
    const { backend, repo } = this.#options;
    const key = bundleKey(repo, bundle);
    try {
      const bytes = await collect(backend.get(key), BUNDLE_SIZE_MAX_BYTES);
      await this.addTree(decodeBundle(bundle, bytes).tree);
    } catch (error) {
      throw rootError(error, key);
    }
  }

  /** A page with all that is below it. */
  async addTree(root: Digest): Promise<void> {
    const open: Digest[] = [root];
    for (let digest = open.pop(); digest !== undefined; digest = open.pop()) {
      if (!this.pages.add(digest)) continue;
      this.#options.signal?.throwIfAborted();
      const page = decodePage(await this.#options.getPage(digest));
      if (!isLeaf(page)) open.push(...page.children.map((child) => child.digest));
      else for (const { oid } of page.entries) if (oid !== null) this.blobs.add(oid);
    }
  }
}

export async function markRoots(options: RootOptions): Promise<Reached> {
  const reached = new Reached(options);
  await markPendings(options, reached);
  await markLabels(options, reached);
  await markBranches(options, reached);
  await markCommits(options, reached);
  return reached;
}

async function markPendings(
  { backend, repo, now, policy }: RootOptions,
  reached: Reached,
): Promise<void> {
  const pending = new PendingPushes(backend, repo);
  for await (const { announcement, announcedAtMs } of pending.openStored()) {
    if (!keepsPending(policy, now.getTime(), announcedAtMs)) continue;
    for (const { bundle, extraOids } of announcement.refs) {
      await reached.addBundle(bundle);
      if (extraOids !== null) await addPages(reached, extraOids, pendingPrefix(repo));
    }
  }
}

async function markLabels(options: RootOptions, reached: Reached): Promise<void> {
  const { repo } = options;
  for await (const { event, isHead } of entriesBelow(
    options,
    labelsPrefix(repo),
    parseLabelRecord,
  )) {
    if (event.bundle !== null && counts(options, event.at, isHead)) {
      await reached.addBundle(event.bundle);
    }
  }
}

async function markBranches(options: RootOptions, reached: Reached): Promise<void> {
  const { repo } = options;
  const prefix = branchesPrefix(repo);
  for await (const { event, isHead } of entriesBelow(options, prefix, parseBranchRecord)) {
    if (!counts(options, event.pushedAt, isHead)) continue;
    if (event.bundle !== null) await reached.addBundle(event.bundle);
    if (event.extraOids !== null) await addPages(reached, event.extraOids, prefix);
  }
}

/** Commits are an index; where history is kept for ever they name bundles that no ref ever had. */
async function markCommits(options: RootOptions, reached: Reached): Promise<void> {
  const { repo, policy } = options;
  if (!keepsCommits(policy)) return;
  for await (const { event } of entriesBelow(options, commitsPrefix(repo), parseCommitRecord)) {
    await reached.addBundle(event.bundle);
  }
}

const counts = ({ policy, now }: RootOptions, at: string, isHead: boolean): boolean =>
  keepsEntry(policy, now.getTime(), { at, isHead });

async function addPages(reached: Reached, root: Digest, where: string): Promise<void> {
  try {
    await reached.addTree(root);
  } catch (error) {
    throw rootError(error, `${where}: the tree ${root}`);
  }
}

async function* entriesBelow<T>(
  { backend, random, signal }: RootOptions,
  prefix: string,
  parse: (event: unknown) => T,
): AsyncIterable<{ readonly event: T; readonly isHead: boolean }> {
  for await (const segment of listSegments(backend, prefix)) {
    signal?.throwIfAborted();
    const log = openLog({ backend, random, prefix: logOfSegment(prefix, segment), parse });
    let isHead = true;
    for await (const { event } of log.entries() as AsyncIterable<LogEntry<T>>) {
      yield { event, isHead };
      isHead = false;
    }
  }
}

function rootError(error: unknown, what: string): unknown {
  if (!hasCode(error, 'CORRUPT') && !hasCode(error, 'NOT_FOUND')) return error;
  return new DatamonError('CORRUPT', `nothing is collected: ${what}: ${error.message}`, {
    cause: error,
    hint: 'Find out what is damaged, and repair it first: datamon fsck',
  });
}
