/**
 * A store in several places, as one backend. Promises: with mode `sync` what was acknowledged stands at home and in another member,
 * and what is visible at home stands elsewhere too, or a write of it is still unanswered; with `async` it stands at home behind a
 * durable debt. Reads go to home and fail over; writes go nowhere but home (docs/format.md §13).
 *
 * Home decides every race: "absent" is believed of home's logs alone, and lists are home's as long as it answers.
 */
import { DatamonError, hasCode } from '../errors.ts';
import { hasOneContent, kindOfKey, logEntryOf } from '../key-kind.ts';
import { type Key, parseKey } from '../keys.ts';
import type { Backend, Body, ByteRange, ObjectInfo } from './backend.ts';
import { type Copier, isLocalFailure, type Member, storedBody } from './copying.ts';
import { Failover, isOwn } from './failover.ts';
import type { CopyCount, HealOutcome, Replicated } from './healing.ts';

export type ReplicationMode = 'sync' | 'async';

/** `failed over`: a read was answered elsewhere; `listed elsewhere`: a list was, and may lack the newest; `restored`: home lacked an object and has it again. */
export type ReplicationEvent = 'failed over' | 'listed elsewhere' | 'restored';

/** The members as they are now, and what only those who know the whole store can decide; see core/replication/group.ts. */
export interface ReplicaGroup {
  readonly url: string;
  readonly mode: ReplicationMode;
  readonly home: Member;
  /** Members besides home that are read from and written to. */
  readonly others: readonly Member[];
  /** Members that are out count too. */
  readonly memberCount: number;
  copierTo(member: Member): Copier;
  /** FORBIDDEN where writes are for another place. */
  checkWritable(): void;
  /** Publish, then look: throws where home is another by now, or members have come or gone. `copied` are those whose copy counts. */
  look(copied: readonly Member[]): Promise<void>;
  /** As `look` at whoever answers; what it learns `checkWritable` tells. */
  lookAround(): Promise<void>;
  /** Durable at home when it resolves: these members are owed the object. */
  owe(key: Key, members: readonly Member[]): Promise<void>;
  /** Copies to home what only `from` has; false where it must stay gone. */
  restore(key: Key, from: Member): Promise<boolean>;
  heal(key: Key): Promise<HealOutcome>;
  /** The member whose copy was proved where home's was not. */
  preferred(key: Key): Member | null;
  on(event: ReplicationEvent, key: string): void;
}

export function createReplicatedBackend(group: ReplicaGroup): Backend & Replicated {
  return {
    url: group.url,
    putIfAbsent: (key, body) => explained(group, () => put(group, parseKey(key), body)),
    get: (key, range) => read(group, key, range),
    stat: (key) => stat(group, key),
    list: (prefix, after) => list(group, prefix, after),
    remove: (key) => remove(group, parseKey(key)),
    now: () => now(group),
    heal: (key) => group.heal(key),
    copies: (keys) => countCopies(group, keys),
  };
}

/** What is acknowledged to others: only now does it matter whether home still is home. */
const isAcknowledged = (key: Key): boolean =>
  logEntryOf(key) !== null || kindOfKey(key).kind === 'segment';

/** Where home does not answer, another may be home by now: that says more than the silence. */
async function explained<T>(group: ReplicaGroup, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (hasCode(error, 'UNAVAILABLE') || hasCode(error, 'CORRUPT')) {
      await group.lookAround();
      group.checkWritable();
    }
    throw error;
  }
}

async function put(group: ReplicaGroup, key: Key, body: Body): Promise<{ created: boolean }> {
  group.checkWritable();
  const { home, others, mode } = group;
  if (isOwn(key)) return home.backend.putIfAbsent(key, body);
  if (mode === 'async') {
    if (others.length > 0) await group.owe(key, others);
    const outcome = await home.backend.putIfAbsent(key, body);
    if (isAcknowledged(key)) await group.look([]);
    return outcome;
  }
  const { created, copied } = await putInTwo(group, key, body);
  if (isAcknowledged(key)) await group.look(copied);
  return { created };
}

async function putInTwo(
  group: ReplicaGroup,
  key: Key,
  body: Body,
): Promise<{ readonly created: boolean; readonly copied: readonly Member[] }> {
  const { home } = group;
  if (hasOneContent(key)) {
    const copied = await copyOut(group, key, body);
    return { ...(await home.backend.putIfAbsent(key, body)), copied };
  }
  const { created } = await home.backend.putIfAbsent(key, body);
  const decided = created ? body : await storedBody(home.backend, key);
  return { created, copied: await copyOut(group, key, decided) };
}

