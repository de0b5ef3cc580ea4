/** What a push still lacks: objects that reached the store after it was recorded count as there. An event itself never changes. */
import type { BlobStore } from '../cas/blob-store.ts';
import type { BranchEvent } from './model.ts';

/** The event with `missing` as it is now. Asks the store only where something was missing. */
export async function asOfNow(
  blobs: Pick<BlobStore, 'has'>,
  event: BranchEvent,
): Promise<BranchEvent> {
  if (event.missing.length === 0) return event;
  const held = await blobs.has(event.missing);
  return { ...event, missing: event.missing.filter((oid) => !held.has(oid)) };
}
