/**
 * Downloads the small objects of a batch before git-lfs asks for them, many in one answer, because it asks for one and waits.
 * Promises: a file is handed over once, whole and of its oid; no more than a bound lies here unasked for, and nothing once this is
 * closed; whatever goes wrong, the object is downloaded alone when it is asked for, and that download says what is wrong with it.
 */
import type { SmallBlob } from '../core/cas/ingest.ts';
import type { Digest } from '../core/digest.ts';
import { isFast } from '../core/fast-paths.ts';
import { type ObjectStream, STREAMED_SIZE_MAX_BYTES } from '../core/meta/object-stream.ts';
import { throwIfStopped } from './guard.ts';
import type { Log } from './log-file.ts';
import type { DownloadRequest } from './messages.ts';
import type { BatchAccess } from './routes.ts';
import {
  fileError,
  type HeldFile,
  KEPT_SIZE_MIN_BYTES,
  type TempFile,
  type TempFiles,
} from './temp-files.ts';

/** Room on disk for what nobody asked for yet. */
export const AHEAD_SIZE_MAX_BYTES = 256 * 1024 * 1024;
/** Objects that are written at a time, each at most a MiB in memory. */
const WRITES_AT_A_TIME = 8;
/** git-lfs works through one batch, then the next; of older ones it asks for nothing more. */
const BATCHES_KEPT = 2;

export interface FetchAheadOptions {
  /** Small objects of a batch; null where they cannot be had together. */
  readonly open: (batch: BatchAccess) => Promise<ObjectStream | null>;
  readonly temps: () => Promise<TempFiles>;
  readonly signal: AbortSignal;
  readonly log: Log;
  readonly sizeMaxBytes?: number;
}

export interface FetchAhead {
  /** A finished file, the caller's to keep; null: download it now. Starts the work ahead when a new batch is met. */
  take(request: DownloadRequest, batch: BatchAccess): Promise<HeldFile | null>;
  /** Settles once nothing is written any more. What was not taken is still to be removed from `temps`. */
  close(): Promise<void>;
}

interface Fetched {
  readonly file: HeldFile;
  readonly sizeBytes: number;
}

/** What became of an object of the batch. */
interface Outcome {
  readonly fetched: Promise<Fetched | null>;
  readonly settle: (fetched: Fetched | null) => void;
}

interface Batch {
  /** Filled when `begun`. An object leaves as it is taken. */
  readonly outcomes: Map<Digest, Outcome>;
  readonly begun: Promise<void>;
  readonly work: Promise<void>;
}

export function createFetchAhead(options: FetchAheadOptions): FetchAhead {
  const met = new Set<string>();
  const batches = new Map<string, Batch>();
  const ahead = { options, bytes: 0 };
  let dropped: Promise<unknown> = Promise.resolve();
  const meet = (access: BatchAccess, token: string): void => {
    met.add(token);
    batches.set(token, begin(ahead, access));
    for (const [old, batch] of batches) {
      if (batches.size <= BATCHES_KEPT) break;
      batches.delete(old);
      dropped = Promise.all([dropped, drop(ahead, batch)]);
    }
  };
  return {
    take: async ({ oid, sizeBytes }, access) => {
      const { token } = access;
      if (token === null || sizeBytes > STREAMED_SIZE_MAX_BYTES) return null;
      if (!met.has(token)) meet(access, token);
      const batch = batches.get(token);
      await batch?.begun;
      const outcome = batch?.outcomes.get(oid);
      batch?.outcomes.delete(oid);
      const fetched = (await outcome?.fetched) ?? null;
      if (fetched === null) return null;
      ahead.bytes -= fetched.sizeBytes;
      if (fetched.sizeBytes === sizeBytes) return fetched.file;
      await fetched.file.discard();
      return null;
    },
    close: async () => {
      await Promise.all([dropped, ...[...batches.values()].map(({ work }) => work)]);
    },
  };
}

