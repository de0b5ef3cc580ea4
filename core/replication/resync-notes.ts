/** The log of finished resyncs (docs/format.md §13): when a member was last seen to hold all that home does. */
import type { Backend } from '../backend/backend.ts';
import { Copier } from '../backend/copying.ts';
import { logKey, resyncsLog } from '../keys.ts';
import { openLog } from '../log.ts';
import type { Random } from '../random.ts';
import { count, record, text, time } from '../shape.ts';
import type { MembershipWorld } from './changing.ts';
import type { Group } from './group.ts';
import type { ResyncReport } from './resync.ts';

export interface ResyncNote {
  readonly member: string;
  readonly epoch: number;
  readonly keys: number;
  readonly copied: number;
  readonly returned: number;
  readonly removed: number;
  readonly diverged: number;
  readonly by: string;
  readonly at: string;
}

const parseResyncNote = record<ResyncNote>({
  member: text,
  epoch: count,
  keys: count,
  copied: count,
  returned: count,
  removed: count,
  diverged: count,
  by: text,
  at: time,
});

export const openResyncsLog = (backend: Backend, random: Random) =>
  openLog({
    backend,
    random,
    prefix: resyncsLog,
    parse: (event) => parseResyncNote(event, 'resync'),
  });

export async function noteResync(
  world: MembershipWorld,
  { home, others, config }: Group,
  member: string,
  { copied, returned, removed, diverged, last }: ResyncReport,
): Promise<void> {
  const at = (await home.backend.now()).toISOString();
  const entry = await openResyncsLog(home.backend, world.random).update(() => ({
    member,
    epoch: config.epoch,
    keys: last.keyCount,
    copied,
    returned,
    removed,
    diverged: diverged.length,
    by: world.by,
    at,
  }));
  for (const other of others) {
    await new Copier(home, other).copyStored(logKey(resyncsLog, entry?.n ?? 1));
  }
}
