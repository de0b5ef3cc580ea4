/**
 * The real writers against the real collector, call by call under seeded schedules. What is condemned is chosen by dice among all old
 * containers, since whatever a chooser chooses must be safe. `runReal` tells which schedule lost what.
 */

import type { Backend } from '../../../core/backend/backend.ts';
import { createMemoryBackend } from '../../../core/backend/memory.ts';
import { collect } from '../../../core/bytes.ts';
import { type DirectStores, openDirectStores } from '../../../core/cas/direct-store.ts';
import { DAY_MS } from '../../../core/cas/touch.ts';
import { type Candidate, GRACE_MS } from '../../../core/collect/choose.ts';
import { condemnPlan, setPolicy, sweep } from '../../../core/collect/collector.ts';
import type { CollectPlan } from '../../../core/collect/plan.ts';
import { type PoolOptions, surveyPool } from '../../../core/collect/pool-survey.ts';
import { type Digest, digestOf } from '../../../core/digest.ts';
import { DatamonError } from '../../../core/errors.ts';
import { createSyntheticCommit } from '../../../core/meta/commit-object.ts';
import { DirectHistory } from '../../../core/meta/history.ts';
import type { RawPath } from '../../../core/meta/model.ts';
import { recordBundle } from '../../../core/meta/record.ts';
import { childrenOf } from '../../../core/meta/tree-page.ts';
import { secureRandom } from '../../../core/random.ts';
import { createRepo, openStore } from '../../../core/store.ts';
import { blobOf } from '../../support/blob-of.ts';
import { NAME, POOL_NAME, REMOTE } from '../../support/collect-world.ts';
import { FREE_RECEIPT, pushIdOf } from '../../support/meta-world.ts';
import { seededBytes, splitmix64 } from '../../support/splitmix64.ts';
import { type Dice, inTurns, Turns } from './turns.ts';

export interface RealOptions {
  readonly seed: number;
  readonly schedules: number;
  readonly spoolDir: string;
}

export interface RealResult {
  readonly schedules: number;
  readonly turns: number;
  /** Pushes acknowledged, and containers deleted, in all: a run in which nothing happens proves nothing. */
  readonly acknowledged: number;
  readonly deleted: number;
  /** Collections that found a root damaged by a push too slow for the policy, and went no further. */
  readonly refused: number;
  readonly lost: { readonly schedule: number; readonly what: string } | null;
}

const TINY_CHUNKS = { minBytes: 64, averageBytes: 256, maxBytes: 1024 };
const UNREFERENCED_DAYS = 6;
const HALF_MS = (UNREFERENCED_DAYS * DAY_MS) / 2;
/** Files that share chunks, so that one's pack is another one's hit. */
const FIRST = seededBytes(1, 3000);
const FILES: readonly Uint8Array[] = [
  FIRST,
  Buffer.concat([FIRST.subarray(0, 2000), seededBytes(2, 900)]),
  seededBytes(3, 1200),
];

export async function runReal(options: RealOptions): Promise<RealResult> {
  const sum = { turns: 0, acknowledged: 0, deleted: 0, refused: 0 };
  for (let schedule = 0; schedule < options.schedules; schedule += 1) {
    const run = new Run(options, schedule);
    const lost = await run.play();
    sum.turns += run.turnCount;
    sum.acknowledged += run.acknowledged;
    sum.deleted += run.deleted;
    sum.refused += run.refused;
    if (lost !== null) return { ...sum, schedules: schedule + 1, lost: { schedule, what: lost } };
  }
  return { ...sum, schedules: options.schedules, lost: null };
}

interface Promised {
  readonly oid: Digest;
  /** When it was stored or found, at the latest. */
  readonly sinceMs: number;
  /** Named by a branch soon enough. */
  rooted: boolean;
}

class Run {
  turnCount = 0;
  acknowledged = 0;
  deleted = 0;
  refused = 0;
  #hasSlowPush = false;
  readonly #spoolDir: string;
  readonly #dice: Dice;
  readonly #clock = { ms: Date.UTC(2026, 0, 1) };
  readonly #backend = createMemoryBackend({ now: () => new Date(this.#clock.ms) });
  readonly #promised: Promised[] = [];
  readonly #trouble: unknown[] = [];
  #found: string | null = null;

