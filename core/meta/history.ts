/**
 * `History` straight on a backend. Invariant: a log entry is written only after the bundle it names is durable with all its
 * pages (I3), and every write may be repeated or raced by another client without being counted twice.
 */
import { type Backend, bytesBody } from '../backend/backend.ts';
import { readHealed } from '../backend/healing.ts';
import { firstKey, listSegments } from '../backend/segments.ts';
import { collect } from '../bytes.ts';
import type { PageStore } from '../cas/blob-store.ts';
import type { Digest } from '../digest.ts';
import { DatamonError, hasCode } from '../errors.ts';
import {
  branchesPrefix,
  branchLog,
  bundleKey,
  bundlePrefix,
  commitLog,
  commitsPrefix,
  firstSegment,
  type GitSha,
  isGitSha,
  type LogPrefix,
  labelLog,
  labelsPrefix,
  logOfSegment,
  type PushId,
  parseBundleKey,
  type RepoName,
} from '../keys.ts';
import { type Log, type LogEntry, openLog } from '../log.ts';
import type { Random } from '../random.ts';
import { BUNDLE_SIZE_MAX_BYTES, decodeBundle, encodeBundle } from './bundle.ts';
import {
  type LabelRecord,
  parseBranchRecord,
  parseCommitRecord,
  parseLabelRecord,
} from './events.ts';
import type {
  Announcement,
  BranchEvent,
  BundleDescriptor,
  LabelEvent,
  MoveOutcome,
  Numbered,
  RefMove,
  RepoInfo,
} from './model.ts';
import { type LockCheck, recordMove } from './moves.ts';
import { PendingPushes, type PushOutcome } from './pending.ts';
import { checkLabel, checkName } from './ref-names.ts';
import type { History } from './repository.ts';
import { decideCanonical, openSettings } from './settings.ts';

export interface HistoryOptions {
  readonly backend: Backend;
  readonly repo: RepoName;
  /** As `repo.json` has it. */
  readonly info: RepoInfo;
  readonly pages: Pick<PageStore, 'hasPages'>;
  readonly random: Random;
  /** Tells which paths of a move were locked by others; without it none are. */
  readonly lockViolations?: LockCheck;
  /** Throws INCOMPLETE where a bundle was collected, or is about to be. */
  readonly mustBeHeld?: (bundle: Digest) => Promise<void>;
}

export class DirectHistory implements History {
  readonly #options: HistoryOptions;
  readonly #pending: PendingPushes;
  /** The last one that was stored here: the next thing done is to name it. */
  #newest: { readonly bundle: Digest; readonly descriptor: BundleDescriptor } | null = null;
  /** The branch whose head was read last: whoever reads it is often about to move it. */
  #lastHead: { readonly branch: string; readonly entry: LogEntry<BranchEvent> } | null = null;

  constructor(options: HistoryOptions) {
    this.#options = options;
    this.#pending = new PendingPushes(options.backend, options.repo);
  }

