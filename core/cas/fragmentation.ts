/**
 * Decides when reusing stored chunks costs readers more than it saves: each jump is a request, and a file scattered over thousands
 * of places is slow to read for ever. Reuse stops while the mean run is short and resumes once runs are long again.
 */
import type { FrameLocation } from './frame-handle.ts';

/** Chunks per run below which reuse stops. */
export const RUN_LENGTH_MEAN_MIN = 8;
/** Known chunks the mean is taken over; fewer tell nothing. */
export const FRAGMENTATION_WINDOW_COUNT = 128;
/** A reader reads through a gap this small, so it is no jump. */
export const GAP_SIZE_MAX_BYTES = 256 * 1024;

export class FragmentationGuard {
  /** For each of the last known chunks, whether it began a run. */
  readonly #jumps: boolean[] = [];
  #jumpCount = 0;
  #containerId: string | null = null;
  #end = 0;

  /** Notes that the next chunk is stored at `location` (null: nowhere) and tells whether to reuse it. */
  observe(location: FrameLocation | null): boolean {
    if (location === null) {
      this.#containerId = null;
      return false;
    }
    const gap = location.offset - this.#end;
    const near = location.cell.id === this.#containerId && gap >= 0 && gap <= GAP_SIZE_MAX_BYTES;
    this.#containerId = location.cell.id;
    this.#end = location.offset + location.storedLength;
    this.#note(!near);
    if (this.#jumps.length < FRAGMENTATION_WINDOW_COUNT) return true;
    return this.#jumps.length >= RUN_LENGTH_MEAN_MIN * this.#jumpCount;
  }

  #note(jump: boolean): void {
    this.#jumps.push(jump);
    if (jump) this.#jumpCount += 1;
    if (this.#jumps.length > FRAGMENTATION_WINDOW_COUNT && this.#jumps.shift())
      this.#jumpCount -= 1;
  }
}
