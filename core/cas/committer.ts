/**
 * Makes records durable. Promises: who commits within a few milliseconds of others shares one segment with them; a commit resolves
 * only when its segment is durable and the log of condemned containers was read after that; a record that leans on a condemned
 * container is written anew with its own copy of the bytes, before anything resolves.
 */
import { DatamonError, hasCode } from '../errors.ts';
import type { ContainerId } from '../keys.ts';
import type { Condemned } from './condemned.ts';
import { CopyOut, type StandingRecord } from './copy-out.ts';
import type { FrameHandle } from './frame-handle.ts';
import {
  findTwins,
  type Publication,
  type PublisherOptions,
  publishSegment,
  type RecordDraft,
  waitingBytes,
} from './segment-publisher.ts';

/** How long a commit waits for others to share its segment. */
export const GROUP_DELAY_MS = 10;
/** Publishing anew, because what records lean on was condemned meanwhile. */
export const PUBLISH_TRIES = 4;
/** One object put for the segment, one list for the look. */
const REQUESTS_PER_GROUP = 2;

/** Records whose frames are durable, or wait in `waiting`. */
export interface Commit {
  readonly records: readonly RecordDraft[];
  readonly waiting: readonly FrameHandle[];
}

/** What a commit cost beyond its frames, and what it saved because another one of its group had the same frames. */
export interface CommitCost {
  /** Bytes of containers that are nobody's frames: this commit's share. */
  readonly overheadBytes: number;
  /** Frames of this commit that were another's too: raw bytes, and framed bytes. */
  readonly sharedRawBytes: number;
  readonly sharedStoredBytes: number;
  readonly packCount: number;
  readonly requestCount: number;
}

export interface CommitterOptions extends PublisherOptions {
  readonly condemned: Condemned;
  /** Calls `run` after `delayMs`. */
  readonly schedule: (delayMs: number, run: () => void) => void;
  /** Told after each group that was written, and waited for by `settled` alone. `packs`: those that its records lean on. */
  readonly onPublished: (packs: ReadonlySet<ContainerId>) => Promise<void>;
}

interface Waiter {
  readonly commit: Commit;
  readonly resolve: (cost: CommitCost) => void;
  readonly reject: (error: unknown) => void;
}

export class Committer {
  readonly #options: CommitterOptions;
  #queue: Waiter[] = [];
  #last: Promise<void> = Promise.resolve();

  constructor(options: CommitterOptions) {
    this.#options = options;
  }

  commit(commit: Commit): Promise<CommitCost> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ commit, resolve, reject });
      if (this.#queue.length > 1) return;
      this.#options.schedule(GROUP_DELAY_MS, () => {
        // One group at a time: those that come while it is written make up the next one.
        this.#last = this.#last.then(() => this.#publishQueued());
      });
    });
  }

  /** Waits for the groups that are under way. */
  async settled(): Promise<void> {
    for (let last: Promise<void> | null = null; last !== this.#last; ) {
      last = this.#last;
      await last;
    }
  }

  async #publishQueued(): Promise<void> {
    const group = this.#queue;
    this.#queue = [];
    try {
      const { costs, packs } = await this.#publishGroup(group.map(({ commit }) => commit));
      for (const [index, waiter] of group.entries()) waiter.resolve(costs[index] as CommitCost);
      await this.#options.onPublished(packs);
    } catch (error) {
      for (const waiter of group) waiter.reject(error);
    }
  }

  async #publishGroup(group: readonly Commit[]): Promise<PublishedGroup> {
    const shares = shareOut(group);
    const spent = { storedBytes: 0, packCount: 0, requestCount: 0 };
    let records = uniqueRecords(group);
    let waiting = group.flatMap((commit) => commit.waiting);
    for (let tries = 1; tries <= PUBLISH_TRIES; tries += 1) {
      const content = { tier: 0, records, waiting, replaces: [] };
      const publication = await publishSegment(this.#options, content);
      spent.storedBytes += publication.storedBytes;
      spent.packCount += publication.packCount;
      spent.requestCount += publication.packCount + REQUESTS_PER_GROUP;
      await this.#options.condemned.look();
      const doomed = this.#doomed(records, publication);
      if (doomed.length === 0) {
        return { costs: costs(shares, spent), packs: packsOf(publication) };
      }
      const copies = await this.#copyOut(doomed);
      records = copies.records;
      waiting = copies.waiting;
      spent.storedBytes += copies.storedBytes;
    }
    throw collectedMeanwhile();
  }

  /** Where the segment itself was condemned meanwhile, nothing in it counts. */
  #doomed(records: readonly RecordDraft[], { runs, segment }: Publication): StandingRecord[] {
    const { condemned } = this.#options;
    const all = condemned.has(segment.id);
    return records
      .map((record, index): StandingRecord => ({ ...record, runs: runs[index] ?? [] }))
      .filter(({ runs }) => all || runs.some(({ container }) => condemned.has(container.id)));
  }

  /** Gives records that lean on condemned containers their own copy of the bytes; those containers stay readable for a while. */
  async #copyOut(doomed: readonly StandingRecord[]): Promise<CopiedRecords> {
    const { condemned } = this.#options;
    const copy = new CopyOut(this.#options, (id) => condemned.has(id));
    try {
      const records: RecordDraft[] = [];
      for (const record of doomed) records.push(await copy.add(record));
      const waiting = await copy.finish();
      return { records, waiting, storedBytes: copy.storedBytes };
    } catch (error) {
      // Its writer slept for longer than condemned containers are kept.
      if (!hasCode(error, 'NOT_FOUND')) throw error;
      throw collectedMeanwhile(error);
    } finally {
      await copy.dispose();
    }
  }
}

