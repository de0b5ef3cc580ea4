/**
 * Digests of large inputs, computed beside the main thread where a core is free for it. Promises: the same digest as `createHasher`;
 * bytes are the caller's again once `update` returned; memory is bounded; the thread keeps no process alive that has nothing else to do.
 */
import { availableParallelism } from 'node:os';
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { createHasher, type Digest } from '../digest.ts';
import { isFast } from '../fast-paths.ts';
import type { HashAnswer, HashRequest } from './hash-worker.ts';
import { holdRoom } from './roomy-heap.ts';

/** Inputs below this are hashed where they are: a thread would take longer to start. */
export const THREAD_HASH_SIZE_MIN_BYTES = 16 * 1024 * 1024;
/** Bytes handed over at a time. An input has two such pieces of shared memory: one is filled while the other is hashed. */
const PIECE_SIZE_BYTES = 2 * 1024 * 1024;
const PIECES_PER_INPUT = 2;

/** As `Hasher`, beside the main thread. */
export interface ThreadHasher {
  /** Wait for what it returns, if anything, before the next call. */
  update(bytes: Uint8Array): Promise<void> | undefined;
  /**
   * As `update`, without a copy of bytes in shared memory: they must not change until what it returns has resolved. Calls need not wait for
   * each other. Rejects where the thread died or the input was dropped: then nobody knows whether the bytes are still read.
   */
  lend(bytes: Uint8Array): Promise<void>;
  /** Ends the computation; call once. */
  digest(): Promise<Digest>;
  /** Ends it without a digest; safe at any time. */
  drop(): void;
}

export const hashesBeside = (sizeBytes: number): boolean =>
  sizeBytes >= THREAD_HASH_SIZE_MIN_BYTES && availableParallelism() > 1 && isFast('hash-thread');

/** A hasher for an input of about `sizeBytes`. */
export function createThreadHasher(sizeBytes: number): ThreadHasher {
  if (hashesBeside(sizeBytes)) {
    thread ??= new HashThread(() => {
      thread = null;
    });
    return thread.begin();
  }
  const hasher = createHasher();
  return {
    update(bytes) {
      hasher.update(bytes);
      return undefined;
    },
    lend: async (bytes) => hasher.update(bytes),
    digest: async () => hasher.digest(),
    drop: () => {},
  };
}

let thread: HashThread | null = null;

class HashThread {
  readonly #onDeath: () => void;
  /** Started once there is something to send. */
  #worker: Worker | null = null;
  readonly #inputs = new Map<number, Input>();
  /** Shared memory of inputs that ended; never more than were hashed at once. */
  readonly #pieces: Buffer[] = [];
  #lastId = 0;
  #waitingCount = 0;

  constructor(onDeath: () => void) {
    this.#onDeath = onDeath;
  }

  begin(): ThreadHasher {
    this.#lastId += 1;
    const id = this.#lastId;
    let leaveRoom = (): void => {};
    const input = new Input({
      pieces: () =>
        Array.from(
          { length: PIECES_PER_INPUT },
          () => this.#pieces.pop() ?? Buffer.from(new SharedArrayBuffer(PIECE_SIZE_BYTES)),
        ),
      began: () => {
        leaveRoom = holdRoom();
      },
      send: (bytes, end) => this.#send({ id, bytes, end }),
      waits: (isWaiting) => this.#waits(isWaiting ? 1 : -1),
      ended: (freed) => {
        this.#inputs.delete(id);
        this.#pieces.push(...freed);
        leaveRoom();
      },
    });
    this.#inputs.set(id, input);
    return input;
  }

  #send(request: HashRequest): void {
    this.#worker ??= this.#start();
    this.#worker.postMessage(request);
  }

  /** The process stays for those who wait, not for an input whose writer went away without a word. */
  #waits(change: 1 | -1): void {
    this.#waitingCount += change;
    if (this.#waitingCount > 0) this.#worker?.ref();
    else this.#worker?.unref();
  }

  #start(): Worker {
    const file = `./hash-worker${extname(import.meta.filename)}`;
    const worker = new Worker(new URL(file, import.meta.url));
    worker.unref();
    worker.on('message', ({ id, digest }: HashAnswer) => {
      this.#inputs.get(id)?.hear(digest as Digest | undefined);
    });
    worker.on('error', (error) => {
      this.#onDeath();
      for (const input of this.#inputs.values()) input.fail(error);
    });
    return worker;
  }
}

