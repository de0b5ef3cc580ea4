/** The state of a store's members, asked of each of them now. */
import { isLocalFailure, type Member } from '../backend/copying.ts';
import type { Random } from '../random.ts';
import { configNumber, type MemberConfig } from './config.ts';
import { readDebts } from './debts.ts';
import type { Group } from './group.ts';
import { openResyncsLog, type ResyncNote } from './resync-notes.ts';

export interface MemberStatus {
  readonly name: string;
  readonly url: string;
  readonly role: 'home' | 'replica' | 'out';
  readonly epoch: number;
  readonly mode: 'sync' | 'async';
  readonly isReachable: boolean;
  /** Keys it is owed; null where home cannot be asked, or notes do not read. */
  readonly owed: number | null;
  /** Of the oldest note that names it. */
  readonly owedSince: string | null;
  /** When it was last seen to hold all that home does. */
  readonly lastResync: string | null;
}

export async function memberStatuses(group: Group, random: Random): Promise<MemberStatus[]> {
  const debts = await asked(() => debtsByMember(group.home));
  const resyncs = (await asked(() => lastResyncs(group, random))) ?? new Map();
  const { config } = group;
  const statuses: MemberStatus[] = [];
  for (const member of config.members) {
    const owed = debts?.get(member.name);
    statuses.push({
      name: member.name,
      url: member.url,
      role: roleOf(member, config.home),
      epoch: config.epoch,
      mode: config.mode,
      isReachable: await answers(group.memberAt(member.name, member.url)),
      owed: debts === null ? null : (owed?.keys.size ?? 0),
      owedSince: owed?.since.toISOString() ?? null,
      lastResync: resyncs.get(member.name)?.at ?? null,
    });
  }
  return statuses;
}

const roleOf = ({ name, state }: MemberConfig, home: string): MemberStatus['role'] =>
  state === 'out' ? 'out' : name === home ? 'home' : 'replica';

interface Owed {
  readonly keys: Set<string>;
  since: Date;
}

async function debtsByMember(home: Member): Promise<Map<string, Owed>> {
  const debts = new Map<string, Owed>();
  for await (const { note, createdAt } of readDebts(home.backend)) {
    for (const name of note?.members ?? []) {
      const owed = debts.get(name) ?? { keys: new Set(), since: createdAt };
      for (const key of note?.keys ?? []) owed.keys.add(key);
      if (createdAt < owed.since) owed.since = createdAt;
      debts.set(name, owed);
    }
  }
  return debts;
}

async function lastResyncs(
  { home, config }: Group,
  random: Random,
): Promise<Map<string, ResyncNote>> {
  const found = new Map<string, ResyncNote>();
  for await (const { event } of openResyncsLog(home.backend, random).entries()) {
    if (!found.has(event.member)) found.set(event.member, event);
    if (found.size >= config.members.length - 1) break;
  }
  return found;
}

async function answers({ backend }: Member): Promise<boolean> {
  return ((await asked(() => configNumber(backend))) ?? 0) > 0;
}

/** Null where the place asked does not answer. */
async function asked<T>(ask: () => Promise<T>): Promise<T | null> {
  try {
    return await ask();
  } catch (error) {
    if (isLocalFailure(error)) return null;
    throw error;
  }
}
