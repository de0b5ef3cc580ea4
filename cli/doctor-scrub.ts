/** When a store was last read back as a whole, and what was found. A server's store is its operator's to check. */
import { formatDuration } from '../client/format.ts';
import { openStoreBackend } from '../client/open-store.ts';
import type { RepoUrl } from '../client/repo-url.ts';
import { DatamonError } from '../core/errors.ts';
import { secureRandom } from '../core/random.ts';
import { openScrubLog, type ScrubReceipt } from '../core/scrub/receipt.ts';
import { type Finding, finding } from './doctor-check.ts';

const inStore = finding('store');
const ALL = 1_000_000;

export async function scrubFinding(url: RepoUrl, signal: AbortSignal): Promise<readonly Finding[]> {
  if (url.kind === 'server') return [];
  const fsck = `datamon fsck ${url.storeUrl}`;
  const backend = await openStoreBackend(url.storeUrl, { signal });
  try {
    const head = await openScrubLog(backend, secureRandom).head();
    if (head === null) {
      return [inStore('checked', null, `nobody has read the whole store back yet: ${fsck}`)];
    }
    const nowMs = (await backend.now()).getTime();
    return [lastScrub(head.event, nowMs, fsck)];
  } catch (error) {
    if (!(error instanceof DatamonError) || error.code === 'CANCELLED') throw error;
    return [inStore('checked', false, error.message, { fix: fsck })];
  }
}

export function lastScrub(receipt: ScrubReceipt, nowMs: number, fsck: string): Finding {
  const { at, sharePerMillion, damageCount } = receipt;
  const age = formatDuration(nowMs - Date.parse(at));
  const part =
    sharePerMillion === ALL ? 'the whole store' : `${sharePerMillion / 10_000} % of the packs`;
  const says = `${part} was read back ${age} ago`;
  if (damageCount === 0) return inStore('checked', true, `${says}: nothing is damaged`);
  const found = damageCount === 1 ? '1 finding' : `${damageCount} findings`;
  return inStore('checked', false, `${says}: ${found} of damage`, { fix: `${fsck} --repair` });
}
