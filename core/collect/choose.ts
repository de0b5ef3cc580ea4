/**
 * Chooses what to condemn: containers that a merge replaced, that nothing uses, that are mostly dead, or that hold what a policy lets
 * go. A choice can be wrong without harm: whatever is kept is copied out first. What an interrupted push may still resume is not chosen.
 */

import { CONTAINER_HEADER_SIZE_BYTES } from '../cas/container-format.ts';
import type { FoundRecord } from '../cas/segment-index.ts';
import { DAY_MS } from '../cas/touch.ts';
import { RESUMABLE_DAYS } from '../cas/upload-journal.ts';
import type { ContainerId, RepoName } from '../keys.ts';
import { DigestSet } from './digest-set.ts';
import type { Keeps } from './keeping.ts';
import { recordsOf, type Survey, type SurveyedRepo, type SurveyedSegment } from './pool-survey.ts';

/** What was condemned can be read for so long, by the store's clock; younger containers are not chosen. */
export const GRACE_MS = DAY_MS;
/** A pack that no segment names may be that of an interrupted push, which names it once it goes on. */
const UNNAMED_AGE_MIN_MS = RESUMABLE_DAYS * DAY_MS;
/** Containers with less that is used are copied. */
const LIVE_SHARE_MIN = 0.5;

export const REASONS = ['replaced', 'unused', 'mostly dead', 'unreferenced', 'damaged'] as const;
export type Reason = (typeof REASONS)[number];

export interface Candidate {
  readonly id: ContainerId;
  readonly kind: 'pack' | 'segment';
  /** Null for a pack: it is the pool's. */
  readonly repo: RepoName | null;
  readonly sizeBytes: number;
  /** Of these, bytes of frames that are used; they are copied. */
  readonly liveBytes: number;
  readonly why: Reason;
}

/** What a policy lets go. */
export interface Dropped {
  readonly recordCount: number;
  readonly sizeBytes: number;
}

export interface Choice {
  readonly candidates: readonly Candidate[];
  readonly dropped: Dropped;
  /** Of all containers that are not condemned. */
  readonly poolBytes: number;
}

export async function choose(survey: Survey, keeps: ReadonlyMap<RepoName, Keeps>): Promise<Choice> {
  const usage = new Usage();
  const segments: Candidate[] = [];
  let dropped: Dropped = { recordCount: 0, sizeBytes: 0 };
  for (const repo of survey.repos) {
    const chosen = await chooseSegments(survey, repo, keeps.get(repo.repo) ?? (() => true), usage);
    segments.push(...chosen.candidates);
    dropped = {
      recordCount: dropped.recordCount + chosen.dropped.recordCount,
      sizeBytes: dropped.sizeBytes + chosen.dropped.sizeBytes,
    };
  }
  const packs = choosePacks(survey, usage);
  return { candidates: [...segments, ...packs], dropped, poolBytes: poolBytesOf(survey) };
}

const isOlderThan = (
  ageMs: number,
  { now }: Survey,
  { createdAt }: { readonly createdAt: Date },
): boolean => now.getTime() - createdAt.getTime() > ageMs;

function choosePacks(survey: Survey, usage: Usage): Candidate[] {
  const chosen: Candidate[] = [];
  const named = namedIn(survey);
  for (const [id, pack] of survey.packs) {
    const ageMinMs = named.has(id) ? GRACE_MS : UNNAMED_AGE_MIN_MS;
    if (survey.condemned.has(id) || !isOlderThan(ageMinMs, survey, pack)) continue;
    const liveBytes = usage.bytesOf(id);
    if (liveBytes >= pack.sizeBytes * LIVE_SHARE_MIN) continue;
    const why = liveBytes === 0 ? 'unused' : 'mostly dead';
    chosen.push({ id, kind: 'pack', repo: null, sizeBytes: pack.sizeBytes, liveBytes, why });
  }
  return chosen;
}

/** By any segment, condemned or replaced ones included: whoever stored it has no need to resume. */
const namedIn = ({ repos }: Survey): ReadonlySet<ContainerId> =>
  new Set(repos.flatMap(({ segments }) => segments.flatMap(({ names }) => names)));

interface Counted {
  readonly segment: SurveyedSegment;
  readonly useful: number;
  readonly droppable: number;
  readonly total: number;
}

