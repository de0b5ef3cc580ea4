/**
 * Writes one container, frame by frame, into a spool. Promises: frames stand in the order of the calls; the sealed body can be
 * read as often as needed; no more than the spool's share is ever in memory.
 */
import type { Body } from '../backend/backend.ts';
import { type Digest, digestOf } from '../digest.ts';
import { DatamonError } from '../errors.ts';
import type { ContainerId } from '../keys.ts';
import { type Random, randomHex } from '../random.ts';
import {
  CONTAINER_HEADER_SIZE_BYTES,
  CONTAINER_TRAILER_SIZE_BYTES,
  type ContainerKind,
  encodeHeader,
  encodeSections,
  encodeTrailer,
  encodeTrailerHead,
  OPEN_PACK_LACKS_BYTES,
  type PackForm,
  SECTION,
  type Section,
  type Trailer,
} from './container-format.ts';
import {
  CONTAINER_ID_SIZE_BYTES,
  type EncodedFrame,
  encodeFrame,
  encodeFrameHeader,
  FRAME_HEADER_SIZE_BYTES,
  type FrameKind,
  type FramePayload,
} from './frame.ts';
import { encodeFrameTable, FRAME_ENTRY_SIZE_BYTES } from './frame-table.ts';
import { createSpool } from './spool.ts';
import { createThreadHasher } from './thread-hasher.ts';

/** A pack, tables and trailer included, is at most this large: one request, no multipart. */
export const PACK_SIZE_MAX_BYTES = 64 * 1024 * 1024;

export interface ContainerWriterOptions {
  readonly kind: ContainerKind;
  /** For temp files. */
  readonly spoolDir: string;
  readonly random: Random;
  /** As `createSpool` takes it. */
  readonly spoolPath?: (() => Promise<string>) | undefined;
  /** `open`: only `sealOpen` may end it, and nothing is hashed. Default: `sealed`. */
  readonly form?: PackForm;
}

/** Where a frame lies in its container. */
export interface FrameRef {
  readonly kind: FrameKind;
  readonly digest: Digest;
  readonly rawLength: number;
  /** Without the frame's header. */
  readonly storedLength: number;
  /** Of the frame's header. */
  readonly offset: number;
}

export interface SealedContainer {
  readonly id: ContainerId;
  readonly kind: ContainerKind;
  readonly body: Body;
  readonly sizeBytes: number;
  readonly frames: readonly FrameRef[];
  readonly tables: Buffer;
  /** Says where the tables lie. */
  readonly trailer: Trailer;
  /** Frees the spool; the body cannot be read afterwards. */
  dispose(): Promise<void>;
}

/** A pack without the end that the store works out (`OPEN_PACK_LACKS_BYTES`). */
export interface OpenPack {
  readonly id: ContainerId;
  /** Lacks the end. */
  readonly body: Body;
  /** With the end. */
  readonly sizeBytes: number;
  readonly frames: readonly FrameRef[];
  readonly tablesOffset: number;
}

export interface ContainerWriter {
  readonly id: ContainerId;
  /** What `seal()` without further sections would make of it now. */
  readonly sizeBytes: number;
  /** Compresses and appends. Calls may overlap; the frames stand in the order of the calls. */
  addFrame(frame: FramePayload): Promise<FrameRef>;
  /** Appends what was encoded before. */
  addEncoded(frame: EncodedFrame): Promise<FrameRef>;
  /** Ends it. The frame table is written first, `sections` after it. */
  seal(sections?: readonly Section[]): Promise<SealedContainer>;
  /** As `seal`, but for the end. */
  sealOpen(): Promise<OpenPack>;
  /** Drops what was written. */
  dispose(): Promise<void>;
}

