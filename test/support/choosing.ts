/**
 * Who goes next, for an Interleaving: by a seed, by priorities that a seed upsets now and then, by a list of numbers
 * (a replay, or what fast-check shrinks), or every way there is. Each is decided by its arguments alone.
 */
import type { Turn } from './interleaving.ts';
import { splitmix64 } from './splitmix64.ts';

/** Index of the turn to take. Turns of whoever went last come first, then the others in the order they were named. */
export type Choose = (turns: readonly Turn[]) => number;

/** Any of them, each as likely. */
export function bySeed(seed: number): Choose {
  const random = splitmix64(seed);
  return (turns) => Math.floor(random() * turns.length);
}

/**
 * The one of highest priority; `dips` times, at turns that the seed picks among the first `turnCount`, whoever goes falls behind all
 * others. Finds what needs few switches at the right moments far sooner than `bySeed` does.
 */
export function byPriorities(seed: number, dips: number, turnCount: number): Choose {
  const random = splitmix64(seed);
  const priorities = new Map<string, number>();
  const dipAt = new Set(Array.from({ length: dips }, () => Math.floor(random() * turnCount)));
  let turn = 0;
  const priorityOf = (actor: string): number => {
    const priority = priorities.get(actor) ?? random();
    priorities.set(actor, priority);
    return priority;
  };
  const highest = (turns: readonly Turn[]): number => {
    let best = 0;
    for (const [index, { actor }] of turns.entries()) {
      if (priorityOf(actor) > priorityOf(turns[best]?.actor ?? '')) best = index;
    }
    return best;
  };
  return (turns) => {
    const fallen = dipAt.has(turn) ? turns[highest(turns)]?.actor : undefined;
    if (fallen !== undefined) priorities.set(fallen, -turn);
    turn += 1;
    return highest(turns);
  };
}

/** These choices, then always the first: whoever went last goes on. Numbers may be any; they are taken modulo the turns there are. */
export function byTape(choices: readonly number[]): Choose {
  let at = 0;
  return (turns) => {
    const choice = choices[at] ?? 0;
    at += 1;
    return choice % turns.length;
  };
}

interface Fork {
  readonly count: number;
  chosen: number;
}

/** Every schedule that takes the turn from a living actor at most `switchMax` times, one after the other. */
export class EveryWay {
  readonly #switchMax: number;
  #forks: Fork[] = [];
  #begun = false;

  constructor(switchMax = Number.POSITIVE_INFINITY) {
    this.#switchMax = switchMax;
  }

  /** The next schedule, or null when all were had. What it decides must be run to its end before the next is asked for. */
  next(): Choose | null {
    if (this.#begun && !this.#turnOver()) return null;
    this.#begun = true;
    let at = 0;
    let switches = 0;
    let last: string | null = null;
    return (turns) => {
      const own = turns.filter(({ actor }) => actor === last).length;
      const canGoOn = own > 0;
      const count = canGoOn && switches >= this.#switchMax ? own : turns.length;
      const fork = this.#forks[at] ?? { count, chosen: 0 };
      if (fork.count !== count) throw new Error(`turn ${at} had ${fork.count} ways, now ${count}`);
      this.#forks[at] = fork;
      at += 1;
      const actor = turns[fork.chosen]?.actor ?? null;
      if (canGoOn && actor !== last) switches += 1;
      last = actor;
      return fork.chosen;
    };
  }

  /** What the schedule before chose, for `byTape`. */
  get tape(): readonly number[] {
    return this.#forks.map(({ chosen }) => chosen);
  }

  /** On to the next way at the last fork that has one. */
  #turnOver(): boolean {
    for (let fork = this.#forks.pop(); fork !== undefined; fork = this.#forks.pop()) {
      if (fork.chosen + 1 >= fork.count) continue;
      this.#forks.push({ count: fork.count, chosen: fork.chosen + 1 });
      return true;
    }
    return false;
  }
}
