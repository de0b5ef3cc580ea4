/** `History` over the API: thin JSON calls, parsed at the edge. */
import { type Digest, parseDigest } from '../core/digest.ts';
import { DatamonError, hasCode } from '../core/errors.ts';
import type { GitSha, PushId } from '../core/keys.ts';
import type {
  Announcement,
  BranchEvent,
  BundleDescriptor,
  LabelEvent,
  MoveOutcome,
  Numbered,
  RefMove,
  RepoInfo,
} from '../core/meta/model.ts';
import type { History } from '../core/meta/repository.ts';
import {
  parseAnnouncement,
  parseBranchEvent,
  parseBundleDescriptor,
  parseLabelEvent,
  parseMoveOutcome,
  parseNumbered,
} from '../core/meta/wire.ts';
import { digest, gitSha, listOf, type Parse, record } from '../core/shape.ts';
import type { RepoClient } from './repo-client.ts';

/** Events asked for at once. */
const LOG_PAGE_COUNT = 200;

const parseBundle = record<{ bundle: Digest }>({ bundle: digest });
const parseBundles = record<{ bundles: readonly Digest[] }>({ bundles: listOf(digest) });
const parseCommits = record<{ commits: readonly GitSha[] }>({ commits: listOf(gitSha) });
const parseBranches = record<{ branches: readonly Numbered<BranchEvent>[] }>({
  branches: listOf(parseNumbered(parseBranchEvent)),
});
const parseBranchEvents = record<{ events: readonly Numbered<BranchEvent>[] }>({
  events: listOf(parseNumbered(parseBranchEvent)),
});
const parseLabels = record<{ labels: readonly Numbered<LabelEvent>[] }>({
  labels: listOf(parseNumbered(parseLabelEvent)),
});
const parseLabelEvents = record<{ events: readonly Numbered<LabelEvent>[] }>({
  events: listOf(parseNumbered(parseLabelEvent)),
});
const parsePushes = record<{ pushes: readonly Announcement[] }>({
  pushes: listOf(parseAnnouncement),
});
const parseOutcome = record<{ outcome: MoveOutcome }>({ outcome: parseMoveOutcome });
/** What a call answers that has nothing to say, or whose answer nobody needs. */
const ignored: Parse<unknown> = (value) => value;

export class RemoteHistory implements History {
  readonly #repo: RepoClient;

  constructor(repo: RepoClient) {
    this.#repo = repo;
  }

  async info(): Promise<RepoInfo> {
    const { info } = await this.#repo.describe();
    if (info !== null) return info;
    throw new DatamonError('NOT_FOUND', `there is no repo ${this.#repo.name} on the server yet`);
  }

  async putBundle(descriptor: BundleDescriptor): Promise<Digest> {
    const call = { method: 'PUT', path: '/bundles', json: descriptor } as const;
    return (await this.#repo.send(call, parseBundle)).bundle;
  }

  async getBundle(bundle: Digest): Promise<BundleDescriptor> {
    return await this.#repo.get(`/bundles/${parseDigest(bundle)}`, parseBundleDescriptor);
  }

  async findBundles(prefix: string, limit: number): Promise<readonly Digest[]> {
    const { bundles } = await this.#repo.get(`/bundles?${query({ prefix, limit })}`, parseBundles);
    return bundles.slice(0, limit);
  }

  async bundleOfCommit(commit: GitSha): Promise<Digest | null> {
    try {
      return (await this.#repo.get(`/commits/${commit}`, parseBundle)).bundle;
    } catch (error) {
      if (hasCode(error, 'NOT_FOUND')) return null;
      throw error;
    }
  }

  async findCommits(prefix: string, limit: number): Promise<readonly GitSha[]> {
    const { commits } = await this.#repo.get(`/commits?${query({ prefix, limit })}`, parseCommits);
    return commits.slice(0, limit);
  }

  async *branches(): AsyncIterable<Numbered<BranchEvent>> {
    yield* (await this.#repo.get('/branches', parseBranches)).branches;
  }

  async *branchLog(branch: string, before?: number): AsyncIterable<Numbered<BranchEvent>> {
    let next = before;
    while (next === undefined || next > 1) {
      const page = query({ limit: LOG_PAGE_COUNT, ...(next !== undefined && { before: next }) });
      const path = `/branches/${encodeURIComponent(branch)}/log?${page}`;
      const { events } = await this.#repo.get(path, parseBranchEvents);
      yield* events;
      const last = events.at(-1)?.n;
      // A server that repeats itself must not keep us here for ever.
      if (last === undefined || (next !== undefined && last >= next)) return;
      next = last;
    }
  }

  async *labels(): AsyncIterable<Numbered<LabelEvent>> {
    yield* (await this.#repo.get('/labels', parseLabels)).labels;
  }

  async *labelLog(label: string): AsyncIterable<Numbered<LabelEvent>> {
    const path = `/labels/${encodeURIComponent(label)}/log`;
    yield* (await this.#repo.get(path, parseLabelEvents)).events;
  }

  async setLabel(label: string, bundle: Digest | null, by: string): Promise<void> {
    const path = `/labels/${encodeURIComponent(label)}`;
    await this.#repo.send({ method: 'PUT', path, json: { bundle, by } }, ignored);
  }

  async announce(announcement: Announcement): Promise<void> {
    await this.#repo.send({ method: 'POST', path: '/pushes', json: announcement }, ignored);
  }

  async *pending(only?: PushId): AsyncIterable<Announcement> {
    const { pushes } = await this.#repo.get('/pushes', parsePushes);
    yield* pushes.filter(({ pushId }) => only === undefined || pushId === only);
  }

  async recordMove(move: RefMove): Promise<MoveOutcome> {
    const path = `/pushes/${move.pushId}/moves`;
    return (await this.#repo.send({ method: 'POST', path, json: move }, parseOutcome)).outcome;
  }

  async settle(push: PushId, outcome: 'confirmed' | 'abandoned'): Promise<void> {
    const path = `/pushes/${push}/done`;
    await this.#repo.send({ method: 'POST', path, json: { outcome } }, ignored);
  }
}

function query(fields: Readonly<Record<string, string | number>>): string {
  return new URLSearchParams(
    Object.entries(fields).map(([key, value]): [string, string] => [key, String(value)]),
  ).toString();
}
