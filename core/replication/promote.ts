/**
 * Promotion of a member to home. Promises: every member that answers is told before the new home is written to; where the old home
 * answers, nothing of it is lost; where it does not, no other member is needed.
 */
import { isLocalFailure, type Member } from '../backend/copying.ts';
import { DatamonError } from '../errors.ts';
import {
  appendConfig,
  type MembershipWorld,
  mustBeHome,
  notReplicated,
  resyncMember,
} from './changing.ts';
import { configNumber, type ReplicaConfig } from './config.ts';
import { openGroup } from './open-group.ts';

export interface Promotion {
  readonly config: ReplicaConfig;
  /** `drained`: the old home answered and gave all it had; `lost`: it did not. */
  readonly oldHome: 'drained' | 'lost';
  /** Members that did not answer and are out now. */
  readonly out: readonly string[];
}

/** Makes the member at `url` home. Needs no other member to answer. */
export async function promote(world: MembershipWorld, url: string): Promise<Promotion> {
  const backend = await world.openMember(url);
  const group = await openGroup(backend, world);
  if (group === null) throw notReplicated(url);
  const { config, home } = group;
  const chosen = config.members.find((member) => member.url === backend.url);
  if (chosen === undefined) throw notReplicated(url);
  if (chosen.name === config.home) return { config, oldHome: 'drained', out: [] };
  if (chosen.state === 'out') {
    throw new DatamonError('CONFLICT', `${url} missed what was written after it went out`, {
      hint: `Promote a member that is in (datamon replicate ${url} --status), or resync this one first.`,
    });
  }
  const answers = new Set<string>([chosen.name]);
  for (const member of [home, ...group.others])
    if (await doesAnswer(member)) answers.add(member.name);
  const next = promoted(config, chosen.name, answers);
  const isDrained = answers.has(home.name);
  if (isDrained) {
    // Told first, so that nothing is acknowledged there while what it has is copied.
    await appendConfig(world, home.backend, next);
    await resyncMember(world, group, chosen);
  } else await appendConfig(world, backend, next);
  const after = await mustBeHome(world, backend);
  for (const member of after.config.members) {
    if (member.state === 'in' && member.name !== chosen.name) {
      await resyncMember(world, after, member);
    }
  }
  const out = after.config.members.filter(({ state }) => state === 'out');
  return {
    config: after.config,
    oldHome: isDrained ? 'drained' : 'lost',
    out: out.map(({ name }) => name),
  };
}

/** Whoever does not answer is out: it will have missed what is written from now on. */
function promoted(
  config: ReplicaConfig,
  home: string,
  answers: ReadonlySet<string>,
): Omit<ReplicaConfig, 'by' | 'at'> {
  const members = config.members.map((member) => ({
    ...member,
    state: member.state === 'in' && answers.has(member.name) ? ('in' as const) : ('out' as const),
  }));
  return { epoch: config.epoch + 1, home, mode: config.mode, members };
}

async function doesAnswer({ backend }: Member): Promise<boolean> {
  try {
    return (await configNumber(backend)) > 0;
  } catch (error) {
    if (isLocalFailure(error)) return false;
    throw error;
  }
}