async function chooseSegments(
  survey: Survey,
  repo: SurveyedRepo,
  keeps: Keeps,
  usage: Usage,
): Promise<Pick<Choice, 'candidates' | 'dropped'>> {
  const { condemned } = survey;
  const standing = repo.segments.filter(({ ref }) => !condemned.has(ref.id));
  const replaced = new Set(standing.flatMap(({ replaces }) => replaces));
  const counter = new RecordCounter(survey, keeps, usage);
  const counts: Counted[] = [];
  // Newest first: of several records of a file the newest counts, the others are as good as dead.
  const ordered = [...standing].sort((a, b) => b.createdAt.getTime() - a.createdAt.getTime());
  for (const segment of ordered.filter(({ ref }) => !replaced.has(ref.id))) {
    counts.push(await counter.count(repo, segment));
  }
  const old = ordered.filter((segment) => isOlderThan(GRACE_MS, survey, segment));
  const candidates = old.flatMap((segment): Candidate[] => {
    const { ref } = segment;
    const why = replaced.has(ref.id)
      ? 'replaced'
      : reasonOf(counts.find((each) => each.segment === segment) as Counted, usage);
    if (why === null) return [];
    const { id, sizeBytes } = ref;
    const liveBytes = usage.bytesOf(id);
    return [{ id, kind: 'segment', repo: repo.repo, sizeBytes, liveBytes, why }];
  });
  return { candidates, dropped: counter.dropped };
}

function reasonOf({ segment, useful, droppable, total }: Counted, usage: Usage): Reason | null {
  if (droppable > 0) return 'unreferenced';
  const inlineBytes = segment.ref.tablesOffset - CONTAINER_HEADER_SIZE_BYTES;
  const usedBytes = usage.bytesOf(segment.ref.id);
  if (useful === 0 && usedBytes === 0) return 'unused';
  if (total > 0 && useful < total * LIVE_SHARE_MIN) return 'mostly dead';
  return inlineBytes > 0 && usedBytes < inlineBytes * LIVE_SHARE_MIN ? 'mostly dead' : null;
}

class RecordCounter {
  readonly #survey: Survey;
  readonly #keeps: Keeps;
  readonly #usage: Usage;
  readonly #seen = { blob: new DigestSet(), page: new DigestSet() };
  readonly #droppedOids = { blob: new DigestSet(), page: new DigestSet() };
  #droppedBytes = 0;

  constructor(survey: Survey, keeps: Keeps, usage: Usage) {
    this.#survey = survey;
    this.#keeps = keeps;
    this.#usage = usage;
  }

  get dropped(): Dropped {
    const { blob, page } = this.#droppedOids;
    return { recordCount: blob.size + page.size, sizeBytes: this.#droppedBytes };
  }

  async count(repo: SurveyedRepo, segment: SurveyedSegment): Promise<Counted> {
    let useful = 0;
    let droppable = 0;
    let total = 0;
    for await (const record of recordsOf(repo, segment)) {
      total += 1;
      if (!this.#keeps(record)) {
        droppable += 1;
        this.#drop(record);
      } else if (this.#isFirst(record)) {
        useful += 1;
        for (const run of record.runs) this.#usage.add(run.container.id, run);
      }
    }
    return { segment, useful, droppable, total };
  }

  #drop({ kind, oid, sizeBytes }: FoundRecord): void {
    if (this.#droppedOids[kind].add(oid) && kind === 'blob') this.#droppedBytes += sizeBytes;
  }

  #isFirst({ kind, oid, runs, state }: FoundRecord): boolean {
    const { condemned } = this.#survey;
    if (runs.some(({ container }) => condemned.has(container.id))) return false;
    return state !== 'verified' || this.#seen[kind].add(oid);
  }
}

const COMPACT_AT_COUNT = 4096;

/** Bytes of each container that records use, each byte once. */
class Usage {
  readonly #ranges = new Map<ContainerId, [number, number][]>();
  readonly #compactAt = new Map<ContainerId, number>();

  add(id: ContainerId, run: { readonly offset: number; readonly storedLength: number }): void {
    const ranges = this.#ranges.get(id) ?? [];
    ranges.push([run.offset, run.offset + run.storedLength]);
    this.#ranges.set(id, ranges);
    if (ranges.length < (this.#compactAt.get(id) ?? COMPACT_AT_COUNT)) return;
    const joined = join(ranges);
    this.#ranges.set(id, joined);
    this.#compactAt.set(id, Math.max(COMPACT_AT_COUNT, joined.length * 2));
  }

  bytesOf(id: ContainerId): number {
    const joined = join(this.#ranges.get(id) ?? []);
    return joined.reduce((sum, [start, end]) => sum + end - start, 0);
  }
}

function join(ranges: readonly [number, number][]): [number, number][] {
  const joined: [number, number][] = [];
  for (const [start, end] of [...ranges].sort((a, b) => a[0] - b[0])) {
    const last = joined.at(-1);
    if (last !== undefined && start <= last[1]) last[1] = Math.max(last[1], end);
    else joined.push([start, end]);
  }
  return joined;
}

export function poolBytesOf({ condemned, packs, repos }: Survey): number {
  let sum = 0;
  for (const [id, { sizeBytes }] of packs) if (!condemned.has(id)) sum += sizeBytes;
  for (const { segments } of repos) {
    for (const { ref } of segments) if (!condemned.has(ref.id)) sum += ref.sizeBytes;
  }
  return sum;
}