  async info(): Promise<RepoInfo> {
    const { info } = this.#options;
    if (info.remote !== null) return info;
    const head = await openSettings(this.#options).head();
    return { ...info, remote: head?.event.canonicalRemote ?? null };
  }

  async putBundle(
    descriptor: BundleDescriptor,
    { treeIsStored } = { treeIsStored: false },
  ): Promise<Digest> {
    const { backend, repo, pages } = this.#options;
    const { bundle, bytes } = encodeBundle(descriptor);
    const { tree, commit } = descriptor;
    if (!treeIsStored && !(await pages.hasPages([tree])).has(tree)) {
      throw new DatamonError('INCOMPLETE', `the root page ${tree} of ${commit} is not stored`, {
        hint: 'Record the commit again: datamon record',
      });
    }
    const { created } = await backend.putIfAbsent(bundleKey(repo, bundle), bytesBody(bytes));
    // One that was there before is read before it is named: nobody knows in what state it is.
    if (created) this.#newest = { bundle, descriptor: decodeBundle(bundle, bytes) };
    return bundle;
  }

  async getBundle(bundle: Digest): Promise<BundleDescriptor> {
    const { backend, repo } = this.#options;
    try {
      const key = bundleKey(repo, bundle);
      return await readHealed(backend, key, async () =>
        decodeBundle(bundle, await collect(backend.get(key), BUNDLE_SIZE_MAX_BYTES)),
      );
    } catch (error) {
      if (!hasCode(error, 'NOT_FOUND')) throw error;
      throw new DatamonError('NOT_FOUND', `the repo ${repo} has no bundle ${bundle}`, {
        cause: error,
        hint: 'See the bundles there are: datamon log',
      });
    }
  }

  async findBundles(prefix: string, limit: number): Promise<readonly Digest[]> {
    checkPrefix(prefix);
    const { backend, repo } = this.#options;
    const found: Digest[] = [];
    if (limit <= 0) return found;
    for await (const { key } of backend.list(`${bundlePrefix(repo)}${prefix}`)) {
      const bundle = parseBundleKey(repo, key);
      if (bundle !== null) found.push(bundle);
      if (found.length >= limit) break;
    }
    return found;
  }

  async bundleOfCommit(commit: GitSha): Promise<Digest | null> {
    const { repo } = this.#options;
    const head = await this.#log(commitLog(repo, commit), parseCommitRecord).head();
    return head?.event.bundle ?? null;
  }

  async findCommits(prefix: string, limit: number): Promise<readonly GitSha[]> {
    checkPrefix(prefix);
    const { backend, repo } = this.#options;
    const all = commitsPrefix(repo);
    const found: GitSha[] = [];
    let after = `${all}${prefix}`;
    while (found.length < limit) {
      const key = await firstKey(backend, `${all}${prefix}`, after);
      if (key === null) break;
      const { segment, skipTo } = firstSegment(all, key);
      if (isGitSha(segment)) found.push(segment);
      after = skipTo;
    }
    return found;
  }

  async *branches(): AsyncIterable<Numbered<BranchEvent>> {
    yield* this.#heads(branchesPrefix(this.#options.repo), parseBranchRecord);
  }

  async *branchLog(branch: string, before?: number): AsyncIterable<Numbered<BranchEvent>> {
    checkName(branch, 'a branch');
    const log = this.#log(branchLog(this.#options.repo, branch), parseBranchRecord);
    let isHead = before === undefined;
    for await (const entry of log.entries(before)) {
      if (isHead) this.#lastHead = { branch, entry };
      isHead = false;
      yield { n: entry.n, event: entry.event };
    }
  }

  async *labels(): AsyncIterable<Numbered<LabelEvent>> {
    for await (const head of this.#heads(labelsPrefix(this.#options.repo), parseLabelRecord)) {
      yield { n: head.n, event: labelEvent(head.event) };
    }
  }

  async *labelLog(label: string): AsyncIterable<Numbered<LabelEvent>> {
    checkName(label, 'a label');
    const log = this.#log(labelLog(this.#options.repo, label), parseLabelRecord);
    for await (const { n, event } of log.entries()) yield { n, event: labelEvent(event) };
  }

  async setLabel(label: string, bundle: Digest | null, by: string): Promise<void> {
    checkName(label, 'a label');
    const { backend, repo } = this.#options;
    if (bundle !== null) {
      checkLabel(label);
      await this.getBundle(bundle);
    }
    await this.#log(labelLog(repo, label), parseLabelRecord).update(async (head) => {
      const current = head?.event.bundle ?? null;
      if (bundle === null && current === null) {
        throw new DatamonError('NOT_FOUND', `the repo ${repo} has no label ${label}`, {
          hint: 'See the labels there are: datamon label list',
        });
      }
      // The same bundle again is worth an entry only where a tag had set it: now a person holds it there.
      if (bundle === current && head?.event.tag === null) return null;
      return { label, bundle, by, at: (await backend.now()).toISOString(), tag: null };
    });
    if (bundle !== null) await this.#keepOrUnset(label, bundle, by);
  }

  /** The label is set first, so that a collection sees it, and taken back where one was faster. */
  async #keepOrUnset(label: string, bundle: Digest, by: string): Promise<void> {
    const { backend, repo, mustBeHeld } = this.#options;
    try {
      await mustBeHeld?.(bundle);
    } catch (error) {
      await this.#log(labelLog(repo, label), parseLabelRecord).update(async (head) => {
        if (head?.event.bundle !== bundle) return null;
        return { label, bundle: null, by, at: (await backend.now()).toISOString(), tag: null };
      });
      throw error;
    }
  }

  async announce(announcement: Announcement): Promise<void> {
    for (const bundle of new Set(announcement.refs.map((ref) => ref.bundle))) {
      await this.#mustHave(bundle);
    }
    await this.#pending.announce(announcement);
  }

  async *pending(only?: PushId): AsyncIterable<Announcement> {
    if (only === undefined) yield* this.#pending.open();
    else yield* this.#pending.openOne(only);
  }

  async settle(push: PushId, outcome: PushOutcome): Promise<void> {
    await this.#pending.settle(push, outcome);
  }

  async recordMove(move: RefMove): Promise<MoveOutcome> {
    const { repo, backend, info, lockViolations } = this.#options;
    return await recordMove(move, {
      backend,
      bundleOf: (bundle) => this.#mustHave(bundle),
      canonicalRemote: async () =>
        info.remote ?? (await decideCanonical(this.#options, move.remote, move.pushedBy)),
      commits: (commit) => this.#log(commitLog(repo, commit), parseCommitRecord),
      branches: (name) => this.#log(branchLog(repo, name), parseBranchRecord),
      takeLastHead: (name) => {
        const last = this.#lastHead;
        this.#lastHead = null;
        return last?.branch === name ? last.entry : undefined;
      },
      labels: (name) => this.#log(labelLog(repo, name), parseLabelRecord),
      pushOutcome: (push) => this.#pending.outcome(push),
      lockViolations: lockViolations ?? (async () => []),
    });
  }

  /** INCOMPLETE where a bundle that is to be named is not stored. */
  async #mustHave(bundle: Digest): Promise<BundleDescriptor> {
    if (this.#newest?.bundle === bundle) return this.#newest.descriptor;
    try {
      return await this.getBundle(bundle);
    } catch (error) {
      if (!hasCode(error, 'NOT_FOUND')) throw error;
      throw new DatamonError('INCOMPLETE', `the bundle ${bundle} is not stored yet`, {
        cause: error,
        hint: 'Record the commit again: datamon record',
      });
    }
  }

  #log<T>(prefix: LogPrefix, parse: (event: unknown) => T): Log<T> {
    const { backend, random } = this.#options;
    return openLog({ backend, random, prefix, parse });
  }

  /** The newest entry of every log below a prefix. */
  async *#heads<T>(prefix: string, parse: (event: unknown) => T): AsyncIterable<Numbered<T>> {
    for await (const segment of listSegments(this.#options.backend, prefix)) {
      const head = await this.#log(logOfSegment(prefix, segment), parse).head();
      if (head !== null) yield { n: head.n, event: head.event };
    }
  }
}

/** Shorter prefixes would list the better part of a repo. */
export const PREFIX_DIGIT_COUNT_MIN = 4;

function checkPrefix(prefix: string): void {
  if (/^[0-9a-f]{4,64}$/.test(prefix) && prefix.length >= PREFIX_DIGIT_COUNT_MIN) return;
  throw new DatamonError(
    'INVALID',
    `not the start of an id: ${JSON.stringify(prefix.slice(0, 80))}`,
    {
      hint: `Give at least ${PREFIX_DIGIT_COUNT_MIN} hex digits.`,
    },
  );
}

/** Without what only the store needs. */
const labelEvent = ({ label, bundle, by, at }: LabelRecord): LabelEvent => ({
  label,
  bundle,
  by,
  at,
});
