/** Rows of `--json` that several verbs share. Field names are a promise to scripts. */
import { reusedPercent } from '../core/cas/blob-store.ts';
import type { BranchEvent, Entry, EntryKind } from '../core/meta/model.ts';
import { displayPath } from '../core/meta/raw-path.ts';
import { formatPath, type WirePath } from '../core/meta/wire.ts';

/** One bundle as `log` and `show` print it. */
export interface BundleRow {
  readonly bundle: string;
  readonly commit: string | null;
  readonly branch: string;
  readonly files: number;
  readonly bytes: number;
  readonly newBytes: number;
  /** Of these, what an interrupted push had stored. */
  readonly resumedBytes: number;
  readonly storedBytes: number;
  readonly pushedAt: string;
  readonly pushedBy: string;
  /** Rounded down; 100 only where nothing was new. */
  readonly reusedPercent: number;
  readonly reusedFrom: string | null;
  /** False where the cost was worked out afterwards. */
  readonly measured: boolean;
  /** Objects the bundle lists and the store does not hold. */
  readonly missing: number;
  readonly forced: boolean;
  readonly gap: boolean;
  readonly lockViolations: readonly string[];
}

/** Null for an event without a bundle: a deleted branch. */
export function bundleRow(event: BranchEvent): BundleRow | null {
  if (event.bundle === null) return null;
  const { receipt, totals } = event;
  return {
    bundle: event.bundle,
    commit: event.gitNew,
    branch: event.branch,
    files: totals.fileCount,
    bytes: totals.sizeBytes,
    newBytes: receipt.newBytes,
    resumedBytes: receipt.resumedBytes,
    storedBytes: receipt.storedBytes,
    pushedAt: event.pushedAt,
    pushedBy: event.pushedBy,
    reusedPercent: reusedPercent(totals.sizeBytes, receipt.newBytes),
    reusedFrom: receipt.reusedFrom,
    measured: receipt.measured,
    missing: event.missing.length,
    forced: event.forced,
    gap: event.gap,
    lockViolations: event.lockViolations,
  };
}

/** One file or folder. */
export interface EntryRow {
  readonly path: WirePath;
  readonly kind: EntryKind | 'folder';
  readonly bytes: number;
  readonly oid: string | null;
  readonly executable: boolean;
  readonly reference: string | null;
  /** Files below; 1 for a file. */
  readonly files: number;
}

export const entryRow = (entry: Entry): EntryRow => ({
  path: formatPath(entry.path),
  kind: entry.kind,
  bytes: entry.sizeBytes,
  oid: entry.oid,
  executable: entry.executable,
  reference: entry.reference ?? null,
  files: 1,
});

/** A path of a row as people read it. */
export function shownPath(path: WirePath): string {
  const bytes =
    typeof path === 'string' ? Buffer.from(path, 'utf8') : Buffer.from(path.base64, 'base64');
  return displayPath(bytes.toString('latin1') as Parameters<typeof displayPath>[0]);
}

/** A path for scripts that read lines: raw where it is UTF-8 and one line. */
export const barePath = (path: WirePath): string =>
  typeof path === 'string' && !path.includes('\n') ? path : shownPath(path);

/** `2026-03-02 14:05`, UTC. */
export const formatTime = (rfc3339: string): string => rfc3339.slice(0, 16).replace('T', ' ');

/** `Ada` of `Ada <ada@example.org>`. */
export function formatPerson(person: string): string {
  return harmless(/^\s*([^<]*[^<\s])\s*</.exec(person)?.[1] ?? person).slice(0, PERSON_LENGTH_MAX);
}

const PERSON_LENGTH_MAX = 40;

/** Foreign text in one line that cannot steer a terminal. */
export const harmless = (text: string): string =>
  text.replace(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, '?');
