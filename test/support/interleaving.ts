/**
 * Runs several actors on one store, call by call. Promise: no call to the store is begun before its turn, one turn is taken at a time,
 * and the next one is chosen only when everybody waits for one. So the same choices make the same history, and the real code
 * of core goes through any order of calls that real processes could bring about; pauses of days cost nothing.
 *
 * An actor is whatever work is run with its own view of the store. It sleeps, and sets timers, through its own view too: the clock moves
 * when such a turn is taken, however far. An actor can die at any turn, before or after the call was done, as a killed process does.
 */
import type { Backend } from '../../core/backend/backend.ts';
import type { Random } from '../../core/random.ts';
import type { Choose } from './choosing.ts';
import { compressAtOnce } from './compress-at-once.ts';
import type { Verb } from './faulty-backend.ts';
import { seededBytes } from './splitmix64.ts';
import type { VirtualClock } from './virtual-clock.ts';

/** Keys that one turn of a list reads; what comes and goes between two turns is seen or not, as in a store that lists by pages. */
const LIST_PAGE_KEY_COUNT = 1000;
const TURN_COUNT_MAX = 200_000;
const STUCK_AFTER_MS = 2000;

export interface Turn {
  readonly actor: string;
  readonly verb: Verb | 'next page' | 'sleep' | 'timer';
  /** The key or prefix; of a sleep or timer, the milliseconds. */
  readonly what: string;
}

export type Fate = 'lives' | 'dies before' | 'dies after';

export interface InterleavingOptions {
  /** The store itself, with `clock` as its clock: `createMemoryBackend({ now: clock.now })`. */
  readonly backend: Backend;
  readonly clock: VirtualClock;
  readonly choose: Choose;
  /** Whether an actor dies at this turn; turns are counted from 0. */
  readonly fate?: (turn: Turn, index: number) => Fate;
  readonly listPageKeyCount?: number;
  /** Real time without a turn after which somebody must be waiting for what never comes. */
  readonly stuckAfterMs?: number;
}

/** What an actor sees of the world. */
export interface Actor {
  readonly name: string;
  readonly backend: Backend;
  readonly sleep: (milliseconds: number) => Promise<void>;
  /** For options called `schedule`. */
  readonly schedule: (delayMs: number, run: () => void) => void;
  /** Of its own, decided by its name: ids do not depend on who was faster. */
  readonly random: Random;
}

export type Outcome<T> =
  | { readonly status: 'done'; readonly value: T }
  | { readonly status: 'failed'; readonly error: unknown }
  | { readonly status: 'died' };

interface Waiting extends Turn {
  readonly dueMs: number | null;
  readonly go: () => void;
}

export class Interleaving {
  readonly #options: InterleavingOptions;
  readonly #names: string[] = [];
  readonly #dead = new Set<string>();
  readonly #trace: string[] = [];
  #waiting: Waiting[] = [];
  #last: string | null = null;

  constructor(options: InterleavingOptions) {
    this.#options = options;
  }

  /** The turns taken so far: `pusher putIfAbsent repos/…`. */
  get trace(): readonly string[] {
    return this.#trace;
  }

