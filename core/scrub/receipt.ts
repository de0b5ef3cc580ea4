/** What is kept of a check of the whole store: a log in the store itself, so that everybody sees how old the last one is. */
import type { Backend } from '../backend/backend.ts';
import { scrubsLog } from '../keys.ts';
import { type Log, openLog } from '../log.ts';
import type { Random } from '../random.ts';
import { count, flag, record, text, time } from '../shape.ts';

export interface ScrubReceipt {
  /** RFC 3339, by the store's clock. */
  readonly at: string;
  readonly by: string;
  /** Part of the packs that was read; 1,000,000 is all. */
  readonly sharePerMillion: number;
  readonly objectCount: number;
  readonly readBytes: number;
  /** Of what was left when it ended. */
  readonly damageCount: number;
  readonly noteCount: number;
  readonly repaired: boolean;
}

const receipt = record<ScrubReceipt>({
  at: time,
  by: text,
  sharePerMillion: count,
  objectCount: count,
  readBytes: count,
  damageCount: count,
  noteCount: count,
  repaired: flag,
});

export const parseScrubReceipt = (event: unknown): ScrubReceipt => receipt(event, 'scrub event');

/** Newest first. */
export const openScrubLog = (backend: Backend, random: Random): Log<ScrubReceipt> =>
  openLog({ backend, random, prefix: scrubsLog, parse: parseScrubReceipt });
