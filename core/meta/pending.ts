/** Pushes announced and not yet done: two keys a push, each written once, so nothing is ever edited. */
import { type Backend, bytesBody } from '../backend/backend.ts';
import { collect } from '../bytes.ts';
import { DatamonError, hasCode } from '../errors.ts';
import { canonicalJson, type Json, openSealedJson, sealJson } from '../json.ts';
import {
  type Key,
  type PushId,
  parsePushId,
  pendingKey,
  pendingPrefix,
  type RepoName,
} from '../keys.ts';
import { oneOf, record, time } from '../shape.ts';
import type { Announcement } from './model.ts';
import { parseAnnouncement } from './wire.ts';

export type PushOutcome = 'confirmed' | 'abandoned';

const ANNOUNCEMENT_SIZE_MAX_BYTES = 64 * 1024 * 1024;
const parseTime = record<{ announcedAt: string }>({ announcedAt: time });
const parseDone = record<{ outcome: PushOutcome }>({ outcome: oneOf(['confirmed', 'abandoned']) });

export class PendingPushes {
  readonly #backend: Backend;
  readonly #repo: RepoName;

  constructor(backend: Backend, repo: RepoName) {
    this.#backend = backend;
    this.#repo = repo;
  }

  /** CONFLICT where another push has this id. The same announcement again is success. */
  async announce(announcement: Announcement): Promise<void> {
    const key = pendingKey(this.#repo, announcement.pushId, 'announced');
    const announcedAt = (await this.#backend.now()).toISOString();
    if (await this.#create(key, { ...(announcement as unknown as JsonObject), announcedAt }))
      return;
    const { announcement: stored } = await this.#read(key);
    if (canonicalJson(asJson(stored)) === canonicalJson(asJson(announcement))) return;
    throw new DatamonError('CONFLICT', `another push was announced as ${announcement.pushId}`);
  }

  /** Oldest first. */
  async *open(): AsyncIterable<Announcement> {
    for await (const { announcement } of this.openStored()) yield announcement;
  }

  /** As `open`, with the time of each. */
  async *openStored(): AsyncIterable<StoredAnnouncement> {
    const announced = new Set<PushId>();
    const prefix = pendingPrefix(this.#repo);
    for await (const { key } of this.#backend.list(prefix)) {
      const [push = '', part] = key.slice(prefix.length).split('/');
      if (part === 'announced') announced.add(parsePushId(push));
      // Within a push `announced` sorts first.
      else if (part === 'done') announced.delete(parsePushId(push));
    }
    const found: StoredAnnouncement[] = [];
    for (const push of announced) {
      found.push(await this.#read(pendingKey(this.#repo, push, 'announced')));
    }
    found.sort((a, b) => a.announcedAtMs - b.announcedAtMs);
    yield* found;
  }

  /** That push, if it was announced and is not done. */
  async *openOne(push: PushId): AsyncIterable<Announcement> {
    if ((await this.outcome(push)) !== null) return;
    const key = pendingKey(this.#repo, push, 'announced');
    if ((await this.#backend.stat(key)) !== null) yield (await this.#read(key)).announcement;
  }

  /** The first outcome stays. */
  async settle(push: PushId, outcome: PushOutcome): Promise<void> {
    const at = (await this.#backend.now()).toISOString();
    await this.#create(pendingKey(this.#repo, push, 'done'), { outcome, at });
  }

  /** Null while nobody said how the push ended. */
  async outcome(push: PushId): Promise<PushOutcome | null> {
    const key = pendingKey(this.#repo, push, 'done');
    try {
      return parseStored(await this.#bytes(key), key, parseDone).outcome;
    } catch (error) {
      if (hasCode(error, 'NOT_FOUND')) return null;
      throw error;
    }
  }

  async #create(key: Key, value: Json): Promise<boolean> {
    const bytes = sealJson(value);
    return (await this.#backend.putIfAbsent(key, bytesBody(bytes))).created;
  }

  async #read(key: Key): Promise<StoredAnnouncement> {
    const bytes = await this.#bytes(key);
    return parseStored(bytes, key, (value, where) => ({
      announcement: parseAnnouncement(value, where),
      announcedAtMs: Date.parse(parseTime(value, where).announcedAt),
    }));
  }

  async #bytes(key: Key): Promise<Buffer> {
    return await collect(this.#backend.get(key), ANNOUNCEMENT_SIZE_MAX_BYTES);
  }
}

export interface StoredAnnouncement {
  readonly announcement: Announcement;
  readonly announcedAtMs: number;
}

type JsonObject = { readonly [key: string]: Json };

const asJson = (announcement: Announcement): Json => announcement as unknown as Json;

function parseStored<T>(bytes: Buffer, key: Key, parse: (value: unknown, where: string) => T): T {
  try {
    return parse(openSealedJson(bytes, key), key);
  } catch (error) {
    if (!hasCode(error, 'INVALID')) throw error;
    throw new DatamonError('CORRUPT', error.message, { cause: error });
  }
}