  /** Runs them all to their ends, and then what they left running. May be called again, for what comes afterwards. */
  async run<T>(
    work: Readonly<Record<string, (actor: Actor) => Promise<T>>>,
  ): Promise<Readonly<Record<string, Outcome<T>>>> {
    const outcomes: Record<string, Outcome<T>> = {};
    const release = compressAtOnce();
    try {
      for (const [name, begin] of Object.entries(work)) {
        if (!this.#names.includes(name)) this.#names.push(name);
        begin(this.actor(name)).then(
          (value) => {
            outcomes[name] ??= { status: 'done', value };
          },
          (error: unknown) => {
            outcomes[name] ??= { status: 'failed', error };
          },
        );
      }
      const isOver = (): boolean => Object.keys(work).every((name) => name in outcomes);
      await this.#drive(isOver, (name) => {
        outcomes[name] ??= { status: 'died' };
      });
    } finally {
      release();
    }
    return outcomes;
  }

  /** That actor's view of the world; `run` hands it out too. */
  actor(name: string): Actor {
    if (!this.#names.includes(name)) this.#names.push(name);
    const { clock } = this.#options;
    return {
      name,
      backend: this.#view(name),
      sleep: (ms) => this.#turn({ actor: name, verb: 'sleep', what: `${ms}` }, clock.nowMs + ms),
      schedule: (ms, run) => {
        void this.#turn({ actor: name, verb: 'timer', what: `${ms}` }, clock.nowMs + ms).then(run);
      },
      random: randomOf(name),
    };
  }

  async #drive(isOver: () => boolean, onDeath: (name: string) => void): Promise<void> {
    const { stuckAfterMs = STUCK_AFTER_MS } = this.#options;
    for (let idleSince = performance.now(); ; ) {
      await quiet();
      if (this.#waiting.length > 0) {
        this.#take(onDeath);
        idleSince = performance.now();
      } else if (isOver()) return;
      else if (performance.now() - idleSince > stuckAfterMs) {
        throw new Error(
          `nobody can go on after ${this.#trace.length} turns: ${this.#trace.at(-1)}`,
        );
      }
    }
  }

  #take(onDeath: (name: string) => void): void {
    const turns = this.#inOrder();
    const turn = turns[this.#options.choose(turns)];
    if (turn === undefined) throw new Error(`there are ${turns.length} turns to choose from`);
    const { actor, verb, what } = turn;
    const index = this.#trace.push(`${actor} ${verb} ${what}`) - 1;
    if (index >= TURN_COUNT_MAX) throw new Error(`no end after ${index} turns`);
    this.#last = actor;
    const fate = this.#options.fate?.(turn, index) ?? 'lives';
    if (fate !== 'lives') {
      this.#dead.add(actor);
      this.#waiting = this.#waiting.filter((other) => other.actor !== actor);
      onDeath(actor);
      if (fate === 'dies before') return;
    }
    this.#waiting = this.#waiting.filter((other) => other !== turn);
    if (turn.dueMs !== null) this.#options.clock.advanceTo(turn.dueMs);
    turn.go();
  }

  /** Of who went last first, so that choosing the first means going on. */
  #inOrder(): readonly Waiting[] {
    const rank = ({ actor }: Turn): number =>
      actor === this.#last ? -1 : this.#names.indexOf(actor);
    return this.#waiting.toSorted((a, b) => rank(a) - rank(b));
  }

  /** Resolves when it is this one's turn; never, for the dead. */
  #turn(turn: Turn, dueMs: number | null = null): Promise<void> {
    return new Promise((go) => {
      if (!this.#dead.has(turn.actor)) this.#waiting.push({ ...turn, dueMs, go });
    });
  }

  #view(actor: string): Backend {
    const { backend, listPageKeyCount = LIST_PAGE_KEY_COUNT } = this.#options;
    const turn = (verb: Turn['verb'], what: string): Promise<void> =>
      this.#turn({ actor, verb, what });
    const answer = async <T>(verb: Verb, what: string, call: () => Promise<T>): Promise<T> => {
      await turn(verb, what);
      const outcome = call();
      // Done, but nobody is left to learn of it.
      return this.#dead.has(actor) ? outcome.then(never, never) : outcome;
    };
    const dead = (): boolean => this.#dead.has(actor);
    return {
      url: backend.url,
      putIfAbsent: (key, body) => answer('putIfAbsent', key, () => backend.putIfAbsent(key, body)),
      stat: (key) => answer('stat', key, () => backend.stat(key)),
      remove: (key) => answer('remove', key, () => backend.remove(key)),
      now: () => answer('now', '', () => backend.now()),
      async *get(key, range) {
        await turn('get', range === undefined ? key : `${key} ${range.start}-${range.end ?? ''}`);
        if (dead()) await never();
        yield* backend.get(key, range);
      },
      async *list(prefix, after) {
        await turn('list', prefix);
        if (dead()) await never();
        let last = '';
        const pages = backend.list(prefix, after)[Symbol.asyncIterator]();
        try {
          for (let count = 0; ; count += 1) {
            if (count > 0 && count % listPageKeyCount === 0) await turn('next page', last);
            const { done, value } = await pages.next();
            if (done === true) return;
            last = value.key;
            yield value;
          }
        } finally {
          await pages.return?.();
        }
      },
    };
  }
}

/** The value of an actor that must have ended well; its error otherwise. */
export function ended<T>(outcome: Outcome<T> | undefined): T {
  if (outcome?.status === 'done') return outcome.value;
  if (outcome?.status === 'failed') throw outcome.error;
  throw new Error(outcome === undefined ? 'no such actor' : 'that actor died');
}

const never = (): Promise<never> => new Promise(() => {});

function randomOf(name: string): Random {
  const seed = [...name].reduce((sum, char) => (sum * 31 + char.charCodeAt(0)) % 2 ** 31, 7);
  let at = 0;
  return (count) => {
    at += count;
    return Buffer.from(seededBytes(seed, count, at - count));
  };
}

/** Resolves when nothing runs any more but what waits for a turn: promises are through, and so are files. */
async function quiet(): Promise<void> {
  for (;;) {
    await new Promise((resolve) => setImmediate(resolve));
    if (!process.getActiveResourcesInfo().some((name) => name.startsWith('FSReq'))) return;
  }
}
