/** What every change of a store's members needs: who does it, the log that tells it, and the copying that must come before. */
import type { Backend } from '../backend/backend.ts';
import { Copier, isLocalFailure, type Member } from '../backend/copying.ts';
import { createPresentBackend } from '../backend/present.ts';
import { DatamonError, hasCode } from '../errors.ts';
import { logKey, replicasLog } from '../keys.ts';
import type { Random } from '../random.ts';
import { CondemnedInMembers } from './condemned-in.ts';
import { homeOf, type MemberConfig, openReplicasLog, type ReplicaConfig } from './config.ts';
import type { Group } from './group.ts';
import type { Prove } from './heal.ts';
import { openGroup } from './open-group.ts';
import { type ResyncCounts, type ResyncReport, resync } from './resync.ts';

export interface MembershipWorld {
  readonly openMember: (url: string) => Promise<Backend>;
  readonly prove: Prove;
  readonly random: Random;
  /** Who does it, for the log. */
  readonly by: string;
  readonly onProgress?: (member: string, done: ResyncCounts) => void;
  readonly signal?: AbortSignal;
}

/** Appended at `home`, then told to every other member; those that are in must take it. */
export async function appendConfig(
  world: MembershipWorld,
  home: Backend,
  config: Omit<ReplicaConfig, 'by' | 'at'>,
): Promise<ReplicaConfig> {
  const at = (await home.now()).toISOString();
  const event: ReplicaConfig = { ...config, by: world.by, at };
  const entry = await openReplicasLog(home, world.random).update(() => event);
  if (entry === null) return event;
  for (const member of event.members) {
    if (member.url === home.url) continue;
    try {
      await copyConfig(
        { home: { name: 'home', backend: home }, number: entry.n },
        placeOf(world, member.url),
        member,
      );
    } catch (error) {
      if (member.state === 'in' || !(isLocalFailure(error) || hasCode(error, 'CONFLICT')))
        throw error;
    }
  }
  return event;
}

/** A place that must hold the store already: nothing is made where it is gone. */
export const placeOf = ({ openMember }: MembershipWorld, url: string): Backend =>
  createPresentBackend({ url, open: () => openMember(url), mark: logKey(replicasLog, 1) });

/** Tells `target` who the members are. CONFLICT where it says otherwise: then it is out, and a resync settles it. */
export async function copyConfig(
  { home, number }: { readonly home: Member; readonly number: number },
  target: Backend,
  { name }: MemberConfig,
): Promise<void> {
  await new Copier(home, { name, backend: target }).copyStored(logKey(replicasLog, number));
}

export async function mustBeHome(world: MembershipWorld, home: Backend): Promise<Group> {
  const group = await openGroup(home, world);
  if (group === null) throw notReplicated(home.url);
  group.checkWritable();
  return group;
}

export function findMember(config: ReplicaConfig, name: string): MemberConfig {
  const member = config.members.find((each) => each.name === name);
  if (member !== undefined) return member;
  throw new DatamonError('NOT_FOUND', `the store has no replica ${name}`, {
    hint: `It has ${config.members.map((each) => each.name).join(', ')}; home is ${homeOf(config).url}.`,
  });
}

export const notReplicated = (url: string): DatamonError =>
  new DatamonError('INVALID', `${url} is no member of a replicated store`, {
    hint: 'Make a replica: datamon replicate STORE --add URL',
  });
export async function resyncMember(
  world: MembershipWorld,
  group: Group,
  { name, url }: MemberConfig,
): Promise<ResyncReport> {
  const member = group.memberAt(name, url);
  const { home } = group;
  const condemned = new CondemnedInMembers(world.random);
  const { onProgress, signal } = world;
  return await resync({
    home,
    member,
    epoch: group.config.epoch,
    prove: world.prove,
    isCondemned: (key) => condemned.has(key, [home, member]),
    ...(onProgress && { onProgress: (done: ResyncCounts) => onProgress(name, done) }),
    ...(signal && { signal }),
  });
}
