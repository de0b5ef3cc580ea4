/**
 * Every bit of a store, turned over one at a time: a pack of 64 KiB, segments, the pages and bundles of a push, entries of logs. Its
 * proof must fail; whoever reads the store meanwhile must read what was stored or be refused, never anything else; and where a replica
 * has a good copy, healing makes the bad one equal to it and touches nothing else.
 */
import type { Backend } from '../../../core/backend/backend.ts';
import { createMemoryBackend } from '../../../core/backend/memory.ts';
import { collect } from '../../../core/bytes.ts';
import { MERGE_SEGMENT_COUNT } from '../../../core/cas/merger.ts';
import { type Digest, digestOf } from '../../../core/digest.ts';
import { DatamonError } from '../../../core/errors.ts';
import type { Key, RepoName } from '../../../core/keys.ts';
import type { Entry } from '../../../core/meta/model.ts';
import { openRepository } from '../../../core/open-repository.ts';
import { proveObject } from '../../../core/scrub/prove-object.ts';
import { compressAtOnce } from '../../support/compress-at-once.ts';
import { fileEntry, recordSimplePush } from '../../support/simple-push.ts';
import { sourceOf } from '../../support/source-of.ts';
import { seededBytes, splitmix64 } from '../../support/splitmix64.ts';
import { type Damage, HealingPair } from '../healing-pair.ts';
import type { SoakKind, SoakOptions, SoakResult } from '../kind.ts';

const REPO = 'acme/soak' as RepoName;
/** One file nearly as large as the pack, so that nearly every bit of it is that file's. */
const LARGE_FILE_SIZE_BYTES = 60_000;
const SMALL_FILE_SIZE_BYTES = 200;
/** All are proved, one in so many is read. Odd, so that over a whole store every bit of a byte has its turn. */
const READ_ONE_IN = 5;
/** Every bit of objects up to this size is healed, of larger ones one bit in so many. */
const HEALED_WHOLLY_SIZE_MAX_BYTES = 4096;
const HEAL_ONE_IN = 61;

interface Stored {
  readonly key: Key;
  readonly bytes: Buffer;
}

interface World {
  readonly backend: Backend;
  readonly objects: readonly Stored[];
  readonly large: Digest;
  /** Bundles in the branch's log. */
  readonly bundles: readonly string[];
}

const schedule = (_delayMs: number, go: () => void): void => void setImmediate(go);
const open = (backend: Backend) =>
  openRepository(backend, REPO, {
    create: { by: 'soak', remote: null },
    spoolDir: '/nowhere',
    schedule,
  });

async function makeWorld(seed: number): Promise<World> {
  const backend = createMemoryBackend();
  const repository = await open(backend);
  const entries: Entry[] = [];
  for (let n = 0; n < MERGE_SEGMENT_COUNT; n += 1) {
    const size = n === 0 ? LARGE_FILE_SIZE_BYTES : SMALL_FILE_SIZE_BYTES;
    const source = sourceOf(seededBytes(seed * 100 + n, size));
    await repository.blobs.put(source);
    entries.push(fileEntry(`data/${n}`, source.oid, size));
  }
  // The sixteenth was merged with the others: what they inlined is a pack now.
  await repository.close();
  for (const name of ['one', 'two']) {
    await recordSimplePush(repository, { name, entries });
    entries.pop();
  }
  await repository.close();
  const objects: Stored[] = [];
  for await (const { key } of backend.list('')) {
    objects.push({ key, bytes: await collect(backend.get(key), 2 ** 24) });
  }
  const bundles: string[] = [];
  for await (const { event } of repository.history.branchLog('main')) {
    bundles.push(`${event.bundle}`);
  }
  return { backend, objects, large: entries[0]?.oid as Digest, bundles };
}

/** The store, but one object reads with one bit turned over. */
function turned({ backend }: World, { key, bytes }: Stored): Backend {
  return {
    ...backend,
    async *get(asked, range) {
      if (asked === key) yield bytes.subarray(range?.start ?? 0, range?.end ?? bytes.length);
      else yield* backend.get(asked, range);
    },
  };
}