export function createContainerWriter(options: ContainerWriterOptions): ContainerWriter {
  const { kind } = options;
  const id = randomHex(options.random, CONTAINER_ID_SIZE_BYTES) as ContainerId;
  const isOpen = options.form === 'open';
  const hasher = isOpen ? undefined : createThreadHasher(kind === 'pack' ? PACK_SIZE_MAX_BYTES : 0);
  const spool = createSpool({ ...options, ...(hasher && { hasher }) });
  const frames: FrameRef[] = [];
  let offset = CONTAINER_HEADER_SIZE_BYTES;
  const { inOrder, settled } = createSequence(spool.write(encodeHeader({ kind, id })));
  let sealed = false;

  function add(encoding: Promise<EncodedFrame>): Promise<FrameRef> {
    if (sealed) throw new DatamonError('INVALID', `the container ${id} is sealed`);
    encoding.catch(() => {});
    return inOrder(async () => {
      const frame = await encoding;
      const ref = frameRef(frame, offset);
      frames.push(ref);
      offset += FRAME_HEADER_SIZE_BYTES + ref.storedLength;
      await spool.write(encodeFrameHeader(id, frame));
      await spool.write(frame.stored);
      return ref;
    });
  }

  function sealOpen(): Promise<OpenPack> {
    sealed = true;
    return inOrder(async () => {
      const { tables, head } = encodeEnd({ kind, id, offset, frames });
      await spool.write(tables);
      await spool.write(head);
      const body = await spool.finish();
      const sizeBytes = body.sizeBytes + OPEN_PACK_LACKS_BYTES;
      return { id, body, sizeBytes, frames, tablesOffset: offset };
    });
  }

  function seal(sections: readonly Section[] = []): Promise<SealedContainer> {
    sealed = true;
    return inOrder(async () => {
      const { tables, named, head } = encodeEnd({ kind, id, offset, frames }, sections);
      await spool.write(tables);
      await spool.write(head);
      const trailer = { ...named, wholeDigest: await spool.digest() };
      await spool.write(encodeTrailer(head, trailer.wholeDigest).subarray(head.length));
      const body = await spool.finish();
      return { id, kind, body, sizeBytes: body.sizeBytes, frames, tables, trailer, dispose };
    });
  }

  async function dispose(): Promise<void> {
    sealed = true;
    await settled();
    await spool.dispose();
  }

  return {
    id,
    get sizeBytes() {
      return sealedSize(offset, frames.length);
    },
    addFrame: async (frame) => add(encodeFrame(frame)),
    addEncoded: async (frame) => add(Promise.resolve(frame)),
    seal,
    sealOpen,
    dispose,
  };
}

/** Each step runs after everything before it; a failure fails all that follows, so nothing half-written is ever sealed. */
function createSequence(first: Promise<unknown>) {
  let tail = first;
  return {
    inOrder<T>(step: () => Promise<T>): Promise<T> {
      const done = tail.then(step);
      tail = done;
      done.catch(() => {});
      return done;
    },
    settled: async () => void (await tail.catch(() => {})),
  };
}

interface Written {
  readonly kind: ContainerKind;
  readonly id: ContainerId;
  /** Where its frames end. */
  readonly offset: number;
  readonly frames: readonly FrameRef[];
}

/** Tables and the beginning of the trailer. */
function encodeEnd(written: Written, sections: readonly Section[] = []) {
  const { kind, id, offset, frames } = written;
  const tables = encodeSections([frameSection(frames), ...sections]);
  const lengths = { tablesOffset: offset, tablesLength: tables.length };
  const named = { kind, id, ...lengths, tablesDigest: digestOf(tables) };
  return { tables, named, head: encodeTrailerHead(named) };
}

function frameRef(frame: EncodedFrame, offset: number): FrameRef {
  const { kind, digest, rawLength, storedLength } = frame;
  return { kind, digest, rawLength, storedLength, offset };
}

const frameSection = (frames: readonly FrameRef[]): Section => ({
  type: SECTION.frames,
  bytes: encodeFrameTable(frames),
});

/** Size of a container whose frames end at `framesEnd`, without further sections. */
export function sealedSize(framesEnd: number, frameCount: number): number {
  const tables = 8 + 4 + frameCount * FRAME_ENTRY_SIZE_BYTES;
  return framesEnd + tables + CONTAINER_TRAILER_SIZE_BYTES;
}
