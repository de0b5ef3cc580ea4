/** The Backend port: six verbs over keys and bytes. Nothing is ever overwritten; every backend and decorator passes one conformance suite. */
import type { Key } from '../keys.ts';

/** Bytes `start` to `end` (exclusive; to the end of the object when absent). */
export interface ByteRange {
  readonly start: number;
  readonly end?: number;
}

/** Bytes of known length that can be read more than once, so that a retry sends the same bytes again. */
export interface Body {
  readonly sizeBytes: number;
  /** A fresh stream from the first byte. */
  open(): AsyncIterable<Uint8Array>;
  /** A file that holds exactly these bytes and is never written again: a backend on the same disk may link it instead of reading it. */
  readonly file?: string;
}

export interface ObjectInfo {
  readonly key: Key;
  readonly sizeBytes: number;
  /** When it was created, by the store's clock; perhaps in whole seconds. */
  readonly createdAt: Date;
}

/**
 * An object store. Errors are `DatamonError`s: NOT_FOUND, NO_SPACE, FORBIDDEN, UNAVAILABLE (may pass), CORRUPT,
 * INVALID (a body that is shorter or longer than it says, a range outside the object).
 */
export interface Backend {
  /** The store's URL, for messages only. */
  readonly url: string;
  /**
   * Stores `body` whole or not at all, durably before the promise resolves. An existing object wins: `created` is then
   * false, and that object too is durable. A body that does not yield exactly `sizeBytes` is INVALID and leaves nothing.
   */
  putIfAbsent(key: Key, body: Body): Promise<{ readonly created: boolean }>;
  /** The object's bytes. NOT_FOUND when absent; INVALID when the range starts past the end; a range may end past it. */
  get(key: Key, range?: ByteRange): AsyncIterable<Uint8Array>;
  /** Null when absent. */
  stat(key: Key): Promise<ObjectInfo | null>;
  /** Objects whose key starts with `prefix` and sorts after `after`, ascending by the key's bytes. */
  list(prefix: string, after?: string): AsyncIterable<ObjectInfo>;
  /** Removing what is absent is success. */
  remove(key: Key): Promise<void>;
  /** The store's clock, not ours. */
  now(): Promise<Date>;
  /**
   * Where there is a disk below: a fresh path on it, for a file that is to become a body's `file`. It is its maker's to remove;
   * what a dead process left is swept.
   */
  spoolPath?(): Promise<string>;
}

/** A body of bytes already in memory. */
export function bytesBody(bytes: Uint8Array): Body {
  return {
    sizeBytes: bytes.length,
    async *open() {
      if (bytes.length > 0) yield bytes;
    },
  };
}
