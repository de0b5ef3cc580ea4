/** The store or server behind a clone: reached, read and listed; who we are there; what is not confirmed. */
import { formatCount, formatDuration } from '../client/format.ts';
import { type Probe, probeRepository } from '../client/probe.ts';
import { DatamonError } from '../core/errors.ts';
import type { Context } from './context.ts';
import { type Finding, finding } from './doctor-check.ts';
import { scrubFinding } from './doctor-scrub.ts';

const inStore = finding('store');
/** Tokens forgive half a minute; a collector's grace is counted in days. */
const CLOCK_SKEW_MAX_MS = 30_000;

export async function storeFindings(context: Context): Promise<readonly Finding[]> {
  try {
    const { url, text } = await context.address();
    const repository = await context.repository();
    const { history } = repository;
    const { pool } = await history.info();
    const probe = await probeRepository(text, {
      token: await context.tokens(),
      signal: context.io.signal,
    });
    const where = url.kind === 'server' ? 'the server answers' : 'the store can be read';
    let branches = 0;
    for await (const { event } of history.branches()) if (event.bundle !== null) branches += 1;
    let pending = 0;
    for await (const announced of history.pending()) {
      void announced;
      pending += 1;
    }
    return [
      inStore('reachable', true, `${where}: ${text}`),
      inStore(
        'repo',
        true,
        `${repository.name} is there, in pool ${pool}, with ${formatCount(branches, 'branch', 'branches')}`,
      ),
      accessFinding(probe, url.kind),
      clockFinding(probe.clock, new Date()),
      inStore(
        'pending',
        pending === 0,
        pending === 0
          ? 'every push is confirmed'
          : `${formatCount(pending, 'push', 'pushes')} announced and not seen to arrive`,
        { fix: 'datamon record' },
      ),
      ...(await scrubFinding(url, context.io.signal)),
    ];
  } catch (error) {
    if (!(error instanceof DatamonError) || error.code === 'CANCELLED') throw error;
    return [inStore('reachable', false, error.message, { fix: fixFor(error) })];
  }
}

function accessFinding({ mayWrite, why, broken }: Probe, kind: 'store' | 'server'): Finding {
  if (broken !== null) return inStore('access', false, broken);
  if (mayWrite) return inStore('access', true, 'you may create, read and list here');
  // Readers are no fault; whoever meant to push learns why it will not work.
  return inStore(
    'access',
    null,
    `you may read and list here, not create: ${why}${kind === 'server' ? '; to push: datamon login' : ''}`,
  );
}

export function clockFinding(clock: Date | null, here: Date): Finding {
  if (clock === null) return inStore('clock', null, 'the store tells no time');
  const aheadMs = here.getTime() - clock.getTime();
  if (Math.abs(aheadMs) <= CLOCK_SKEW_MAX_MS) {
    return inStore('clock', true, 'this machine’s clock and the store’s agree');
  }
  const side = aheadMs > 0 ? 'ahead of' : 'behind';
  return inStore(
    'clock',
    false,
    `this machine’s clock is ${formatDuration(Math.abs(aheadMs))} ${side} the store’s: tokens and times in logs go wrong`,
    { fix: 'sudo timedatectl set-ntp true' },
  );
}

/** The command in a hint, where there is one. */
function fixFor(error: DatamonError): string {
  const command = /((?:datamon|git|gcloud|aws|sudo) [a-z][^;:]*)$/.exec(error.hint ?? '')?.[1];
  if (command !== undefined) return command;
  return error.code === 'UNAUTHENTICATED' ? 'datamon login' : 'datamon init URL';
}