interface Ahead {
  readonly options: FetchAheadOptions;
  /** On disk and not taken. */
  bytes: number;
}

function begin(ahead: Ahead, access: BatchAccess): Batch {
  const { log } = ahead.options;
  const outcomes: Batch['outcomes'] = new Map();
  const opened = open(ahead.options, access, outcomes);
  const work = opened
    .then((stream) => (stream === null ? undefined : receive(ahead, stream, outcomes)))
    .catch((error: unknown) => log(`ahead: ${(error as Error).message}`))
    .finally(() => {
      for (const outcome of outcomes.values()) outcome.settle(null);
    });
  return { outcomes, work, begun: opened.then(nothing, nothing) };
}

const nothing = (): void => undefined;

async function open(
  { open: openBatch, log }: FetchAheadOptions,
  access: BatchAccess,
  outcomes: Batch['outcomes'],
): Promise<ObjectStream | null> {
  const stream = await openBatch(access);
  for (const { oid, size } of stream?.members ?? []) {
    if (size <= STREAMED_SIZE_MAX_BYTES) outcomes.set(oid, outcome());
  }
  if (outcomes.size > 0) log(`${outcomes.size} small objects ahead of their requests`);
  return stream;
}

function outcome(): Outcome {
  let settle: Outcome['settle'] = nothing;
  const fetched = new Promise<Fetched | null>((resolve) => {
    settle = resolve;
  });
  return { fetched, settle };
}

/** Fails with whatever keeps the rest from coming, after what was being written is settled. */
async function receive(
  ahead: Ahead,
  { objects }: ObjectStream,
  outcomes: Batch['outcomes'],
): Promise<void> {
  const { signal, log, sizeMaxBytes = AHEAD_SIZE_MAX_BYTES } = ahead.options;
  const waiting = new Map(outcomes);
  const writing = new Set<Promise<void>>();
  try {
    for await (const object of objects) {
      throwIfStopped(signal);
      const { oid, bytes } = object;
      const outcome = waiting.get(oid);
      if (outcome === undefined) continue;
      waiting.delete(oid);
      if (ahead.bytes + bytes.length > sizeMaxBytes) {
        log(`nothing more ahead: ${ahead.bytes} bytes wait to be asked for`);
        break;
      }
      ahead.bytes += bytes.length;
      const work = write(ahead, object).then(outcome.settle);
      writing.add(work);
      void work.finally(() => writing.delete(work));
      if (writing.size >= WRITES_AT_A_TIME) await Promise.race(writing);
    }
  } finally {
    await Promise.all(writing);
    for (const outcome of waiting.values()) outcome.settle(null);
  }
}

/** Never rejects: what cannot be written ahead fails again, and is told, when it is asked for. */
async function write(ahead: Ahead, { oid, bytes }: SmallBlob): Promise<Fetched | null> {
  const { temps, log } = ahead.options;
  try {
    const files = await temps();
    const isSmall = bytes.length < KEPT_SIZE_MIN_BYTES && isFast('whole-files');
    const file = isSmall ? files.hold(oid, bytes) : await writeLarge(files, { oid, bytes });
    return { file, sizeBytes: bytes.length };
  } catch (error) {
    ahead.bytes -= bytes.length;
    log(`${oid}: ${fileError(error, 'cannot write it ahead').message}`);
    return null;
  }
}

async function writeLarge(files: TempFiles, { oid, bytes }: SmallBlob): Promise<TempFile> {
  const file = await files.create(oid);
  try {
    if (file.foundBytes > 0) await file.handle.truncate(0);
    await file.handle.writeFile(bytes);
    await file.rest();
    return file;
  } catch (error) {
    await file.discard();
    throw error;
  }
}

/** Removes what nobody took. */
async function drop(ahead: Ahead, { outcomes, work }: Batch): Promise<void> {
  await work;
  for (const { fetched } of outcomes.values()) {
    const left = await fetched;
    if (left === null) continue;
    ahead.bytes -= left.sizeBytes;
    await left.file.discard();
  }
}
