/**
 * Power loss: the real store, on a file system in memory that forgets what was not fsynced, works through a script of puts, pushes
 * and merges. After every call to that file system several power losses are tried, each keeping other parts of what was not synced:
 * then the store is opened anew and held to what was acknowledged by that call. Some of these openings lose power themselves.
 */
import { crc32 } from 'node:zlib';
import { openLocalBackend } from '../../../backends/local.ts';
import { collect } from '../../../core/bytes.ts';
import { type Digest, digestOf } from '../../../core/digest.ts';
import type { RepoName } from '../../../core/keys.ts';
import type { LocalHost } from '../../../core/local-host.ts';
import type { Entry } from '../../../core/meta/model.ts';
import { type DirectRepository, openRepository } from '../../../core/open-repository.ts';
import { compressAtOnce } from '../../support/compress-at-once.ts';
import { CrashFs } from '../../support/crash-fs.ts';
import { fileEntry, pushIdOf, recordSimplePush } from '../../support/simple-push.ts';
import { sourceOf } from '../../support/source-of.ts';
import { seededBytes, splitmix64 } from '../../support/splitmix64.ts';
import type { SoakKind, SoakOptions, SoakResult } from '../kind.ts';

const FOLDER = '/data';
const ROOT = '/data/store';
const REPO = 'acme/soak' as RepoName;
/** So many are merged at the sixteenth, and some steps follow. */
const STEP_COUNT = 24;
const LOSSES_PER_CALL = 16;
/** Calls after which a power loss leaves what it left after the call before. */
const HARMLESS = /^(stat|read|list|folder|close) /;
/** One opening in so many loses power again, at each of its own calls. */
const NESTED_ONE_IN = 100;
/** Files read back in each state; all acknowledged ones are asked for. */
const READ_BACK_COUNT = 2;

/** What had been promised at some moment. */
interface Promised {
  readonly blobs: readonly Digest[];
  readonly pushes: readonly string[];
  readonly repoMade: boolean;
}

const hostOf = (pid: number): LocalHost => ({
  id: 'aaaaaaaaaaaa',
  pid,
  isAlive: async (other) => other === pid,
});

const schedule = (_delayMs: number, go: () => void): void => void setImmediate(go);

async function open(
  fs: CrashFs,
  pid: number,
  create: 'create' | 'find',
): Promise<DirectRepository> {
  const backend = await openLocalBackend(ROOT, { fs, host: hostOf(pid) });
  return await openRepository(backend, REPO, {
    spoolDir: '/nowhere',
    schedule,
    ...(create === 'create' && { create: { by: 'soak', remote: null } }),
  });
}

/** A script by seed: its steps, and what was promised when. */
class Script {
  readonly fs = new CrashFs(FOLDER);
  readonly #random: () => number;
  readonly #seed: number;
  #blobs: Digest[] = [];
  #pushes: string[] = [];
  #repoMade = false;

  constructor(seed: number) {
    this.#seed = seed;
    this.#random = splitmix64(seed);
  }

