/** Frames on their way into a container, and the runs they make once it is known where they went. */
import { DatamonError } from '../errors.ts';
import type { ContainerId } from '../keys.ts';
import type { FrameRef } from './container-writer.ts';
import type { ContainerRef } from './containers.ts';
import { type EncodedFrame, FRAME_HEADER_SIZE_BYTES } from './frame.ts';
import type { PlacedRun, Run } from './segment-tables.ts';

/** A container that may still be on its way; `ref` is set once it is durable. */
export interface ContainerCell {
  readonly id: ContainerId;
  ref: ContainerRef | null;
}

export interface FrameLocation {
  readonly cell: ContainerCell;
  /** Of the frame's header. */
  readonly offset: number;
  /** With the header. */
  readonly storedLength: number;
  /** Frames that lie there, one after the other. */
  readonly frameCount: number;
}

/** A frame that is wanted in a container: its bytes while they wait in memory, then its location. */
export interface FrameHandle {
  readonly rawLength: number;
  waiting: EncodedFrame | null;
  location: FrameLocation | null;
}

export const waitingHandle = (frame: EncodedFrame): FrameHandle => ({
  rawLength: frame.rawLength,
  waiting: frame,
  location: null,
});

/** A run that is stored already. */
export const storedHandle = (run: PlacedRun): FrameHandle => {
  const { container, offset, storedLength, frameCount, rawLength } = run;
  const cell = { id: container.id, ref: container };
  return { rawLength, waiting: null, location: { cell, offset, storedLength, frameCount } };
};

/** Size of a frame in a container. */
export const framedSize = (frame: { readonly storedLength: number }): number =>
  FRAME_HEADER_SIZE_BYTES + frame.storedLength;

/** Notes that the handle's frame was written, and lets its bytes go. */
export function settle(handle: FrameHandle, cell: ContainerCell, ref: FrameRef): void {
  handle.location = { cell, offset: ref.offset, storedLength: framedSize(ref), frameCount: 1 };
  handle.waiting = null;
}

/** Waiting handles are looked over each time this many have gathered. */
const DRAIN_AT_COUNT = 256;

interface OpenRun {
  readonly cell: ContainerCell;
  readonly offset: number;
  frameCount: number;
  storedLength: number;
  rawLength: number;
}

/** Joins frames to runs as their places become known, so that a file of any length takes little memory. */
export class RunBuilder {
  readonly #runs: OpenRun[] = [];
  #waiting: FrameHandle[] = [];

  add(handle: FrameHandle): void {
    this.#waiting.push(handle);
    if (this.#waiting.length >= DRAIN_AT_COUNT) this.#drain();
  }

  /** The runs. Every frame must have its place by now; those in `self` are said to be in this segment. */
  runs(self: ContainerCell | null): Run[] {
    this.#drain();
    if (this.#waiting.length > 0) throw new DatamonError('CORRUPT', 'a frame was never written');
    return this.#runs.map(({ cell, ...run }) => {
      if (cell === self) return { ...run, container: null };
      if (cell.ref === null) throw new DatamonError('CORRUPT', 'a container was never written');
      return { ...run, container: cell.ref };
    });
  }

  #drain(): void {
    let done = 0;
    for (const handle of this.#waiting) {
      if (handle.location === null) break;
      this.#extend(handle.location, handle.rawLength);
      done += 1;
    }
    this.#waiting = this.#waiting.slice(done);
  }

  #extend(location: FrameLocation, rawLength: number): void {
    const { cell, offset, storedLength, frameCount } = location;
    const last = this.#runs.at(-1);
    if (last?.cell.id === cell.id && last.offset + last.storedLength === offset) {
      last.frameCount += frameCount;
      last.storedLength += storedLength;
      last.rawLength += rawLength;
    } else this.#runs.push({ cell, offset, frameCount, storedLength, rawLength });
  }
}
