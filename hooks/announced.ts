/** What a push tells the store of its refs before git moves them. */
import type { AnnouncedRef, PushReceipt } from '../core/meta/model.ts';
import type { PendingRef } from './local-pending.ts';
import type { DeletedRef } from './push-plan.ts';

const NO_RECEIPT: PushReceipt = {
  newBytes: 0,
  resumedBytes: 0,
  storedBytes: 0,
  packCount: 0,
  requestCount: 0,
  durationMs: 0,
  reusedFrom: null,
  measured: true,
};

/** A ref that the push deletes: nothing is stored for it. */
export const deletion = ({ ref, tracking, gitOld }: DeletedRef): PendingRef => ({
  ref,
  tracking,
  gitOld,
  gitNew: null,
  tip: null,
  bundle: null,
  base: null,
  totals: { fileCount: 0, sizeBytes: 0 },
  extraOids: null,
  missing: [],
  forced: false,
  receipt: NO_RECEIPT,
  isQuiet: true,
});

/** A moved ref, as the store is told of it. */
export function announced(ref: PendingRef): AnnouncedRef {
  const { gitOld, gitNew, bundle, totals, extraOids, missing, forced } = ref;
  if (gitNew === null || bundle === null) throw new Error('a deletion is not announced');
  return { ref: ref.ref, gitOld, gitNew, bundle, totals, extraOids, missing, forced };
}

/** What all refs of a push cost. */
export const sumOf = (refs: readonly PendingRef[]): PushReceipt =>
  refs.reduce((sum, { receipt }) => {
    return {
      newBytes: sum.newBytes + receipt.newBytes,
      resumedBytes: sum.resumedBytes + receipt.resumedBytes,
      storedBytes: sum.storedBytes + receipt.storedBytes,
      packCount: sum.packCount + receipt.packCount,
      requestCount: sum.requestCount + receipt.requestCount,
      durationMs: Math.max(sum.durationMs, receipt.durationMs),
      reusedFrom: sum.reusedFrom ?? receipt.reusedFrom,
      measured: true,
    };
  }, NO_RECEIPT);
