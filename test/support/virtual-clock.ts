/** A clock that only moves when told to: a store's `now()` where days pass in no time. Never goes back. */

const START_MS = Date.UTC(2026, 0, 1);

export class VirtualClock {
  #nowMs: number;

  constructor(startMs: number = START_MS) {
    this.#nowMs = startMs;
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  /** For `createMemoryBackend({ now: clock.now })`. */
  readonly now = (): Date => new Date(this.#nowMs);

  advance(ms: number): void {
    this.advanceTo(this.#nowMs + ms);
  }

  /** A time that has passed already changes nothing. */
  advanceTo(ms: number): void {
    this.#nowMs = Math.max(this.#nowMs, ms);
  }
}
