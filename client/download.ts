/**
 * Reads a blob or a range of it over HTTP. Promises: a cut connection is taken up again where it broke; the last bytes of a
 * whole blob are passed on only once all of them hash to its oid.
 */
import type { ByteRange } from '../core/backend/backend.ts';
import type { ByteStream } from '../core/bytes.ts';
import { createHasher, type Digest } from '../core/digest.ts';
import { DatamonError, hasCode, isRetryable } from '../core/errors.ts';
import { parseHasAnswer } from '../core/meta/api-wire.ts';
import type { HttpAnswer } from './http.ts';
import type { RepoClient } from './repo-client.ts';

/** NOT_FOUND; INVALID for a range that starts past the end; CORRUPT where the server's bytes are not the blob's. */
export async function* download(repo: RepoClient, oid: Digest, range?: ByteRange): ByteStream {
  const start = range?.start ?? 0;
  if (range?.end !== undefined && range.end <= start) return;
  const reading = { repo, oid, start, end: range?.end };
  const isWhole = start === 0 && range?.end === undefined;
  try {
    yield* isWhole ? proved(resumed(reading), oid, repo) : resumed(reading);
  } catch (error) {
    // HTTP has no range for the nothing behind the last byte.
    if (start > 0 && hasCode(error, 'INVALID') && (await sizeOf(repo, oid)) === start) return;
    throw error;
  }
}

interface Reading {
  readonly repo: RepoClient;
  readonly oid: Digest;
  readonly start: number;
  readonly end: number | undefined;
}

/** Keeps the newest piece back until it is known that more follows, or that all was right. */
async function* proved(bytes: ByteStream, oid: Digest, repo: RepoClient): ByteStream {
  const hasher = createHasher();
  let last: Uint8Array | null = null;
  for await (const piece of bytes) {
    hasher.update(piece);
    if (last !== null) yield last;
    last = piece;
  }
  const actual = hasher.digest();
  if (actual !== oid) {
    const { origin } = new URL(repo.url(''));
    throw new DatamonError('CORRUPT', `${origin} sent bytes of ${actual} for ${oid}`, {
      hint: 'Nothing was kept. Try again; if this stays, tell the operator to run: datamon fsck',
    });
  }
  if (last !== null) yield last;
}

/** Where reading has got to; shared between the connections it takes. */
interface Progress {
  offset: number;
  total: number | null;
  /** Connections in a row that brought nothing. */
  cuts: number;
}

async function* resumed(reading: Reading): ByteStream {
  const { api } = reading.repo;
  const progress: Progress = { offset: reading.start, total: null, cuts: 0 };
  for (;;) {
    try {
      yield* pieces(reading, progress);
      return;
    } catch (error) {
      if (!(error instanceof CutError)) throw error;
      progress.cuts += 1;
      if (progress.cuts >= api.policy.attemptCount) throw error.reason;
      await api.pause(progress.cuts);
    }
  }
}

/** The connection broke in the middle of a body; requests that fail were tried again already. */
class CutError extends Error {
  readonly reason: unknown;

  constructor(reason: unknown) {
    super('cut');
    this.reason = reason;
  }
}

/** What one connection brings, from the offset on. */
async function* pieces(reading: Reading, progress: Progress): ByteStream {
  const answer = await request(reading, progress.offset);
  const place = placeOf(answer, progress.offset, reading.oid);
  progress.total = agreed(progress.total, place.total, reading.oid);
  let skip = progress.offset - place.from;
  const body = answer.body[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await body.next().catch(cutOrThrow);
      if (next.done) break;
      const piece = limited(next.value.subarray(skip), progress.offset, reading.end);
      skip = Math.max(0, skip - next.value.length);
      if (piece.length === 0) continue;
      progress.offset += piece.length;
      progress.cuts = 0;
      yield piece;
    }
  } finally {
    await body.return?.();
  }
  const { offset, total } = progress;
  const end = Math.min(reading.end ?? Number.POSITIVE_INFINITY, total ?? offset);
  if (offset >= end) return;
  const message = `${reading.oid} ended after ${offset} of ${end} bytes`;
  throw new CutError(new DatamonError('UNAVAILABLE', message));
}

function cutOrThrow(error: unknown): never {
  throw isRetryable(error) ? new CutError(error) : error;
}

async function request({ repo, oid, end }: Reading, offset: number): Promise<HttpAnswer> {
  const isWhole = offset === 0 && end === undefined;
  return await repo.api.open({
    method: 'GET',
    url: repo.url(`/objects/${oid}`),
    headers: {
      'Accept-Encoding': 'identity',
      ...(!isWhole && { Range: `bytes=${offset}-${end === undefined ? '' : end - 1}` }),
    },
  });
}

/** Which bytes of the blob an answer begins with, and how many there are in all. */
function placeOf(
  answer: HttpAnswer,
  offset: number,
  oid: Digest,
): { readonly from: number; readonly total: number | null } {
  const range = answer.headers['content-range'];
  if (answer.status !== 206) {
    const length = answer.headers['content-length'];
    return { from: 0, total: length === undefined ? null : Number(length) };
  }
  const match = /^bytes ([0-9]{1,16})-[0-9]{1,16}\/([0-9]{1,16}|\*)$/.exec(range ?? '');
  if (match === null || Number(match[1]) !== offset) {
    answer.discard();
    throw new DatamonError('CORRUPT', `asked for ${oid} from byte ${offset}, was sent ${range}`);
  }
  return { from: offset, total: match[2] === '*' ? null : Number(match[2]) };
}

function agreed(before: number | null, now: number | null, oid: Digest): number | null {
  if (before === null || now === null || before === now) return now ?? before;
  throw new DatamonError('CORRUPT', `${oid} had ${before} bytes a moment ago and now has ${now}`);
}

function limited(bytes: Uint8Array, offset: number, end: number | undefined): Uint8Array {
  return end === undefined ? bytes : bytes.subarray(0, Math.max(0, end - offset));
}

async function sizeOf(repo: RepoClient, oid: Digest): Promise<number | undefined> {
  const { objects } = await repo.send(
    { method: 'POST', path: '/objects/has', json: { oids: [oid] } },
    parseHasAnswer,
  );
  return objects.find((object) => object.oid === oid)?.size;
}
