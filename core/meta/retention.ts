/** Which log entries a policy still keeps, and with them what they name: the one rule that collection and checks share. */
import type { CollectPolicy } from '../cas/condemned.ts';
import { DAY_MS } from '../cas/touch.ts';

/** An announced push that nobody confirmed is kept for so long. */
export const PENDING_DAYS = 14;

/** Heads always, older entries as long as the policy keeps history. */
export function keepsEntry(
  policy: CollectPolicy,
  nowMs: number,
  { at, isHead }: { readonly at: string; readonly isHead: boolean },
): boolean {
  if (isHead || policy.unreferencedDays === null || policy.historyDays === null) return true;
  const sinceMs = Math.max(Date.parse(at), policy.at === null ? 0 : Date.parse(policy.at));
  return nowMs - sinceMs <= policy.historyDays * DAY_MS;
}

/** Commits are an index: they keep what they name only where history is kept for ever. */
export const keepsCommits = ({ unreferencedDays, historyDays }: CollectPolicy): boolean =>
  unreferencedDays === null || historyDays === null;

export const keepsPending = (
  { unreferencedDays }: CollectPolicy,
  nowMs: number,
  announcedAtMs: number,
): boolean => unreferencedDays === null || nowMs - announcedAtMs <= PENDING_DAYS * DAY_MS;
