/** One object up or down. An upload is durable when it resolves; a download is a verified file of its own, or nothing is left. */
import type { FileHandle } from 'node:fs/promises';
import type { ByteStream } from '../core/bytes.ts';
import { holdRoom } from '../core/cas/roomy-heap.ts';
import { DatamonError, hasCode } from '../core/errors.ts';
import { downloadBasic, uploadBasic } from './basic-transfer.ts';
import { BlockWriter } from './block-writer.ts';
import type { FetchAhead } from './fetch-ahead.ts';
import { type FileSource, openFileSource } from './file-source.ts';
import { guarded, STALL_TIMEOUT_MS, throwIfStopped } from './guard.ts';
import type { Log } from './log-file.ts';
import type { LookAhead } from './look-ahead.ts';
import type { DownloadRequest, ObjectRequest, UploadRequest } from './messages.ts';
import { beginningOf, nothing, type Received } from './received.ts';
import { type Pauses, type RetryOptions, withRetries } from './retry.ts';
import type { Route, Routes } from './routes.ts';
import type { TransferOptions, Transfers } from './session.ts';
import type { HeldFile, TempFile, TempFiles } from './temp-files.ts';

/** Stores retry below us already; plain HTTP does not. */
const STORE_ATTEMPT_COUNT = 2;
const BASIC_ATTEMPT_COUNT = 5;
/** From here on what a download leaves behind is worth a rule of its own. */
const ROOMY_SIZE_MIN_BYTES = 16 * 1024 * 1024;

export interface TransfersOptions {
  readonly routes: Routes;
  /** Asked at the first download. */
  readonly temps: () => Promise<TempFiles>;
  readonly pauses: Pauses;
  readonly log: Log;
  /** Uploads small objects together; absent: each alone. */
  readonly lookAhead?: LookAhead;
  /** Downloads small objects together; absent: each alone. */
  readonly fetchAhead?: (temps: () => Promise<TempFiles>) => FetchAhead;
  readonly stallMs?: number;
}

export function createTransfers(options: TransfersOptions): Transfers {
  const stallMs = options.stallMs ?? STALL_TIMEOUT_MS;
  let temps: Promise<TempFiles> | null = null;
  const tempFiles = (): Promise<TempFiles> => {
    temps ??= options.temps();
    return temps;
  };
  const fetchAhead = options.fetchAhead?.(tempFiles) ?? null;
  return {
    upload: async (request, transfer) => {
      const source = await openFileSource(request);
      try {
        await guarded({ ...transfer, stallMs }, (guardedTransfer) =>
          upload(options, { request, source }, guardedTransfer),
        );
      } finally {
        await source.close();
      }
    },
    download: async (request, transfer) => {
      const ahead = await guarded({ ...transfer, stallMs }, () =>
        takeAhead(options.routes, fetchAhead, request),
      );
      if (ahead !== null) return await ahead.keep();
      const target = await (await tempFiles()).create(request.oid);
      const leaveRoom = request.sizeBytes < ROOMY_SIZE_MIN_BYTES ? null : holdRoom();
      try {
        await guarded({ ...transfer, stallMs }, (guardedTransfer) =>
          download(options, { request, target }, guardedTransfer),
        );
        return await target.keep();
      } catch (error) {
        await (mayGoOn(error) ? target.leave() : target.discard());
        throw error;
      } finally {
        leaveRoom?.();
      }
    },
    close: async () => {
      await fetchAhead?.close();
      await options.routes.close();
      (await temps?.catch(() => null))?.removeAll();
    },
  };
}

interface Outgoing {
  readonly request: UploadRequest;
  readonly source: FileSource;
}

async function upload(
  options: TransfersOptions,
  { request, source }: Outgoing,
  transfer: TransferOptions,
): Promise<void> {
  await eitherWay(options, request, (route) =>
    withRetries(retryOptions(options, route, transfer), () =>
      route.kind === 'basic'
        ? uploadBasic(route.action, source, transfer)
        : uploadToStore(options, { request, source, route }, transfer),
    ),
  );
}

/** What the repo holds already, or what went ahead, needs no reading. */
async function uploadToStore(
  { lookAhead }: TransfersOptions,
  { request, source, route }: Outgoing & { readonly route: Route & { readonly kind: 'datamon' } },
  { onProgress, signal }: TransferOptions,
): Promise<void> {
  const { blobs, batch } = route;
  const held = await blobs.has([source.oid]);
  if (held.get(source.oid) === source.sizeBytes) return;
  if (await lookAhead?.has({ request, blobs, batch })) return;
  await blobs.put(source, { signal, onProgress: (_oid, doneBytes) => onProgress(doneBytes) });
}

/** Tries datamon's way, and the plain one where only datamon's fails. */
async function eitherWay(
  { routes, log }: TransfersOptions,
  request: ObjectRequest,
  attempt: (route: Route) => Promise<void>,
): Promise<void> {
  const route = await routes.find(request);
  try {
    return await attempt(route);
  } catch (error) {
    const plain = route.kind === 'basic' ? null : routes.fallback(request, error);
    if (plain === null) throw error;
    log(`${request.oid}: plain transfer, because: ${(error as Error).message}`);
    return await attempt(plain);
  }
}