/** Copies to all others; one must succeed, the rest are owed it. */
async function copyOut(group: ReplicaGroup, key: Key, body: Body): Promise<readonly Member[]> {
  const { others } = group;
  const outcomes = await Promise.allSettled(
    others.map((member) => group.copierTo(member).copy(key, body)),
  );
  const copied = others.filter((_, index) => outcomes[index]?.status === 'fulfilled');
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failed !== undefined && copied.length === 0) throw notCopied(key, failed.reason);
  const owed = others.filter((member) => !copied.includes(member));
  if (owed.length > 0) await group.owe(key, owed);
  return copied;
}

/** Home may have the object already, so its fate is open: the same put again settles it. */
function notCopied(key: Key, reason: unknown): unknown {
  if (hasCode(reason, 'CONFLICT')) {
    // Not CONFLICT: trying again behind what is here would only lengthen what has parted.
    return new DatamonError('CORRUPT', reason.message, {
      cause: reason,
      hint: 'Make the replica equal again: datamon replicate STORE --resync',
    });
  }
  if (!hasCode(reason, 'UNAVAILABLE')) return reason;
  return new DatamonError('UNAVAILABLE', `no replica took ${key}: ${reason.message}`, {
    cause: reason,
    hint: 'This store acknowledges nothing that only one place has (mode sync). See: datamon replicate --status',
  });
}

async function* read(
  group: ReplicaGroup,
  key: Key,
  range: ByteRange = { start: 0 },
): AsyncIterable<Uint8Array> {
  let { start } = range;
  const failover = new Failover(group, key);
  for (const member of failover.members) {
    try {
      await failover.turnTo(member);
      for await (const bytes of member.backend.get(key, { ...range, start })) {
        await failover.answered(member);
        start += bytes.length;
        yield bytes;
      }
      return;
    } catch (error) {
      failover.failed(member, error);
    }
  }
  throw failover.failure;
}

async function stat(group: ReplicaGroup, key: Key): Promise<ObjectInfo | null> {
  const failover = new Failover(group, key);
  try {
    for (const member of failover.members) {
      try {
        await failover.turnTo(member);
        const found = await member.backend.stat(key);
        if (found !== null) return found;
        throw new DatamonError('NOT_FOUND', `${key} is not in ${member.name}`);
      } catch (error) {
        failover.failed(member, error);
      }
    }
    throw failover.failure;
  } catch (error) {
    if (hasCode(error, 'NOT_FOUND')) return null;
    throw error;
  }
}

async function* list(
  group: ReplicaGroup,
  prefix: string,
  after?: string,
): AsyncIterable<ObjectInfo> {
  let last = after;
  let failure: unknown = null;
  const { home, others } = group;
  for (const member of isOwn(prefix) ? [home] : [home, ...others]) {
    try {
      for await (const found of member.backend.list(prefix, last)) {
        last = found.key;
        yield found;
      }
      if (failure !== null) group.on('listed elsewhere', prefix);
      return;
    } catch (error) {
      if (!hasCode(error, 'UNAVAILABLE')) throw error;
      failure ??= error;
    }
  }
  throw failure;
}

/**
 * In the other member first, so that what home still lists is removed again by whoever finds it. With more members, or late ones,
 * only from home: what the others need of it may not have reached them; a resync removes it there once it is condemned.
 */
async function remove(group: ReplicaGroup, key: Key): Promise<void> {
  group.checkWritable();
  const { home, others, mode } = group;
  // A home that was succeeded must not delete what its successor may lean on.
  if (!isOwn(key)) await group.look(others);
  const [only, second] = others;
  if (only !== undefined && second === undefined && mode === 'sync' && !isOwn(key)) {
    await only.backend.remove(key);
    group.copierTo(only).forget(key);
  }
  await home.backend.remove(key);
}

async function now(group: ReplicaGroup): Promise<Date> {
  let failure: unknown = null;
  for (const { backend } of [group.home, ...group.others]) {
    try {
      return await backend.now();
    } catch (error) {
      if (!isLocalFailure(error)) throw error;
      failure ??= error;
    }
  }
  throw failure;
}

async function countCopies(group: ReplicaGroup, keys: readonly Key[]): Promise<CopyCount> {
  const hasAll = async ({ backend }: Member): Promise<boolean> => {
    try {
      for (const key of keys) if ((await backend.stat(key)) === null) return false;
      return true;
    } catch (error) {
      if (!isLocalFailure(error)) throw error;
      return false;
    }
  };
  const answers = await Promise.all([group.home, ...group.others].map(hasAll));
  return { have: answers.filter(Boolean).length, of: group.memberCount };
}