/** What a reader gets who opens the store with that bit turned over: `right`, `refused`, or what is wrong about it. */
async function readThrough(world: World, damaged: Stored): Promise<string> {
  try {
    const repository = await open(turned(world, damaged));
    const bytes = await collect(repository.blobs.get(world.large), 2 ** 20);
    if (digestOf(bytes) !== world.large) return 'the file reads wrongly';
    const bundles: string[] = [];
    for await (const { event } of repository.history.branchLog('main')) {
      bundles.push(`${event.bundle}`);
      if (event.bundle !== null) await repository.history.getBundle(event.bundle);
    }
    return bundles.join() === world.bundles.join() ? 'right' : `the log reads ${bundles}`;
  } catch (error) {
    return error instanceof DatamonError ? 'refused' : `an untyped error: ${String(error)}`;
  }
}

async function isProved(world: World, damaged: Stored): Promise<boolean> {
  return (await proveObject(turned(world, damaged), damaged.key)).verdict === 'sound';
}

interface Turning extends Stored {
  readonly bit: number;
}

const bitCount = ({ bytes }: Stored): number => bytes.length * 8;
const sum = (numbers: readonly number[]): number =>
  numbers.reduce((total, each) => total + each, 0);

/** Every bit in turn, or as many as asked for, picked by the seed. */
function* turnings(world: World, { count, seed, planted }: SoakOptions): Generator<Turning> {
  const total = sum(world.objects.map(bitCount));
  const random = splitmix64(seed);
  for (let n = 0; n < Math.min(count, total); n += 1) {
    let bit = count >= total ? n : Math.floor(random() * total);
    let index = 0;
    for (; bit >= bitCount(world.objects[index] as Stored); index += 1) {
      bit -= bitCount(world.objects[index] as Stored);
    }
    const { key, bytes } = world.objects[index] as Stored;
    const copy = Buffer.from(bytes);
    const mask = planted === 'nothing turned' ? 0 : 1 << (bit & 7);
    copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ mask;
    yield { key, bit, bytes: copy };
  }
}

const isHealed = ({ bytes, bit }: Turning): boolean =>
  bytes.length <= HEALED_WHOLLY_SIZE_MAX_BYTES || bit % HEAL_ONE_IN === 0;

/** Bytes take turns at which of the two copies is the bad one. */
const damageOf = ({ key, bytes, bit }: Turning): Damage => ({
  key,
  bytes,
  in: (bit >> 3) % 2 === 0 ? 'home' : 'replica',
});

/** One bit after the other; what came of them is counted. */
class Trial {
  readonly outcomes = { right: 0, refused: 0, healed: 0 };
  readonly #world: World;
  readonly #pair: HealingPair;
  readonly #planted: string | undefined;

  constructor(world: World, pair: HealingPair, planted: string | undefined) {
    this.#world = world;
    this.#pair = pair;
    this.#planted = planted;
  }

  /** What is wrong with the nth. */
  async *wrongs(turning: Turning, n: number): AsyncGenerator<string> {
    if (await isProved(this.#world, turning)) yield 'its proof holds';
    if (n % READ_ONE_IN === 0) yield* this.#read(turning);
    if (isHealed(turning)) yield* this.#heal(turning);
  }

  async *#read(turning: Turning): AsyncGenerator<string> {
    const read = await readThrough(this.#world, turning);
    if (read === 'right' || read === 'refused') this.outcomes[read] += 1;
    else yield read;
  }

  async *#heal(turning: Turning): AsyncGenerator<string> {
    const how = this.#planted === 'nothing healed' ? 'leave' : 'heal';
    const wrong = await this.#pair.heal(damageOf(turning), how);
    if (wrong === null) this.outcomes.healed += 1;
    else yield wrong;
  }
}

async function run(options: SoakOptions): Promise<SoakResult> {
  const { count, seed, report, planted } = options;
  const release = compressAtOnce();
  try {
    const world = await makeWorld(seed);
    const trial = new Trial(world, await HealingPair.of(world.backend), planted);
    const replay = `npm run soak -- --only bits --count ${count} --seed ${seed}`;
    let done = 0;
    for (const turning of turnings(world, options)) {
      if (report.enough) break;
      for await (const wrong of trial.wrongs(turning, done)) {
        report.broken({ what: `bit ${turning.bit} of ${turning.key}: ${wrong}`, replay });
      }
      done += 1;
      report.progress(done);
    }
    return { done, facts: { bits: sum(world.objects.map(bitCount)), ...trial.outcomes } };
  } finally {
    release();
  }
}

export const bits: SoakKind = {
  name: 'bits',
  unit: 'bits',
  promise:
    'any one bit of a store turned over is found by its proof, no reader is ever given wrong bytes for it, and where a replica has a good copy it is healed',
  defaultCount: 10_000_000,
  sliceCount: 1000,
  plants: ['nothing turned', 'nothing healed'],
  run,
};
