/** One object up or down. An upload is durable when it resolves; a download is a verified file of its own, or nothing is left. */
import type { FileHandle } from 'node:fs/promises';
import type { ByteStream } from '../core/bytes.ts';
import { createHasher, type Hasher } from '../core/digest.ts';
import { DatamonError } from '../core/errors.ts';
import { downloadBasic, uploadBasic } from './basic-transfer.ts';
import { type FileSource, openFileSource } from './file-source.ts';
import { guarded, STALL_TIMEOUT_MS, throwIfStopped } from './guard.ts';
import type { Log } from './log-file.ts';
import type { LookAhead } from './look-ahead.ts';
import type { DownloadRequest, ObjectRequest, UploadRequest } from './messages.ts';
import { type Pauses, type RetryOptions, withRetries } from './retry.ts';
import type { Route, Routes } from './routes.ts';
import type { TransferOptions, Transfers } from './session.ts';
import { fileError, type TempFiles } from './temp-files.ts';

/** Stores retry below us already; plain HTTP does not. */
const STORE_ATTEMPT_COUNT = 2;
const BASIC_ATTEMPT_COUNT = 5;

export interface TransfersOptions {
  readonly routes: Routes;
  /** Asked at the first download. */
  readonly temps: () => Promise<TempFiles>;
  readonly pauses: Pauses;
  readonly log: Log;
  /** Uploads small objects together; absent: each alone. */
  readonly lookAhead?: LookAhead;
  readonly stallMs?: number;
}

export function createTransfers(options: TransfersOptions): Transfers {
  const stallMs = options.stallMs ?? STALL_TIMEOUT_MS;
  let temps: Promise<TempFiles> | null = null;
  const tempFiles = (): Promise<TempFiles> => {
    temps ??= options.temps();
    return temps;
  };
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
      const target = await (await tempFiles()).create(request.oid);
      try {
        await guarded({ ...transfer, stallMs }, (guardedTransfer) =>
          download(options, { request, file: target.handle }, guardedTransfer),
        );
        return await target.keep();
      } catch (error) {
        await target.discard();
        throw error;
      }
    },
    close: async () => {
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

interface Target {
  readonly request: DownloadRequest;
  readonly file: FileHandle;
}

/** Bytes received so far, kept over interruptions so that only what is missing is asked for again. */
interface Received {
  bytes: number;
  readonly hasher: Hasher;
}

async function download(
  options: TransfersOptions,
  target: Target,
  transfer: TransferOptions,
): Promise<void> {
  const { request } = target;
  const received: Received = { bytes: 0, hasher: createHasher() };
  await eitherWay(options, request, async (route) => {
    let startedAt = 0;
    await withRetries(
      retryOptions(options, route, transfer),
      async () => {
        startedAt = received.bytes;
        if (startedAt === request.sizeBytes && startedAt > 0) return;
        await receive(bytesFrom(route, request, { start: startedAt, signal: transfer.signal }), {
          ...transfer,
          target,
          received,
        });
      },
      () => received.bytes > startedAt,
    );
  });
  if (received.bytes !== request.sizeBytes) {
    throw damaged(request, `${received.bytes} bytes arrived instead of ${request.sizeBytes}`);
  }
  if (received.hasher.digest() !== request.oid) throw damaged(request, 'other bytes arrived');
}

function bytesFrom(
  route: Route,
  { oid }: DownloadRequest,
  { start, signal }: { readonly start: number; readonly signal: AbortSignal },
): ByteStream {
  if (route.kind === 'basic') return downloadBasic(route.action, { start, signal });
  return start === 0 ? route.blobs.get(oid) : route.blobs.get(oid, { start });
}

interface Receiver extends TransferOptions {
  readonly target: Target;
  readonly received: Received;
}

async function receive(bytes: ByteStream, receiver: Receiver): Promise<void> {
  const { target, received, signal, onProgress } = receiver;
  for await (const piece of bytes) {
    throwIfStopped(signal);
    if (received.bytes + piece.length > target.request.sizeBytes) {
      throw damaged(target.request, `more than ${target.request.sizeBytes} bytes arrived`);
    }
    await writeAll(target.file, piece, received.bytes);
    received.hasher.update(piece);
    received.bytes += piece.length;
    onProgress(received.bytes);
  }
}

async function writeAll(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  let written = 0;
  while (written < bytes.length) {
    const { bytesWritten } = await file
      .write(bytes, written, bytes.length - written, position + written)
      .catch((cause: unknown) => {
        throw fileError(cause, 'cannot write to the LFS folder of this clone');
      });
    written += bytesWritten;
  }
}

function damaged({ oid }: DownloadRequest, why: string): DatamonError {
  return new DatamonError('CORRUPT', `the object ${oid} is damaged where it is stored: ${why}`, {
    hint: 'Push it again from a clone that has it: git lfs push --object-id <remote> <oid>',
  });
}
