/** What an operator decides about a server, and the limits it keeps. */
import type { Accepting, Signing } from '../client/tokens.ts';
import { RESUMABLE_DAYS } from '../core/cas/upload-journal.ts';

/** What callers without a token may do. `write` includes read, never admin. */
export type AnonymousMode = 'none' | 'read' | 'write';

export interface Settings {
  /** Origin that links and hrefs begin with; null: the request's own Host. */
  readonly publicUrl: string | null;
  readonly anonymous: AnonymousMode;
  /** Names by which the server may be called; null: any. Without it a web page elsewhere could speak to a server on loopback. */
  readonly hosts: ReadonlySet<string> | null;
  readonly signing: Signing;
  readonly accepting: Accepting;
  readonly limits: Limits;
}

export interface Limits {
  readonly objectSizeMaxBytes: number;
  /** Slowest upload that is borne. */
  readonly rateFloorBytesPerSecond: number;
  /** How long a body may stand still before the floor counts. */
  readonly stallMaxMs: number;
  /** How long a reader may take no bytes at all. */
  readonly readerStallMaxMs: number;
  /** How long a body of JSON may take in all. */
  readonly jsonTimeoutMs: number;
}

export const DEFAULT_LIMITS: Limits = {
  objectSizeMaxBytes: 5 * 1024 ** 4,
  rateFloorBytesPerSecond: 1024,
  stallMaxMs: 30_000,
  readerStallMaxMs: 60_000,
  jsonTimeoutMs: 60_000,
};

export const BATCH_OBJECT_COUNT_MAX = 1000;
export const BATCH_BODY_MAX_BYTES = 2 * 1024 * 1024;
/** Commas, colons and brackets in one body: unfolded, each may cost a hundred times its byte. A chunk list of 64 MiB has a million. */
export const JSON_MARK_COUNT_MAX = 4_000_000;
/** Lists of chunks: 64 MiB are those of a file of 60 GiB. */
export const RECORD_BODY_MAX_BYTES = 64 * 1024 * 1024;
/** Descriptors hold a commit object, announcements may list missing oids. */
export const HISTORY_BODY_MAX_BYTES = 32 * 1024 * 1024;
/** Packs are at most 64 MiB of frames, plus tables. */
export const PACK_BODY_MAX_BYTES = 80 * 1024 * 1024;

export const ACTION_TTL_MIN_SECONDS = 60 * 60;
export const ACTION_TTL_MAX_SECONDS = 24 * 60 * 60;
/** An action lives as long as its object takes at this rate. */
export const ACTION_RATE_BYTES_PER_SECOND = 256 * 1024;
/** As long as clients keep a note of the pack (client/upload-journal.ts): a push interrupted on Friday goes on on Monday. */
export const TICKET_TTL_SECONDS = RESUMABLE_DAYS * 24 * 60 * 60;