  constructor({ seed, spoolDir }: RealOptions, schedule: number) {
    const random = splitmix64(seed * 1_000_003 + schedule);
    this.#dice = (count) => Math.floor(random() * count);
    this.#spoolDir = spoolDir;
  }

  async play(): Promise<string | null> {
    await this.#prepare();
    const turns = new Turns(this.#dice);
    const view = (name: string): Backend => inTurns(this.#backend, turns, name);
    for (const name of ['ada', 'bob']) {
      turns.start(name, () => this.#push(view(name), `${name} ${this.#dice(1e9)}`));
    }
    for (const name of ['gc 1', 'gc 2']) {
      const wait = (): Promise<void> => turns.turn(name);
      turns.start(name, () => this.#collect(view(name), wait));
    }
    this.turnCount = await turns.run(() => this.#tick());
    if (this.#trouble.length > 0) throw this.#trouble[0];
    return this.#found ?? (await this.#lost());
  }

  /** Now and then hours or days pass. */
  #tick(): void {
    if (this.#dice(12) > 0) return;
    const hours = [1, 11, 25, 80][this.#dice(4)] ?? 1;
    this.#clock.ms += hours * 60 * 60 * 1000;
  }

  async #prepare(): Promise<void> {
    const backend = this.#backend;
    const store = await openStore(backend, { create: 'if-absent' });
    await createRepo(store, NAME, { createdBy: 'ada', remote: REMOTE });
    const stores = await this.#openStores(backend);
    for (const file of FILES) if (this.#dice(2) === 0) await stores.blobs.put(blobOf(file));
    await stores.close();
    if (this.#dice(4) > 0) {
      const days = { unreferencedDays: UNREFERENCED_DAYS, historyDays: null, by: 'ops' };
      await setPolicy({ backend, pool: POOL_NAME, random: secureRandom }, NAME, days);
    }
    this.#clock.ms += this.#dice(12) * DAY_MS;
  }

  #openStores(backend: Backend): Promise<DirectStores> {
    return openDirectStores({
      backend,
      repo: NAME,
      pool: { ...TINY_CHUNKS, pool: POOL_NAME, seed: '5eed'.repeat(16) },
      spoolDir: this.#spoolDir,
      childrenOf,
      schedule: (_delayMs, run) => setImmediate(run),
    });
  }

  async #push(backend: Backend, push: string): Promise<void> {
    try {
      await this.#pushFiles(backend, push);
    } catch (error) {
      // A writer that slept through a collection is told to try again.
      if (!(error instanceof DatamonError)) this.#trouble.push(error);
    }
  }

  async #pushFiles(backend: Backend, push: string): Promise<void> {
    const stores = await this.#openStores(backend);
    const mine: { readonly file: Uint8Array; readonly promised: Promised }[] = [];
    for (const file of FILES) {
      if (this.#dice(3) === 0) continue;
      const oid = digestOf(file);
      const sinceMs = this.#clock.ms;
      const isThere = this.#dice(2) === 0 && (await stores.blobs.has([oid])).has(oid);
      if (!isThere) await stores.blobs.put(blobOf(file));
      this.acknowledged += 1;
      const promised = { oid, sinceMs, rooted: false };
      this.#promised.push(promised);
      mine.push({ file, promised });
    }
    if (mine.length > 0 && this.#dice(3) > 0) await this.#record(backend, stores, push, mine);
    await stores.close();
  }

  async #record(
    backend: Backend,
    stores: DirectStores,
    push: string,
    mine: readonly { readonly file: Uint8Array; readonly promised: Promised }[],
  ): Promise<void> {
    const { pages } = stores;
    const info = { pool: POOL_NAME, remote: REMOTE, createdBy: 'ada', createdAt: '2026-01-01' };
    const history = new DirectHistory({ backend, repo: NAME, info, pages, random: secureRandom });
    const at = new Date(this.#clock.ms);
    const author = { name: 'Ada', mail: 'ada@example.org' };
    const commit = createSyntheticCommit({
      ...{ message: push, author, at, parents: [], treeLabel: '00' },
    });
    const startMs = this.#clock.ms;
    const files = mine.map(({ file, promised: { oid } }) => ({
      path: oid as string as RawPath,
      kind: 'lfs' as const,
      executable: false,
      oid,
      sizeBytes: file.length,
    }));
    const { bundle, totals } = await recordBundle(
      { pages, history },
      { ...commit, entries: files, rules: { recorder: 1, config: null }, pointerExtensions: [] },
    );
    const described = { bundle, totals, extraOids: null, missing: [], forced: false };
    const firstMs = Math.min(startMs, ...mine.map(({ promised }) => promised.sinceMs));
    const isSlow = (): boolean => this.#clock.ms - firstMs >= HALF_MS;
    this.#hasSlowPush ||= isSlow();
    await history.recordMove({
      ...{ ...described, pushId: pushIdOf(push), remote: REMOTE, ref: 'refs/heads/main' },
      ...{ gitOld: null, gitNew: commit.commit, pushedBy: 'ada', receipt: FREE_RECEIPT },
    });
    this.#hasSlowPush ||= isSlow();
    // Whoever takes longer than half of what the policy gives, from the first file to the ref, is on his own.
    for (const { promised } of mine) {
      const first = Math.min(promised.sinceMs, startMs);
      promised.rooted = this.#clock.ms - first < HALF_MS;
    }
  }

  async #collect(backend: Backend, wait: () => Promise<void>): Promise<void> {
    const options: PoolOptions = {
      ...{ backend, pool: POOL_NAME, random: secureRandom, spoolDir: this.#spoolDir },
    };
    try {
      for (let round = 0; round < 2; round += 1) {
        await condemnPlan(options, await this.#dicedPlan(options), { by: 'gc', limitPercent: 100 });
        const untilMs = this.#clock.ms + GRACE_MS;
        while (this.#clock.ms < untilMs) await wait();
        this.deleted += (await sweep(options)).deletedCount;
        this.#found ??= await this.#lost();
      }
    } catch (error) {
      const code = error instanceof DatamonError ? error.code : null;
      // A push too slow for the policy may leave a branch without its pages; then nothing more is deleted, which is as it should be.
      const isRefusal = code === 'CORRUPT' && this.#hasSlowPush;
      if (isRefusal) this.refused += 1;
      else if (code !== 'UNAVAILABLE') this.#trouble.push(error);
    }
  }

  /** Any half of what is older than the grace. */
  async #dicedPlan(options: PoolOptions): Promise<CollectPlan> {
    const { packs, repos, now } = await surveyPool(options);
    const old = [
      ...[...packs].map(([id, { sizeBytes, createdAt }]) => ({ id, sizeBytes, createdAt })),
      ...repos.flatMap(({ segments }) =>
        segments.map(({ ref, createdAt }) => ({ id: ref.id, sizeBytes: 1, createdAt })),
      ),
    ].filter(({ createdAt }) => now.getTime() - createdAt.getTime() > GRACE_MS);
    const candidates = old
      .filter(() => this.#dice(2) === 0)
      .map(
        ({ id, sizeBytes }): Candidate => ({
          ...{ id, sizeBytes, kind: 'pack', repo: null, liveBytes: 0, why: 'damaged' },
        }),
      );
    const dropped = { recordCount: 0, sizeBytes: 0 };
    return {
      ...{ id: 'd'.repeat(32), store: 'memory:', pool: POOL_NAME, at: now.toISOString() },
      ...{ poolBytes: 1_000_000_000, candidates, dropped, policies: {} },
    };
  }

  async #lost(): Promise<string | null> {
    const stores = await this.#openStores(this.#backend);
    for (const { oid, sinceMs, rooted } of this.#promised) {
      if (!rooted && this.#clock.ms - sinceMs >= HALF_MS && (await stores.isCollected())) continue;
      try {
        const bytes = await collect(stores.blobs.get(oid), 1e6);
        if (digestOf(bytes) !== oid) return `${oid} reads back as something else`;
      } catch (error) {
        return `${oid}: ${String(error)}`;
      }
    }
    await stores.close();
    return null;
  }
}
