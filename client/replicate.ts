/** What `datamon replicate` does to a store, by its URL: for who has the store itself, not a server in front of it. */

import { DatamonError } from '../core/errors.ts';
import { secureRandom } from '../core/random.ts';
import type { MembershipWorld } from '../core/replication/changing.ts';
import { openGroup } from '../core/replication/open-group.ts';
import { proveCopy } from '../core/replication/prove-copy.ts';
import { type MemberStatus, memberStatuses } from '../core/replication/status.ts';
import { openPlace } from './open-store.ts';
import { parseEndpoint } from './repo-url.ts';

export type ReplicateOptions = Pick<MembershipWorld, 'by' | 'onProgress' | 'signal'>;

export const membershipWorld = (options: ReplicateOptions): MembershipWorld => ({
  ...options,
  openMember: openPlace,
  prove: proveCopy,
  random: secureRandom,
});

/** The URL of a store, or of the store of a repo. INVALID for a server's. */
export function storeUrlOf(text: string): string {
  const endpoint = parseEndpoint(text);
  if (endpoint.kind === 'store') return endpoint.storeUrl;
  throw new DatamonError(
    'INVALID',
    `replicas are made of a store, and ${endpoint.origin} is a server`,
    {
      hint: 'Run it where the store can be reached, with its URL: datamon replicate file:///srv/store --status',
    },
  );
}

/** INVALID for a store with one place. */
export async function replicaStatus(storeUrl: string): Promise<readonly MemberStatus[]> {
  const world = membershipWorld({ by: '' });
  const group = await openGroup(await openPlace(storeUrl), world);
  if (group !== null) return memberStatuses(group, secureRandom);
  throw new DatamonError('INVALID', `${storeUrl} has no replicas`, {
    hint: `Make one: datamon replicate ${storeUrl} --add URL`,
  });
}
