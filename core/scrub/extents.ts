/** Byte ranges of a container that hold intact frames: ascending, neighbours joined, so a run of frames is asked for in one go. */

export class Extents {
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];

  /** Ascending and without overlap. */
  add(start: number, end: number): void {
    const last = this.#ends.length - 1;
    if (this.#ends[last] === start) this.#ends[last] = end;
    else {
      this.#starts.push(start);
      this.#ends.push(end);
    }
  }

  /** Whether all bytes from `start` to `end` lie in one extent. */
  covers(start: number, end: number): boolean {
    let low = 0;
    let high = this.#starts.length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      if ((this.#starts[middle] ?? 0) > start) high = middle - 1;
      else if ((this.#ends[middle] ?? 0) <= start) low = middle + 1;
      else return end <= (this.#ends[middle] ?? 0);
    }
    return false;
  }

  get sizeBytes(): number {
    return this.#starts.reduce((sum, start, index) => sum + (this.#ends[index] ?? 0) - start, 0);
  }
}
