/**
 * kill -9 of processes that work straight on a store, four at a time, at any moment of their lives, also while they open it. After
 * each the dead one's attempts are looked at; now and then everything is, with fresh eyes; every so often a new store is begun, after
 * every file, tree and log of the old one was read.
 */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { HistoryChecker } from '../../support/history-checker.ts';
import { splitmix64 } from '../../support/splitmix64.ts';
import type { SoakKind, SoakOptions, SoakResult } from '../kind.ts';
import { Told } from '../lines.ts';
import { type Programs, preparePrograms, startProgram } from '../programs.ts';
import { type OpenedStore, openSoakStore } from '../sight-of-store.ts';

const KILLS_PER_STORE = 250;
const KILLS_PER_FULL_LOOK = 25;
const AT_ONCE = 4;
/** How many lines a process may say, and how much longer it lives then; and how many of them are not even let begin. */
const LINES_MAX = 20;
const MOMENT_MAX_MS = 20;
const EARLY_SHARE = 0.1;
const START_MAX_MS = 150;

/** One store, and the lives that were spent on it. */
class Reign {
  readonly root: string;
  readonly history = new HistoryChecker();
  kills = 0;
  readonly #options: SoakOptions;
  readonly #programs: Programs;
  #opened: OpenedStore | null = null;

  constructor(options: SoakOptions, programs: Programs, root: string) {
    this.#options = options;
    this.#programs = programs;
    this.root = root;
  }

  /** One life: begun, killed, and looked at. */
  async spend(seed: number): Promise<void> {
    const random = splitmix64(seed);
    const told = new Told(this.history);
    let linesLeft = 1 + Math.floor(random() * LINES_MAX);
    let saidEnough = (): void => {};
    const isDue = new Promise<void>((resolve) => {
      saidEnough = resolve;
    });
    const { child, ended } = startProgram(
      this.#programs,
      'test/soak/store-writer.ts',
      [this.root, String(seed), this.#options.planted ?? ''],
      (line) => {
        told.note(line);
        linesLeft -= 1;
        if (linesLeft === 0) saidEnough();
      },
    );
    if (random() < EARLY_SHARE) await sleep(random() * START_MAX_MS);
    else {
      await Promise.race([isDue, ended]);
      await sleep(random() * MOMENT_MAX_MS);
    }
    child.kill('SIGKILL');
    const { signal, said } = await ended;
    if (signal !== 'SIGKILL') this.#broken(seed, `the process ended by itself: ${said}`);
    told.over();
    for (const failure of told.failures) this.#options.report.note(failure);
    this.kills += 1;
    await this.#look(seed, told.objects());
  }

  async #look(seed: number, names: readonly string[]): Promise<void> {
    const full = this.kills % KILLS_PER_FULL_LOOK === 0;
    if (full) this.#opened = null;
    this.#opened ??= await openSoakStore(this.root);
    const { sight } = this.#opened;
    const wrong = full
      ? await this.history.check(sight)
      : await this.history.checkObjects(sight, names);
    for (const what of wrong) this.#broken(seed, what);
  }

  /** Everything there is, read with fresh eyes, and nothing else. */
  async close(seed: number): Promise<void> {
    const opened = await openSoakStore(this.root, { trees: 'all' });
    const wrong = await this.history.check(opened.sight);
    wrong.push(...(await this.history.strangers(opened.sight)));
    wrong.push(...(await opened.damage()));
    for (const what of wrong) this.#broken(seed, what);
    await opened.repository.close();
    if (!this.#options.report.enough) await rm(this.root, { recursive: true, force: true });
  }

  #broken(seed: number, what: string): void {
    const replay = `npm run soak -- --only kill --count ${KILLS_PER_FULL_LOOK} --seed ${seed}`;
    this.#options.report.broken({ what, replay });
  }
}

async function run(options: SoakOptions): Promise<SoakResult> {
  const { count, seed, folder, report, starts } = options;
  const programs = await preparePrograms(starts, folder);
  let done = 0;
  let acknowledged = 0;
  let stores = 0;
  while (done < count && !report.enough) {
    const root = join(folder, `store-${stores}`);
    await mkdir(root);
    const reign = new Reign(options, programs, root);
    const target = Math.min(KILLS_PER_STORE, count - done);
    let begun = 0;
    const slot = async (): Promise<void> => {
      while (begun < target && !report.enough) {
        begun += 1;
        await reign.spend(seed + done + begun);
        report.progress(done + reign.kills);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, slot));
    await reign.close(seed + done);
    done += reign.kills;
    acknowledged += reign.history.counts.acknowledged;
    stores += 1;
  }
  return { done, facts: { acknowledged, stores } };
}

export const kill: SoakKind = {
  name: 'kill',
  unit: 'kills',
  promise:
    'kill -9 of a process that writes to a store loses nothing acknowledged and shows nothing half done',
  defaultCount: 1000,
  sliceCount: 6,
  plants: ['acknowledges early', 'lists what is absent'],
  run,
};