/** What an input needs of its thread. */
interface Line {
  /** Memory to copy to. */
  readonly pieces: () => Buffer[];
  /** Before the first bytes are sent. */
  readonly began: () => void;
  readonly send: (bytes: Uint8Array | null, end: HashRequest['end']) => void;
  readonly waits: (isWaiting: boolean) => void;
  readonly ended: (freed: readonly Buffer[]) => void;
}

/** Bytes of the caller that the thread looks at. */
interface Lent {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

const dropped = (): Error => new Error('the hasher was dropped');

/** One input on its way through the thread. */
class Input implements ThreadHasher {
  readonly #line: Line;
  /** Null before the first bytes that are copied. */
  #free: Buffer[] | null = null;
  /** Sent and not yet answered, oldest first: answers come in this order. */
  readonly #sent: (Buffer | Lent)[] = [];
  #filled = 0;
  #isUnderWay = false;
  #failure: { readonly error: unknown } | null = null;
  #wake: (() => void) | null = null;
  #digest: Digest | null = null;
  #ended = false;

  constructor(line: Line) {
    this.#line = line;
  }

  update(bytes: Uint8Array): Promise<void> | undefined {
    let rest = bytes;
    // What was dropped must not wake the thread again.
    while (rest.length > 0 && !this.#ended) {
      this.#free ??= this.#line.pieces();
      const piece = this.#free[0];
      if (piece === undefined) return this.#updateLater(rest);
      const taken = Math.min(rest.length, PIECE_SIZE_BYTES - this.#filled);
      // Twice as fast as `set`, which copies into shared memory word by word.
      piece.fill(rest.subarray(0, taken), this.#filled, this.#filled + taken);
      this.#filled += taken;
      rest = rest.subarray(taken);
      if (this.#filled === PIECE_SIZE_BYTES) this.#handOver();
    }
    return undefined;
  }

  lend(bytes: Uint8Array): Promise<void> {
    if (this.#ended) return Promise.reject(dropped());
    if (this.#failure !== null) return Promise.reject(this.#failure.error);
    if (this.#filled > 0) this.#handOver();
    this.#begin();
    return new Promise((resolve, reject) => {
      this.#line.waits(true);
      const answered = (settle: () => void) => () => {
        this.#line.waits(false);
        settle();
      };
      this.#sent.push({
        resolve: answered(resolve),
        reject: (error) => answered(() => reject(error))(),
      });
      this.#line.send(bytes, 'not yet');
    });
  }

  async digest(): Promise<Digest> {
    if (!this.#isUnderWay) return this.#digestHere();
    if (this.#filled > 0) this.#handOver();
    this.#line.send(null, 'tell');
    while (this.#digest === null) await this.#news();
    const digest = this.#digest;
    this.#end();
    return digest;
  }

  drop(): void {
    if (this.#ended) return;
    if (this.#isUnderWay) this.#line.send(null, 'drop');
    // Pieces that are being hashed are not handed to another input; they are garbage once the thread lets go of them.
    this.#end();
    this.fail(dropped());
  }

  hear(digest: Digest | undefined): void {
    const hashed = this.#sent.shift();
    if (Buffer.isBuffer(hashed)) this.#free?.push(hashed);
    else hashed?.resolve();
    this.#digest = digest ?? null;
    this.#wake?.();
  }

  fail(error: unknown): void {
    this.#failure = { error };
    for (const sent of this.#sent.splice(0)) if ('reject' in sent) sent.reject(error);
    this.#wake?.();
  }

  async #updateLater(rest: Uint8Array): Promise<void> {
    while (this.#free?.length === 0) await this.#news();
    await this.update(rest);
  }

  /** What fits one piece is not worth a round trip. */
  #digestHere(): Digest {
    const hasher = createHasher();
    const piece = this.#free?.[0];
    if (piece !== undefined) hasher.update(piece.subarray(0, this.#filled));
    this.#end();
    return hasher.digest();
  }

  #handOver(): void {
    const piece = this.#free?.shift();
    if (piece === undefined) return;
    this.#sent.push(piece);
    this.#begin();
    this.#line.send(piece.subarray(0, this.#filled), 'not yet');
    this.#filled = 0;
  }

  #begin(): void {
    if (!this.#isUnderWay) this.#line.began();
    this.#isUnderWay = true;
  }

  #news(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#line.waits(true);
      this.#wake = () => {
        this.#wake = null;
        this.#line.waits(false);
        if (this.#failure === null) resolve();
        else reject(this.#failure.error);
      };
      if (this.#failure !== null) this.#wake();
    });
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#line.ended(this.#free ?? []);
  }
}
