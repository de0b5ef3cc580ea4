/**
 * Keeps what a writer counts on from being collected. Promise: a blob or page that a policy may take away soon, and that somebody
 * was told is stored, has a young record when he is told (docs/format.md §9).
 */
import type { Backend } from '../backend/backend.ts';
import { hasCode } from '../errors.ts';
import type { RepoName } from '../keys.ts';
import type { Committer } from './committer.ts';
import type { Condemned } from './condemned.ts';
import { RunBuilder, storedHandle } from './frame-handle.ts';
import type { FoundRecord, SegmentIndex } from './segment-index.ts';
import type { RecordDraft } from './segment-publisher.ts';

export const DAY_MS = 24 * 60 * 60 * 1000;

export interface TouchOptions {
  readonly backend: Backend;
  readonly repo: RepoName;
  readonly index: SegmentIndex;
  readonly condemned: Condemned;
  readonly committer: Committer;
}

export class Touch {
  readonly #options: TouchOptions;

  constructor(options: TouchOptions) {
    this.#options = options;
  }

  /**
   * Publishes again those records that are older than half of what the policy gives them. The log of condemned containers must have
   * been read after the records were found.
   */
  async keep(records: readonly FoundRecord[]): Promise<void> {
    const { condemned, repo, committer } = this.#options;
    if (records.length === 0 || condemned.policyOf(repo).unreferencedDays === null) return;
    const old = await this.#old(records);
    if (old.length === 0) return;
    const drafts = old.map(({ oid, sizeBytes, kind, state, runs }): RecordDraft => {
      const builder = new RunBuilder();
      for (const run of runs) builder.add(storedHandle(run));
      return { oid, sizeBytes, kind, state, runs: builder };
    });
    try {
      await committer.commit({ records: drafts, waiting: [] });
    } catch (error) {
      // Who may only read stores nothing that would count on it.
      if (!hasCode(error, 'FORBIDDEN')) throw error;
    }
  }

  async #old(records: readonly FoundRecord[]): Promise<FoundRecord[]> {
    const { backend, condemned, repo, index } = this.#options;
    const { unreferencedDays, at } = condemned.policyOf(repo);
    if (records.some((record) => index.createdAt(record) === null)) await index.refresh();
    const halfMs = ((unreferencedDays ?? 0) * DAY_MS) / 2;
    const since = at === null ? 0 : Date.parse(at);
    const now = (await backend.now()).getTime();
    return records.filter((record) => {
      const createdAt = index.createdAt(record)?.getTime() ?? 0;
      return now - Math.max(createdAt, since) > halfMs;
    });
  }
}