function retryOptions(
  { pauses, log }: TransfersOptions,
  route: Route,
  { signal }: TransferOptions,
): RetryOptions {
  return {
    ...pauses,
    signal,
    attemptCount: route.kind === 'basic' ? BASIC_ATTEMPT_COUNT : STORE_ATTEMPT_COUNT,
    onRetry: (error, pauseMs) => log(`again in ${pauseMs} ms: ${(error as Error).message}`),
  };
}

/** Failures that say nothing against the bytes that came before. */
function mayGoOn(error: unknown): boolean {
  return (['UNAVAILABLE', 'CANCELLED', 'UNAUTHENTICATED'] as const).some((code) =>
    hasCode(error, code),
  );
}

/** What came already. Not kept yet: as long as nobody does, it is removed with the other temp files. */
async function takeAhead(
  routes: Routes,
  fetchAhead: FetchAhead | null,
  request: DownloadRequest,
): Promise<HeldFile | null> {
  if (fetchAhead === null || request.action === null) return null;
  const route = await routes.find(request);
  if (route.kind === 'basic' || route.batch === null) return null;
  return await fetchAhead.take(request, route.batch);
}

interface Incoming {
  readonly request: DownloadRequest;
  readonly target: TempFile;
}

async function download(
  options: TransfersOptions,
  incoming: Incoming,
  transfer: TransferOptions,
): Promise<void> {
  const { request, target } = incoming;
  const found = await beginningOf(request, target, transfer);
  if (found.bytes > 0) options.log(`${request.oid}: goes on at byte ${found.bytes}`);
  const problem = await downloadFrom(found, options, { incoming, transfer });
  if (problem === null) return;
  // What an interrupted download left may be damaged; what comes from the store now is not to blame for that.
  if (found.foundBytes === 0) throw damaged(request, problem);
  options.log(`${request.oid}: from the start, because: ${problem}`);
  await target.handle.truncate(0);
  const again = await downloadFrom(nothing(), options, { incoming, transfer });
  if (again !== null) throw damaged(request, again);
}

/** Downloads what is missing. What is wrong with the whole, or null. */
async function downloadFrom(
  received: Received,
  options: TransfersOptions,
  { incoming, transfer }: { readonly incoming: Incoming; readonly transfer: TransferOptions },
): Promise<string | null> {
  const { request, target } = incoming;
  const file = { request, handle: target.handle };
  await eitherWay(options, request, async (route) => {
    let startedAt = 0;
    await withRetries(
      retryOptions(options, route, transfer),
      async () => {
        // What was received and could not be written is not there to go on from.
        if (received.lost !== null) throw received.lost;
        startedAt = received.bytes;
        if (startedAt === request.sizeBytes && startedAt > 0) return;
        const bytes = bytesFrom(route, request, { start: startedAt, signal: transfer.signal });
        await receive(bytes, { ...transfer, file, received });
      },
      () => received.bytes > startedAt,
    );
  });
  if (received.bytes !== request.sizeBytes) {
    return `${received.bytes} bytes arrived instead of ${request.sizeBytes}`;
  }
  return received.hasher.digest() === request.oid ? null : 'other bytes arrived';
}

function bytesFrom(
  route: Route,
  { oid, sizeBytes }: DownloadRequest,
  { start, signal }: { readonly start: number; readonly signal: AbortSignal },
): ByteStream {
  if (route.kind === 'basic') return downloadBasic(route.action, { start, signal });
  // As a range, which nobody hashes on the way: that is done here.
  return route.blobs.get(oid, { start, end: sizeBytes });
}

interface Receiver extends TransferOptions {
  readonly file: { readonly request: DownloadRequest; readonly handle: FileHandle };
  readonly received: Received;
}

async function receive(bytes: ByteStream, receiver: Receiver): Promise<void> {
  const { file, received, signal, onProgress } = receiver;
  const writer = new BlockWriter(file.handle, received.bytes);
  const settle = async (): Promise<void> => {
    await writer.flush().catch((failure: DatamonError) => {
      received.lost = failure;
      throw failure;
    });
  };
  try {
    for await (const piece of bytes) {
      throwIfStopped(signal);
      if (received.bytes + piece.length > file.request.sizeBytes) {
        throw damaged(file.request, `more than ${file.request.sizeBytes} bytes arrived`);
      }
      await writer.add(piece);
      received.hasher.update(piece);
      received.bytes += piece.length;
      onProgress(received.bytes);
    }
  } catch (error) {
    // Another attempt goes on behind what was received, so it has to be in the file.
    await settle();
    throw error;
  }
  await settle();
}

function damaged({ oid }: DownloadRequest, why: string): DatamonError {
  return new DatamonError('CORRUPT', `the object ${oid} is damaged where it is stored: ${why}`, {
    hint: 'Push it again from a clone that has it: git lfs push --object-id <remote> <oid>',
  });
}
