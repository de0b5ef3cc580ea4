/**
 * Copies what is kept out of doomed containers. Promises: when it resolves, every kept record that leaned on one has a twin that leans
 * on none, published and looked at; where one cannot be copied it fails, and nothing was condemned or deleted.
 */
import { CopyOut } from '../cas/copy-out.ts';
import type { FoundRecord } from '../cas/segment-index.ts';
import type { RecordDraft } from '../cas/segment-publisher.ts';
import type { RecordKind } from '../cas/segment-tables.ts';
import type { Digest } from '../digest.ts';
import { DatamonError, hasCode } from '../errors.ts';
import type { ContainerId } from '../keys.ts';
import { DigestSet } from './digest-set.ts';
import type { Keeps } from './keeping.ts';
import type { PoolOptions, Survey, SurveyedRepo } from './pool-survey.ts';
import { recordsOf } from './pool-survey.ts';
import { openHands, type RepoHands } from './repo-hands.ts';

/** Records published together; what a crash loses is copied again. */
const BATCH_RECORD_COUNT = 2048;

export interface RelocateRequest {
  readonly survey: Survey;
  readonly repo: SurveyedRepo;
  /** Doomed beside all that are condemned. */
  readonly ids: ReadonlySet<ContainerId>;
  readonly keeps: Keeps;
}

export interface Relocation {
  readonly recordCount: number;
  /** Records with a damaged frame and no other copy, with the reason. */
  readonly damaged: ReadonlyMap<Digest, DatamonError>;
  /** Records whose containers were deleted before: somebody published them and never looked. */
  readonly gone: readonly Digest[];
}

export const NOTHING_MOVED: Relocation = { recordCount: 0, damaged: new Map(), gone: [] };

export async function relocate(
  options: PoolOptions,
  request: RelocateRequest,
): Promise<Relocation> {
  const leaning = await leaningOf(request);
  if (leaning.size === 0) return NOTHING_MOVED;
  await dropSound(options, request, leaning);
  const hands = openHands(options, request.repo, request.survey.condemned);
  return await new Mover(hands, request, leaning).run();
}

/** Blobs and pages apart: a blob and a page may have the same digest. */
class Names {
  readonly #sets: Readonly<Record<RecordKind, DigestSet>> = {
    blob: new DigestSet(),
    page: new DigestSet(),
  };

  get size(): number {
    return this.#sets.blob.size + this.#sets.page.size;
  }

  has({ kind, oid }: Pick<FoundRecord, 'kind' | 'oid'>): boolean {
    return this.#sets[kind].has(oid);
  }

  add({ kind, oid }: Pick<FoundRecord, 'kind' | 'oid'>): void {
    this.#sets[kind].add(oid);
  }
}

interface Leaning {
  readonly size: number;
  readonly names: Names;
  /** Those that need no copy. */
  readonly settled: Names;
}

const isDoomedBy =
  ({ ids, survey }: RelocateRequest) =>
  (id: ContainerId): boolean =>
    ids.has(id) || survey.condemned.has(id);

function leans(record: FoundRecord, isDoomed: (id: ContainerId) => boolean): boolean {
  return isDoomed(record.segment) || record.runs.some(({ container }) => isDoomed(container.id));
}

async function leaningOf(request: RelocateRequest): Promise<Leaning> {
  const { repo, keeps } = request;
  const isDoomed = isDoomedBy(request);
  const names = new Names();
  for (const segment of repo.segments) {
    for await (const record of recordsOf(repo, segment)) {
      if (keeps(record) && leans(record, isDoomed)) names.add(record);
    }
  }
  return { size: names.size, names, settled: new Names() };
}

/** A twin that leans on nothing doomed, and is all there, is as good as a copy. */
async function dropSound(
  { backend }: PoolOptions,
  request: RelocateRequest,
  { names, settled }: Leaning,
): Promise<void> {
  const { repo, survey } = request;
  const isDoomed = isDoomedBy(request);
  const segments = new Set(repo.segments.map(({ ref }) => ref.id));
  const isThere = async (record: FoundRecord): Promise<boolean> => {
    for (const { container } of record.runs) {
      if (container.kind === 'segment' && segments.has(container.id)) continue;
      if (survey.packs.get(container.id)?.sizeBytes === container.sizeBytes) continue;
      const there = await backend.stat(repo.containers.keyOf(container));
      if (there?.sizeBytes !== container.sizeBytes) return false;
    }
    return true;
  };
  for (const segment of repo.segments) {
    if (isDoomed(segment.ref.id)) continue;
    for await (const record of recordsOf(repo, segment)) {
      if (record.state !== 'verified' || !names.has(record) || settled.has(record)) continue;
      if (!leans(record, isDoomed) && (await isThere(record))) settled.add(record);
    }
  }
}

class Mover {
  readonly #hands: RepoHands;
  readonly #request: RelocateRequest;
  readonly #leaning: Leaning;
  readonly #failed = new Map<Digest, DatamonError>();
  #drafts: RecordDraft[] = [];
  #recordCount = 0;

  constructor(hands: RepoHands, request: RelocateRequest, leaning: Leaning) {
    this.#hands = hands;
    this.#request = request;
    this.#leaning = leaning;
  }

  async run(): Promise<Relocation> {
    const { repo } = this.#request;
    const copy = new CopyOut(this.#hands.packs, isDoomedBy(this.#request));
    try {
      for (const segment of repo.segments) {
        for await (const record of recordsOf(repo, segment)) {
          await this.#move(record, copy);
          if (this.#drafts.length >= BATCH_RECORD_COUNT) await this.#flush(copy);
        }
      }
      await this.#flush(copy);
    } finally {
      await copy.dispose();
    }
    const failed = [...this.#failed];
    return {
      recordCount: this.#recordCount,
      damaged: new Map(failed.filter(([, error]) => error.code === 'CORRUPT')),
      gone: failed.filter(([, error]) => error.code === 'NOT_FOUND').map(([oid]) => oid),
    };
  }

  async #move(record: FoundRecord, copy: CopyOut): Promise<void> {
    const { names, settled } = this.#leaning;
    if (!names.has(record) || settled.has(record)) return;
    try {
      const { oid, sizeBytes, kind, state, runs } = record;
      this.#drafts.push(await copy.add({ oid, sizeBytes, kind, state, runs }));
      this.#failed.delete(record.oid);
      settled.add(record);
    } catch (error) {
      if (!hasCode(error, 'CORRUPT') && !hasCode(error, 'NOT_FOUND')) throw error;
      // Another record of it may read. Damage weighs more than absence: only what is gone already may be passed over.
      const before = this.#failed.get(record.oid);
      if (before === undefined || error.code === 'CORRUPT') this.#failed.set(record.oid, error);
    }
  }

  async #flush(copy: CopyOut): Promise<void> {
    const records = this.#drafts;
    this.#drafts = [];
    const waiting = await copy.finish();
    if (records.length === 0) return;
    await this.#hands.committer.commit({ records, waiting });
    this.#recordCount += records.length;
  }
}

/** Fails where something kept cannot be copied. */
export function mustAllMove({ damaged }: Relocation): void {
  const [first] = damaged;
  if (first === undefined) return;
  const [oid, cause] = first;
  throw new DatamonError(
    'CORRUPT',
    `nothing is collected: ${damaged.size} file(s) do not read, the first is ${oid}: ${cause.message}`,
    { cause, hint: 'Push the damaged files again, or repair the store: datamon fsck' },
  );
}
