/**
 * Gathers frames in packs and sends each pack as it fills, a bounded number at once. Promises: a pack's ticket resolves only
 * when the server has it durably; spool files are gone afterwards, however it ends.
 */

import type { PackForm } from '../core/cas/container-format.ts';
import {
  type ContainerWriter,
  createContainerWriter,
  PACK_SIZE_MAX_BYTES,
  type SealedContainer,
  type OpenPack as SendablePack,
} from '../core/cas/container-writer.ts';
import { type EncodedFrame, FRAME_HEADER_SIZE_BYTES } from '../core/cas/frame.ts';
import { encodeFrameTable, FRAME_ENTRY_SIZE_BYTES } from '../core/cas/frame-table.ts';
import type { NotedPack } from '../core/cas/upload-journal.ts';
import { DatamonError } from '../core/errors.ts';
import { isFast } from '../core/fast-paths.ts';
import type { ContainerId } from '../core/keys.ts';
import { parsePackAnswer } from '../core/meta/api-wire.ts';
import type { Random } from '../core/random.ts';
import type { RepoClient } from './repo-client.ts';

/** Packs on their way while the next is filled. */
const IN_FLIGHT_COUNT_MAX = 2;
/** What the server checks of a pack per second, at the least, before it answers. */
const CHECK_BYTES_PER_MS = 4_000;
const ANSWER_TIMEOUT_MIN_MS = 60_000;

export interface PackSenderOptions {
  readonly repo: RepoClient;
  readonly spoolDir: string;
  readonly random: Random;
  readonly signal: AbortSignal;
  /** Where a pack ends although there is room; tests choose it small. */
  readonly packSizeMaxBytes?: number;
  /** What was learned of the link; a sender without one learns anew. */
  readonly pace?: PackPace;
  /** Told of each pack once the server has it, before its ticket resolves. */
  readonly onStored?: (pack: NotedPack) => Promise<void>;
}

/** A pack being filled, sent, or sent. */
export interface SentPack {
  readonly id: ContainerId;
  /** Resolves once the server has it. Nobody need listen. */
  readonly ticket: Promise<string>;
}

/** Told when its frame has left this machine. */
export type Credit = () => void;

interface FilledPack {
  /** Apart from the rest: whoever keeps the ticket must not keep frames and spool alive. */
  readonly sent: SentPack;
  readonly writer: ContainerWriter;
  readonly form: PackForm;
  readonly credits: { readonly endOffset: number; readonly credit: Credit }[];
  readonly settle: (sending: Promise<string>) => void;
}

/** What a cut costs at most is a pack that was not whole: on a slow link packs are smaller. */
const PACK_DURATION_MS = 20_000;
export const SLOW_PACK_SIZE_BYTES = 8 * 1024 * 1024;

/** How large packs should be, by how fast the last one went. */
export class PackPace {
  #packSizeBytes = SLOW_PACK_SIZE_BYTES;

  get packSizeBytes(): number {
    return this.#packSizeBytes;
  }

  observe(sentBytes: number, durationMs: number): void {
    const wanted = Math.floor((sentBytes / Math.max(1, durationMs)) * PACK_DURATION_MS);
    this.#packSizeBytes = Math.min(PACK_SIZE_MAX_BYTES, Math.max(SLOW_PACK_SIZE_BYTES, wanted));
  }
}

export class PackSender {
  readonly #options: PackSenderOptions;
  readonly #inFlight = new Set<Promise<unknown>>();
  #open: FilledPack | null = null;
  #packCount = 0;
  readonly #pace: PackPace;
  #failure: unknown = null;

  constructor(options: PackSenderOptions) {
    this.#options = options;
    this.#pace = options.pace ?? new PackPace();
  }

  /** Packs sealed so far. */
  get packCount(): number {
    return this.#packCount;
  }