interface PublishedGroup {
  readonly costs: CommitCost[];
  readonly packs: ReadonlySet<ContainerId>;
}

/** Packs that the published records lean on. */
function packsOf({ runs }: Publication): ReadonlySet<ContainerId> {
  const packs = runs.flat().filter(({ container }) => container.kind === 'pack');
  return new Set(packs.map(({ container }) => container.id));
}

const collectedMeanwhile = (cause?: unknown): DatamonError =>
  new DatamonError('UNAVAILABLE', 'what was stored keeps being collected meanwhile', {
    hint: 'A collection is running. Run the same command again.',
    cause,
  });

interface CopiedRecords {
  readonly records: RecordDraft[];
  readonly waiting: FrameHandle[];
  readonly storedBytes: number;
}

interface Share {
  readonly recordCount: number;
  /** Framed bytes that this commit was the first to bring. */
  readonly ownBytes: number;
  readonly sharedRawBytes: number;
  readonly sharedStoredBytes: number;
}

/** What each commit of a group brings itself, and what another one brought before it. */
function shareOut(group: readonly Commit[]): Share[] {
  const twins = new Set(
    findTwins(group.flatMap(({ waiting }) => waiting)).twins.map(({ handle }) => handle),
  );
  return group.map(({ records, waiting }) => {
    const shared = waiting.filter((handle) => twins.has(handle));
    const sharedStoredBytes = waitingBytes(shared);
    return {
      recordCount: records.length,
      ownBytes: waitingBytes(waiting) - sharedStoredBytes,
      sharedRawBytes: shared
        .filter(({ waiting: frame }) => frame?.kind !== 'recipe')
        .reduce((sum, { rawLength }) => sum + rawLength, 0),
      sharedStoredBytes,
    };
  });
}

/** Splits what a group cost beyond its frames by the number of records; the first commit bears the remainder. */
function costs(
  shares: readonly Share[],
  spent: {
    readonly storedBytes: number;
    readonly packCount: number;
    readonly requestCount: number;
  },
): CommitCost[] {
  const ownBytes = shares.reduce((sum, share) => sum + share.ownBytes, 0);
  const recordCount = shares.reduce((sum, share) => sum + share.recordCount, 0);
  const overhead = spent.storedBytes - ownBytes;
  const perRecord = recordCount === 0 ? 0 : Math.floor(overhead / recordCount);
  return shares.map(({ sharedRawBytes, sharedStoredBytes, ...share }, index) => ({
    overheadBytes:
      perRecord * share.recordCount + (index === 0 ? overhead - perRecord * recordCount : 0),
    sharedRawBytes,
    sharedStoredBytes,
    packCount: index === 0 ? spent.packCount : 0,
    requestCount: index === 0 ? spent.requestCount : 0,
  }));
}

/** One record for each blob, however many commits of the group have it. */
function uniqueRecords(group: readonly Commit[]): RecordDraft[] {
  const records = new Map<string, RecordDraft>();
  for (const { records: drafts } of group) {
    for (const draft of drafts) {
      const name = draft.kind + draft.oid;
      if (!records.has(name)) records.set(name, draft);
    }
  }
  return [...records.values()];
}
