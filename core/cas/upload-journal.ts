/**
 * The UploadJournal port: packs that this client stored and that no record names yet, kept where a kill does not reach, so that
 * the next put need not send them again. Only ever a hint: what is lost or stale in it costs bytes, never correctness.
 */
import type { ContainerId } from '../keys.ts';

/** An interrupted put can be resumed for so long: notes and servers' tickets live so long, and what they name is not collected. */
export const RESUMABLE_DAYS = 14;

/** A pack that is durable in the store. */
export interface NotedPack {
  readonly id: ContainerId;
  readonly sizeBytes: number;
  /** Where its frames end and its tables begin. */
  readonly tablesOffset: number;
  /** Its frame table (docs/format.md §7.1). */
  readonly frames: Buffer;
  /** What a server gave for it, which proves later whose it is; null where there is none in between. */
  readonly ticket: string | null;
}

/** Of one repo, written by this client alone: what it names, this client possesses. No call ever fails. */
export interface UploadJournal {
  /** Those noted and not forgotten, by earlier runs too. */
  packs(): Promise<readonly NotedPack[]>;
  /** Resolves once the note would survive a crash, or could not be written. */
  note(pack: NotedPack): Promise<void>;
  /** They are recorded, or of no use. */
  forget(ids: Iterable<ContainerId>): Promise<void>;
}
