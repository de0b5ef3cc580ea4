/**
 * The thread behind `createThreadCutter`: finds where the chunks of files end, and their digests, in shared memory. What a slab holds of a chunk that
 * is not whole yet is copied to the front of the file's next slab.
 */
import { parentPort } from 'node:worker_threads';
import { digestOf } from '../digest.ts';
import type { Answered, Asked } from './asked-thread.ts';
import { type Chunker, type ChunkerParameters, createChunker } from './chunker.ts';

export interface CutQuestion {
  /** In shared memory: room for the front, then the file's next bytes. Null: nothing more comes, and nobody wants an answer. */
  readonly slab: Uint8Array | null;
  /** Where the next bytes begin: there is room for a chunk before it. */
  readonly start: number;
  readonly end: number;
  readonly isLast: boolean;
  /** With the first request of a file. */
  readonly parameters: ChunkerParameters | null;
}

/** Where chunks lie in a slab. */
export interface Cuts {
  /** Where the first chunk begins. */
  readonly start: number;
  /** Where each chunk ends and the next one begins. */
  readonly ends: readonly number[];
  readonly digests: readonly string[];
}

interface Cutting {
  readonly chunker: Chunker;
  /** Of the chunk that was not whole. */
  rest: Buffer;
  restBytes: number;
}

const running = new Map<number, Cutting>();

parentPort?.on('message', ({ id, question }: Asked<CutQuestion>) => {
  const { slab, parameters, isLast } = question;
  if (parameters !== null) {
    const rest = Buffer.allocUnsafeSlow(parameters.maxBytes);
    running.set(id, { chunker: createChunker(parameters), rest, restBytes: 0 });
  }
  const cutting = running.get(id);
  if (slab === null || isLast) running.delete(id);
  if (slab === null || cutting === undefined) return;
  const answered: Answered<Cuts> = { id, answer: cut(cutting, slab, question) };
  parentPort?.postMessage(answered);
});

function cut(cutting: Cutting, slab: Uint8Array, question: CutQuestion): Cuts {
  const { end, isLast } = question;
  const { chunker, rest } = cutting;
  const start = question.start - cutting.restBytes;
  slab.set(rest.subarray(0, cutting.restBytes), start);
  const ends: number[] = [];
  const digests: string[] = [];
  let at = start;
  // As in `chunks`: a cut is asked for once a whole chunk may be had, so that no byte is scanned twice.
  while (isLast ? at < end : end - at >= chunker.maxBytes) {
    const next = chunker.cut(slab, at, end, isLast);
    ends.push(next);
    digests.push(digestOf(slab.subarray(at, next)));
    at = next;
  }
  rest.set(slab.subarray(at, end));
  cutting.restBytes = end - at;
  return { start, ends, digests };
}
