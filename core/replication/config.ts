/** Who the members of a store are (docs/format.md §13): the log `replicas/`, kept in each of them. */
import type { Backend } from '../backend/backend.ts';
import type { ReplicationMode } from '../backend/replicated.ts';
import { firstKey } from '../backend/segments.ts';
import { DatamonError } from '../errors.ts';
import { parseLogKey, replicasLog } from '../keys.ts';
import { type Log, type LogEntry, openLog } from '../log.ts';
import type { Random } from '../random.ts';
import { count, listOf, oneOf, record, text, time } from '../shape.ts';

export const MEMBER_COUNT_MAX = 16;

export interface MemberConfig {
  readonly name: string;
  /** As its backend spells it; never with credentials. */
  readonly url: string;
  /** `out`: it missed something and takes no part until a resync. */
  readonly state: 'in' | 'out';
}

export interface ReplicaConfig {
  /** Counts promotions, from 1. */
  readonly epoch: number;
  /** Name of the member that is written to. */
  readonly home: string;
  readonly mode: ReplicationMode;
  readonly members: readonly MemberConfig[];
  readonly by: string;
  readonly at: string;
}

export type ConfigEntry = LogEntry<ReplicaConfig>;

export function openReplicasLog(backend: Backend, random: Random): Log<ReplicaConfig> {
  return openLog({ backend, random, prefix: replicasLog, parse: parseConfig });
}

/** Number of the newest entry; 0 where there is none. One list call of one key. */
export async function configNumber(backend: Backend): Promise<number> {
  const key = await firstKey(backend, replicasLog);
  return key === null ? 0 : (parseLogKey(replicasLog, key) ?? 0);
}

/** The newer of two: by epoch, then by number. */
export function newer(a: ConfigEntry | null, b: ConfigEntry | null): ConfigEntry | null {
  if (a === null || b === null) return a ?? b;
  const epochs = a.event.epoch - b.event.epoch;
  return (epochs === 0 ? a.n - b.n : epochs) >= 0 ? a : b;
}

export function homeOf({ members, home }: ReplicaConfig): MemberConfig {
  return members.find(({ name }) => name === home) as MemberConfig;
}

export function checkMemberName(name: string): string {
  if (/^[a-z0-9-]{1,40}$/.test(name)) return name;
  throw new DatamonError('INVALID', `not the name of a replica: ${JSON.stringify(name)}`, {
    hint: 'A name is 1 to 40 lower-case letters, digits and dashes, as eu or backup-2.',
  });
}

/** INVALID for a URL that would put credentials, or anything else that is not an address, into the store. */
export function checkMemberUrl(url: string): string {
  const hasSecrets = /^[a-z0-9+.-]+:\/\/[^/]*@/i.test(url) || /[?#]/.test(url);
  if (!hasSecrets && url.length <= 4096) return url;
  throw new DatamonError('INVALID', "a replica's URL holds no credentials, query or fragment", {
    hint: "Credentials come from the cloud's own chain, never from a URL.",
  });
}

const parseMember = record<MemberConfig>({
  name: (value, where) => checkMemberName(text(value, where)),
  url: (value, where) => checkMemberUrl(text(value, where)),
  state: oneOf(['in', 'out']),
});

export function parseConfig(event: unknown): ReplicaConfig {
  const config = record<ReplicaConfig>({
    epoch: count,
    home: text,
    mode: oneOf(['sync', 'async']),
    members: listOf(parseMember, MEMBER_COUNT_MAX),
    by: text,
    at: time,
  })(event, 'replicas');
  const names = new Set(config.members.map(({ name }) => name));
  const home = config.members.find(({ name }) => name === config.home);
  if (names.size !== config.members.length || home?.state !== 'in') {
    throw new DatamonError('INVALID', 'the members of the store make no sense');
  }
  return config;
}
