/**
 * The thread behind `createThreadProver`: reads packs in shared memory, block after block, and says of each block when it is done with it.
 */
import { parentPort } from 'node:worker_threads';
import type { ByteStream } from '../bytes.ts';
import { DatamonError, type ErrorCode } from '../errors.ts';
import type { Answered, Asked } from './asked-thread.ts';
import { createByteQueue } from './byte-queue.ts';
import { type PackOffer, type ParsedPack, provePack } from './pack-proof.ts';

export interface ProofQuestion {
  readonly begun: PackOffer;
  /** In shared memory; null where none are left. */
  readonly bytes: Uint8Array | null;
  /** Whether nothing more comes: then it is told what was found, or nothing. */
  readonly end: 'not yet' | 'tell' | 'drop';
}

export interface ProofAnswer {
  /** What is wrong with the pack, as far as it was read. */
  readonly failure: { readonly code: ErrorCode; readonly message: string } | null;
  /** With the last answer. */
  readonly proved: ParsedPack | null;
}

/** A pack being read. */
class Reading {
  readonly #proved: Promise<ProofAnswer>;
  #blocks: Uint8Array[] = [];
  #isEnded = false;
  /** Wakes the reader, which waits for a block. */
  #wake: () => void = () => {};
  /** Says that the reader is done with the block it has. */
  #done: () => void = () => {};

  constructor(offer: PackOffer) {
    const queue = createByteQueue(this.#stream(), 'lent');
    this.#proved = provePack(queue, offer).then(
      (proved) => ({ failure: null, proved }),
      (error: unknown) => ({ failure: failureOf(error), proved: null }),
    );
  }

  /** Resolves when the block is not looked at any more. */
  async read(block: Uint8Array): Promise<ProofAnswer> {
    const done = new Promise<null>((resolve) => {
      this.#done = () => resolve(null);
    });
    this.#blocks.push(block);
    this.#wake();
    const answer = await Promise.race([done, this.#proved]);
    return { failure: answer?.failure ?? null, proved: null };
  }

  /** What was found; the pack ends here. */
  end(): Promise<ProofAnswer> {
    this.#isEnded = true;
    this.#wake();
    return this.#proved;
  }

  async *#stream(): ByteStream {
    for (;;) {
      const block = this.#blocks.shift();
      if (block !== undefined) {
        yield block;
        this.#done();
      } else if (this.#isEnded) return;
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }
}

function failureOf(error: unknown): ProofAnswer['failure'] {
  if (error instanceof DatamonError) return { code: error.code, message: error.message };
  throw error;
}

const readings = new Map<number, Reading>();

/** Blocks of a pack come one at a time: whoever sends them waits for the answer. */
async function answer(id: number, { begun, bytes, end }: ProofQuestion): Promise<void> {
  const reading = readings.get(id) ?? new Reading(begun);
  if (end === 'not yet') readings.set(id, reading);
  else readings.delete(id);
  const answered = bytes === null ? await reading.end() : await reading.read(bytes);
  if (end === 'drop') return;
  const message: Answered<ProofAnswer> = { id, answer: answered };
  parentPort?.postMessage(message);
}

parentPort?.on('message', ({ id, question }: Asked<ProofQuestion>) => {
  void answer(id, question);
});
