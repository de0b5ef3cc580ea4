/** Cuts files into chunks, and hashes each of those, beside the main thread. Promise: the same chunks as `chunks` gives. */
import { availableParallelism } from 'node:os';
import { extname } from 'node:path';
import { isFast } from '../fast-paths.ts';
import { AskedThread } from './asked-thread.ts';
import type { ChunkerParameters } from './chunker.ts';
import type { CutQuestion, Cuts } from './cut-worker.ts';

/** Smaller files are cut where they are: a thread would take longer to start. */
export const THREAD_CUT_SIZE_MIN_BYTES = 16 * 1024 * 1024;

/** One file on its way through the thread. */
export interface ThreadCutter {
  /**
   * Cuts what lies from `start` to `end`, and what the slab before left over, which is put in front of it: there must be room for a chunk. The
   * slab must not be written until the answer is there. `isLast`: the file ends at `end`. Rejects where the thread died or the file was dropped.
   */
  cut(slab: Uint8Array, place: Place): Promise<Cuts>;
  /** Forgets the file; safe at any time. */
  drop(): void;
}

type Place = Pick<CutQuestion, 'start' | 'end' | 'isLast'>;

export const cutsBeside = (sizeBytes: number): boolean =>
  sizeBytes >= THREAD_CUT_SIZE_MIN_BYTES && availableParallelism() > 1 && isFast('cut-thread');

const thread = new AskedThread<CutQuestion, Cuts>(
  new URL(`./cut-worker${extname(import.meta.filename)}`, import.meta.url),
);

/** A cutter for one file. */
export function createThreadCutter(chunkers: ChunkerParameters): ThreadCutter {
  const { seed, minBytes, averageBytes, maxBytes } = chunkers;
  const parameters = { seed, minBytes, averageBytes, maxBytes };
  const asking = thread.begin();
  let isFirst = true;
  return {
    cut(slab, place) {
      const question = { slab, ...place, parameters: isFirst ? parameters : null };
      isFirst = false;
      return asking.ask(question);
    },
    drop: () => asking.leave({ slab: null, start: 0, end: 0, isLast: true, parameters: null }),
  };
}
