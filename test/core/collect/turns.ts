/**
 * Lets several actors use one backend call by call: no call begins before its turn, and dice choose whose turn it is once everybody
 * waits for one. Pauses between any two calls, of any length by the virtual clock, come for nothing.
 */
import type { Backend } from '../../../core/backend/backend.ts';

/** A whole number below `count`. */
export type Dice = (count: number) => number;

interface Waiting {
  readonly actor: string;
  readonly go: () => void;
}

export class Turns {
  readonly #dice: Dice;
  readonly #weights = new Map<string, number>();
  #waiting: Waiting[] = [];
  #running = 0;

  constructor(dice: Dice) {
    this.#dice = dice;
  }

  turn(actor: string): Promise<void> {
    return new Promise((go) => this.#waiting.push({ actor, go }));
  }

  start(actor: string, work: () => Promise<void>): void {
    this.#running += 1;
    this.#weights.set(actor, this.#roll());
    void work().finally(() => {
      this.#running -= 1;
    });
  }

  /** Until every actor is through. `onTurn` is called before each turn. */
  async run(onTurn: () => void): Promise<number> {
    let turns = 0;
    for (; ; turns += 1) {
      await quiet();
      if (this.#waiting.length === 0) {
        if (this.#running === 0) return turns;
        await new Promise((resolve) => setTimeout(resolve, 1));
        continue;
      }
      onTurn();
      this.#waiting.splice(this.#pick(), 1)[0]?.go();
    }
  }

  #pick(): number {
    const weights = this.#waiting.map(({ actor }) => this.#weights.get(actor) ?? 1);
    let left = this.#dice(weights.reduce((sum, weight) => sum + weight, 0));
    for (const [at, weight] of weights.entries()) {
      left -= weight;
      if (left >= 0) continue;
      const actor = this.#waiting[at]?.actor ?? '';
      if (this.#dice(24) === 0) this.#weights.set(actor, this.#roll());
      return at;
    }
    return 0;
  }

  #roll(): number {
    return [1, 20, 400][this.#dice(3)] ?? 1;
  }
}

/** Resolves when all that can go on without a turn has gone on. */
async function quiet(): Promise<void> {
  for (;;) {
    for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    const busy = process
      .getActiveResourcesInfo()
      .some((name) => name.startsWith('FSReq') || name.startsWith('Zlib'));
    if (!busy) return;
  }
}

/** One actor's view of the backend. */
export function inTurns(backend: Backend, turns: Turns, actor: string): Backend {
  const answer = async <T>(call: () => Promise<T>): Promise<T> => {
    await turns.turn(actor);
    return call();
  };
  return {
    url: backend.url,
    putIfAbsent: (key, body) => answer(() => backend.putIfAbsent(key, body)),
    stat: (key) => answer(() => backend.stat(key)),
    remove: (key) => answer(() => backend.remove(key)),
    now: () => answer(() => backend.now()),
    async *get(key, range) {
      await turns.turn(actor);
      yield* backend.get(key, range);
    },
    async *list(prefix, after) {
      await turns.turn(actor);
      yield* backend.list(prefix, after);
    },
  };
}