  promised(): Promised {
    return { blobs: [...this.#blobs], pushes: [...this.#pushes], repoMade: this.#repoMade };
  }

  async play(): Promise<void> {
    const repository = await open(this.fs, 1, 'create');
    this.#repoMade = true;
    const entries: Entry[] = [];
    for (let step = 0; step < STEP_COUNT; step += 1) {
      if (this.#random() < 0.2) {
        await recordSimplePush(repository, { name: `${this.#seed}.${step}`, entries });
        this.#pushes.push(pushIdOf(`${this.#seed}.${step}`));
      } else {
        const count = 1 + Math.floor(this.#random() * 4);
        await Promise.all(
          Array.from({ length: count }, () => this.#put(repository, step, entries)),
        );
      }
    }
    await repository.close();
  }

  async #put(repository: DirectRepository, step: number, entries: Entry[]): Promise<void> {
    const size = 1 + Math.floor(this.#random() * (this.#random() < 0.1 ? 60_000 : 3000));
    const bytes = seededBytes(this.#seed * 1000 + step + Math.floor(this.#random() * 500), size);
    const source = sourceOf(bytes);
    await repository.blobs.put(source);
    this.#blobs.push(source.oid);
    entries.push(fileEntry(`data/${step}/${source.oid.slice(0, 8)}`, source.oid, size));
  }
}

/** What is wrong with a store after a power loss, or null. `live` is the file system the power went from. */
async function problemOf(after: CrashFs, live: ReadonlyMap<string, Buffer>, promised: Promised) {
  for (const [path, bytes] of after.files()) {
    if (path.startsWith(`${ROOT}/tmp/`)) continue;
    if (live.get(path)?.equals(bytes) !== true) return `${path} is visible and not whole`;
  }
  if (!promised.repoMade) return null;
  try {
    return await problemInside(await open(after, 2, 'find'), promised);
  } catch (error) {
    return `the store does not open or read: ${String(error)}`;
  }
}

async function problemInside(
  repository: DirectRepository,
  { blobs, pushes }: Promised,
): Promise<string | null> {
  const held = await repository.blobs.has(blobs);
  const lost = blobs.filter((oid) => !held.has(oid));
  if (lost.length > 0) return `${lost} was acknowledged and is gone`;
  for (const oid of blobs.slice(-READ_BACK_COUNT)) {
    const bytes = await collect(repository.blobs.get(oid), 2 ** 20);
    if (digestOf(bytes) !== oid) return `${oid} reads wrongly`;
  }
  const logged = new Set<string>();
  for await (const { event } of repository.history.branchLog('main')) {
    logged.add(event.pushId);
    if (event.bundle !== null) {
      const { tree } = await repository.history.getBundle(event.bundle);
      await repository.pages.getPage(tree);
    }
  }
  const unlogged = pushes.filter((push) => !logged.has(push));
  return unlogged.length > 0 ? `the pushes ${unlogged} were acknowledged and are gone` : null;
}

/** Equal for file systems that hold the same: every state is counted once for each call. */
function appearance(after: CrashFs, live: ReadonlyMap<string, Buffer>): string {
  let looks = '';
  for (const [path, bytes] of after.files()) {
    looks += `${path} ${bytes.length} ${live.get(path) === bytes ? '' : crc32(bytes)}\n`;
  }
  return looks;
}

interface State {
  readonly after: CrashFs;
  readonly live: ReadonlyMap<string, Buffer>;
  readonly promised: Promised;
  readonly where: string;
}

class Run {
  done = 0;
  nested = 0;
  scripts = 0;
  readonly #options: SoakOptions;
  /** Taken while a script runs, looked at when it is its turn. */
  #states: State[] = [];

  constructor(options: SoakOptions) {
    this.#options = options;
  }

  async script(seed: number): Promise<void> {
    const script = new Script(seed);
    const random = splitmix64(seed + 2 ** 40);
    plant(script.fs, this.#options.planted);
    script.fs.afterStep = async (step, index) => {
      if (HARMLESS.test(step) || this.#isOver()) return;
      const promised = script.promised();
      const live = script.fs.files();
      const had = new Set<string>();
      for (let n = 0; n < LOSSES_PER_CALL; n += 1) {
        const after = script.fs.crashed(n === 0 ? 'synced' : random);
        const looks = appearance(after, live);
        if (had.has(looks)) continue;
        had.add(looks);
        this.#states.push({ after, live, promised, where: `call ${index}: ${step}, loss ${n}` });
      }
      await this.#lookAtAll(seed);
    };
    await script.play();
    this.scripts += 1;
  }

  async #lookAtAll(seed: number): Promise<void> {
    for (const state of this.#states.splice(0)) {
      if (this.#isOver()) return;
      if (this.done % NESTED_ONE_IN === 0) await this.#lookTwice(state, seed);
      else await this.#look(state, seed);
    }
    this.#options.report.progress(this.done);
  }

  #isOver(): boolean {
    const { count, report } = this.#options;
    return this.done >= count || report.enough;
  }

  async #look(state: State, seed: number): Promise<void> {
    this.done += 1;
    const what = await problemOf(state.after, state.live, state.promised);
    if (what !== null) this.#options.report.broken({ what, replay: replayOf(seed, state.where) });
  }

  /** The opening itself loses power at each of its calls. */
  async #lookTwice(state: State, seed: number): Promise<void> {
    const { live, promised } = state;
    const again: State[] = [];
    state.after.afterStep = async (step, index) => {
      if (HARMLESS.test(step)) return;
      const where = `${state.where}; then call ${index} of the opening: ${step}`;
      again.push({ after: state.after.crashed('synced'), live, promised, where });
    };
    await this.#look(state, seed);
    for (const next of again) {
      if (this.#isOver()) return;
      this.nested += 1;
      await this.#look(next, seed);
    }
  }
}

const replayOf = (seed: number, where: string): string =>
  `npm run soak -- --only power --count 20000 --seed ${seed}    (${where})`;

/** Mistakes a store could make, made by the file system in its place. */
function plant(fs: CrashFs, mistake: string | undefined): void {
  const openFile = fs.open.bind(fs);
  const unsynced = (how: string): boolean =>
    (mistake === 'no file fsync' && how === 'create') ||
    (mistake === 'no folder fsync' && how === 'folder');
  fs.open = async (path, how) => {
    const file = await openFile(path, how);
    return unsynced(how) ? { ...file, sync: async () => {} } : file;
  };
}

async function run(options: SoakOptions): Promise<SoakResult> {
  const release = compressAtOnce();
  // A store that asks whether things are there fails often, and nobody reads where.
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  const states = new Run(options);
  try {
    for (
      let seed = options.seed;
      states.done < options.count && !options.report.enough;
      seed += 1
    ) {
      await states.script(seed);
    }
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
    release();
  }
  return { done: states.done, facts: { nested: states.nested, scripts: states.scripts } };
}

export const power: SoakKind = {
  name: 'power',
  unit: 'states',
  promise:
    'a power loss at any call of the store to its disk, keeping any part of what was not synced, loses nothing acknowledged',
  defaultCount: 100_000,
  sliceCount: 2000,
  plants: ['no file fsync', 'no folder fsync'],
  run,
};