  /** Puts a frame into the open pack, one call at a time. Waits while too many packs are on their way. */
  async add(frame: EncodedFrame, credit: Credit): Promise<SentPack> {
    // Without this a file of any size would be cut to its end for a server that takes no more.
    if (this.#failure !== null) throw this.#failure;
    const limit = this.#options.packSizeMaxBytes ?? this.#pace.packSizeBytes;
    const growth = FRAME_HEADER_SIZE_BYTES + FRAME_ENTRY_SIZE_BYTES + frame.storedLength;
    if (this.#open !== null && this.#open.writer.sizeBytes + growth > limit) await this.seal();
    this.#open ??= beginPack(this.#options);
    const pack = this.#open;
    const { offset, storedLength } = await pack.writer.addEncoded(frame);
    pack.credits.push({ endOffset: offset + FRAME_HEADER_SIZE_BYTES + storedLength, credit });
    return pack.sent;
  }

  /** Ends the open pack, if there is one, and begins to send it. */
  async seal(): Promise<void> {
    const pack = this.#open;
    if (pack === null) return;
    this.#open = null;
    this.#packCount += 1;
    const sending = this.#send(pack);
    pack.settle(sending);
    const settled = sending
      .catch((failure) => {
        this.#failure ??= failure;
      })
      .finally(() => this.#inFlight.delete(settled));
    this.#inFlight.add(settled);
    if (this.#inFlight.size >= IN_FLIGHT_COUNT_MAX) await Promise.race(this.#inFlight);
  }

  /** Waits for what is on its way and frees what is not. */
  async close(): Promise<void> {
    const pack = this.#open;
    this.#open = null;
    pack?.settle(Promise.reject(new DatamonError('CANCELLED', 'the pack was not sent')));
    await Promise.all([pack?.writer.dispose(), ...this.#inFlight]);
  }

  async #send(pack: FilledPack): Promise<string> {
    const { repo, signal, onStored } = this.#options;
    try {
      const { form, writer } = pack;
      const { id, body, sizeBytes, frames, tablesOffset } =
        form === 'open' ? await writer.sealOpen() : sealedPack(await writer.seal());
      const startedAtMs = performance.now();
      const answer = await repo.api.json(
        {
          method: 'PUT',
          url: repo.url(`/packs/${id}?form=${form}`),
          body,
          contentType: 'application/octet-stream',
          onSent: creditor(pack.credits),
          answerTimeoutMs: ANSWER_TIMEOUT_MIN_MS + sizeBytes / CHECK_BYTES_PER_MS,
          signal,
        },
        parsePackAnswer,
      );
      this.#pace.observe(sizeBytes, performance.now() - startedAtMs);
      const table = encodeFrameTable(frames);
      await onStored?.({ id, sizeBytes, tablesOffset, frames: table, ticket: answer.pack });
      return answer.pack;
    } finally {
      await pack.writer.dispose();
    }
  }
}

const sealedPack = (pack: SealedContainer): SendablePack => ({
  ...pack,
  tablesOffset: pack.trailer.tablesOffset,
});

/** A server hashes each pack to prove it: so it may as well write down what it found. */
function beginPack({ spoolDir, random }: PackSenderOptions): FilledPack {
  const { promise, resolve } = deferred<string>();
  promise.catch(() => undefined);
  const form = isFast('open-packs') ? 'open' : 'sealed';
  const writer = createContainerWriter({ kind: 'pack', spoolDir, random, form });
  return {
    writer,
    form,
    credits: [],
    sent: { id: writer.id, ticket: promise },
    settle: resolve,
  };
}

/** Credits each frame once, when the bytes up to its end were sent; an attempt that starts again credits nothing twice. */
function creditor(credits: FilledPack['credits']): (sentBytes: number) => void {
  let next = 0;
  return (sentBytes) => {
    for (let first = credits[next]; first && first.endOffset <= sentBytes; first = credits[next]) {
      first.credit();
      next += 1;
    }
  };
}

function deferred<T>(): {
  readonly promise: Promise<T>;
  readonly resolve: (value: Promise<T>) => void;
} {
  let resolve: (value: Promise<T>) => void = () => undefined;
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
