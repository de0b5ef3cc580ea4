/** Sends a blob or a range of it. Invariant: an answer that ends cleanly carried every byte it promised; anything else is a cut connection. */
import type { Response } from 'express';
import type { ByteRange } from '../core/backend/backend.ts';
import type { ByteStream } from '../core/bytes.ts';
import type { Digest } from '../core/digest.ts';
import { DatamonError } from '../core/errors.ts';
import { parseRange } from './range.ts';
import type { Call } from './route.ts';

export interface SentBlob {
  readonly oid: Digest;
  readonly sizeBytes: number;
  readonly open: (range?: ByteRange) => ByteStream;
  readonly headers?: Readonly<Record<string, string>>;
}

export async function sendBlob(call: Call, blob: SentBlob): Promise<void> {
  const { request, response } = call;
  const { oid, sizeBytes } = blob;
  const etag = `"${oid}"`;
  response.setHeader('ETag', etag);
  response.setHeader('Accept-Ranges', 'bytes');
  response.setHeader('Content-Type', 'application/octet-stream');
  response.setHeader('Cache-Control', 'private, no-cache');
  for (const [name, value] of Object.entries(blob.headers ?? {})) response.setHeader(name, value);
  if (matchesTag(request.headers['if-none-match'], etag)) {
    response.status(304).end();
    return;
  }
  const condition = request.headers['if-range'];
  const asked = condition === undefined || condition === etag ? request.headers.range : undefined;
  const range = parseRange(asked, sizeBytes);
  if (range.kind === 'unsatisfiable') {
    response.status(416);
    response.setHeader('Content-Range', `bytes */${sizeBytes}`);
    response.setHeader('Content-Length', '0');
    response.end();
    return;
  }
  const { start, end } = range.kind === 'part' ? range : { start: 0, end: sizeBytes };
  const head = () => {
    response.status(range.kind === 'part' ? 206 : 200);
    response.setHeader('Content-Length', String(end - start));
    if (range.kind === 'part') {
      response.setHeader('Content-Range', `bytes ${start}-${end - 1}/${sizeBytes}`);
    }
  };
  if (request.method === 'HEAD' || start === end) {
    head();
    response.end();
    return;
  }
  await pump(blob.open(range.kind === 'part' ? { start, end } : undefined), response, {
    head,
    lengthBytes: end - start,
    stallMs: call.deps.settings.limits.readerStallMaxMs,
  });
}

function matchesTag(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false;
  return header
    .split(',')
    .some((tag) => tag.trim().replace(/^W\//, '') === etag || tag.trim() === '*');
}

/** The status is sent with the first bytes: what fails before them is still an honest error. */
async function pump(
  stream: ByteStream,
  response: Response,
  promise: { readonly head: () => void; readonly lengthBytes: number; readonly stallMs: number },
): Promise<void> {
  let sent = 0;
  for await (const bytes of stream) {
    if (sent === 0) {
      promise.head();
      // The socket's own watch: it counts bytes that leave, not pieces that are done, and holds for the last one, too.
      response.setTimeout(promise.stallMs);
    }
    sent += bytes.length;
    if (sent > promise.lengthBytes)
      throw new DatamonError('CORRUPT', 'the store gave more bytes than the object has');
    await writeBytes(response, bytes);
  }
  if (sent !== promise.lengthBytes) {
    throw new DatamonError('CORRUPT', `the store gave ${sent} of ${promise.lengthBytes} bytes`);
  }
  response.end();
}

/** No faster than the client reads; CANCELLED where it went away. */
export async function writeBytes(response: Response, bytes: Uint8Array): Promise<void> {
  if (response.destroyed) throw new DatamonError('CANCELLED', 'the client went away');
  if (!response.write(bytes)) await drained(response);
}

function drained(response: Response): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (): void => {
      response.off('drain', settle);
      response.off('close', settle);
      if (response.destroyed) reject(new DatamonError('CANCELLED', 'the client went away'));
      else resolve();
    };
    response.once('drain', settle);
    response.once('close', settle);
    if (response.destroyed) settle();
  });
}
