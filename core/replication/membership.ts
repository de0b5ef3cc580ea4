/** Members join and leave. Promise: a member takes part only once it holds all that home does. */
import type { Backend } from '../backend/backend.ts';
import type { ReplicationMode } from '../backend/replicated.ts';
import { firstKey } from '../backend/segments.ts';
import { DatamonError, hasCode } from '../errors.ts';
import { formatLog, logKey } from '../keys.ts';
import {
  appendConfig,
  copyConfig,
  findMember,
  type MembershipWorld,
  mustBeHome,
  placeOf,
  resyncMember,
} from './changing.ts';
import { isSame } from './compare.ts';
import {
  checkMemberName,
  checkMemberUrl,
  type MemberConfig,
  type ReplicaConfig,
} from './config.ts';
import { drain } from './drain.ts';
import type { Group } from './group.ts';
import { openGroup } from './open-group.ts';
import type { ResyncReport } from './resync.ts';
import { noteResync } from './resync-notes.ts';

export interface MemberReport {
  readonly member: MemberConfig;
  readonly report: ResyncReport;
}

/** The name of the first place of a store. */
const FIRST_HOME = 'home';

export interface NewMember {
  readonly url: string;
  readonly name: string;
  /** Default: what the store has; `sync` for its first replica. */
  readonly mode?: ReplicationMode;
}

/** Makes `url` a member of the store, copies everything to it, then lets it take part. Run again, it goes on where it stopped. */
export async function addMember(
  world: MembershipWorld,
  store: string,
  { url, name, mode }: NewMember,
): Promise<MemberReport> {
  const home = await world.openMember(store);
  const target = await world.openMember(url);
  checkMemberName(name);
  checkMemberUrl(target.url);
  if (target.url === home.url) {
    throw new DatamonError('INVALID', `${url} is the store itself; a replica is another place`);
  }
  await checkTarget(home, target);
  const group = await openGroup(home, world);
  group?.checkWritable();
  const before = group?.config ?? firstConfig(home, mode ?? 'sync');
  const others = before.members.filter((member) => member.name !== name);
  if (before.home === name || others.some((member) => member.url === target.url)) {
    throw new DatamonError('CONFLICT', `${target.url} is a member of the store already`, {
      hint: `See them: datamon replicate ${store} --status`,
    });
  }
  const out: MemberConfig = { name, url: target.url, state: 'out' };
  const config = { ...before, mode: mode ?? before.mode, members: [...others, out] };
  await appendConfig(world, home, config);
  // Its mark: without one a place counts as lost.
  await copyConfig(await mustBeHome(world, home), target, out);
  return await rejoin(world, store, name);
}

function firstConfig(home: Backend, mode: ReplicationMode): Omit<ReplicaConfig, 'by' | 'at'> {
  const member: MemberConfig = { name: FIRST_HOME, url: checkMemberUrl(home.url), state: 'in' };
  return { epoch: 1, home: FIRST_HOME, mode, members: [member] };
}

/** A replica begins as an empty place, or as what an earlier try left of this very store. */
async function checkTarget(home: Backend, target: Backend): Promise<void> {
  const first = logKey(formatLog, 1);
  if ((await home.stat(first)) === null) {
    throw new DatamonError('NOT_FOUND', `there is no datamon store at ${home.url}`, {
      hint: `Check the URL, or make a store there: datamon init ${home.url}`,
    });
  }
  if ((await firstKey(target, '')) === null) return;
  const [here, there] = [
    { name: 'home', backend: home },
    { name: 'replica', backend: target },
  ];
  if (await isSame(first, here, there).catch(() => false)) return;
  throw new DatamonError('CONFLICT', `${target.url} is neither empty nor a copy of ${home.url}`, {
    hint: 'Choose an empty place for the replica.',
  });
}

/** Resyncs a member, lets it take part if it did not, and resyncs what was written meanwhile. */
export async function rejoin(
  world: MembershipWorld,
  store: string,
  name: string,
): Promise<MemberReport> {
  const home = await world.openMember(store);
  let group = await mustBeHome(world, home);
  const member = findMember(group.config, name);
  try {
    await copyConfig(group, placeOf(world, member.url), member);
  } catch (error) {
    // A former home may have said otherwise in the same place; the resync sets that aside.
    if (member.state === 'in' || !hasCode(error, 'CONFLICT')) throw error;
  }
  let report = await resyncMember(world, group, member);
  if (member.state === 'out' && report.isEqual) {
    const members = group.config.members.map((each) =>
      each.name === name ? { ...each, state: 'in' as const } : each,
    );
    await appendConfig(world, home, { ...group.config, members });
    group = await mustBeHome(world, home);
    report = mergeReports(report, await resyncMember(world, group, findMember(group.config, name)));
  }
  if (report.isEqual) {
    await noteResync(world, group, name, report);
    await payDebts(group, world);
  }
  return { member: findMember(group.config, name), report };
}

function mergeReports(a: ResyncReport, b: ResyncReport): ResyncReport {
  return {
    ...b,
    copied: a.copied + b.copied,
    copiedBytes: a.copiedBytes + b.copiedBytes,
    returned: a.returned + b.returned,
    removed: a.removed + b.removed,
    diverged: [...new Set([...a.diverged, ...b.diverged])],
    damaged: [...new Set([...a.damaged, ...b.damaged])],
  };
}

async function payDebts(group: Group, world: MembershipWorld): Promise<void> {
  const { home, others } = group;
  const now = (): Promise<Date> => home.backend.now();
  // With one replica the resync compared all there is; notes that do not read can name nothing else.
  const compared = others.length === 1 ? ({ compared: 'all' } as const) : {};
  await drain({ home, others, now, ...compared, ...(world.signal && { signal: world.signal }) });
}

/** Takes a member out for good; what it holds stays there. */
export async function removeMember(
  world: MembershipWorld,
  store: string,
  name: string,
): Promise<ReplicaConfig> {
  const home = await world.openMember(store);
  const { config } = await mustBeHome(world, home);
  findMember(config, name);
  if (config.home === name) {
    throw new DatamonError('CONFLICT', `${name} is home; only a replica can be removed`, {
      hint: 'Promote another member first: datamon replicate --promote URL',
    });
  }
  const members = config.members.filter((member) => member.name !== name);
  return await appendConfig(world, home, { ...config, members });
}
