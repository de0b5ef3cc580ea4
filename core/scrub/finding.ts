/** What a scrub tells: one thing that is not as it should be, whom it concerns, and what to do about it. */
import type { Digest } from '../digest.ts';
import type { GitSha, Key } from '../keys.ts';

/** Notes cost nothing but room: nobody loses a byte by them. */
export type Severity = 'damage' | 'note';

export type FindingKind =
  /** A pack or segment. */
  | 'container'
  /** A record that says something else than the bytes. */
  | 'record'
  | 'log'
  | 'bundle'
  /** pool.json, repo.json, a push that was announced. */
  | 'description'
  /** Files or pages of a bundle that no record has. */
  | 'absent'
  | 'foreign'
  | 'orphan'
  | 'pending';

export type FindingState = 'damaged' | 'missing' | 'unreadable' | 'newer' | 'superfluous';

export interface AffectedFile {
  /** A page is a part of the list of a bundle's files. */
  readonly kind: 'blob' | 'page';
  /** As people read it; of a page, which part of the list it is. */
  readonly path: string;
  readonly oid: Digest;
  readonly sizeBytes: number;
  /** Whether another record still gives its bytes. */
  readonly served: boolean;
}

export interface AffectedBundle {
  readonly bundle: Digest;
  readonly commit: GitSha | null;
  /** Which logs name it: `main #3`, `label best`. */
  readonly names: readonly string[];
}

export interface Finding {
  readonly severity: Severity;
  readonly kind: FindingKind;
  readonly state: FindingState;
  readonly key: Key;
  /** `owner/name`, or null where it concerns the whole store. */
  readonly repo: string | null;
  /** What is wrong, in a sentence. */
  readonly message: string;
  /** At most FILES_SHOWN_MAX; `fileCount` in all, `lostCount` of these read from nowhere. */
  readonly files: readonly AffectedFile[];
  readonly fileCount: number;
  readonly lostCount: number;
  /** At most BUNDLES_SHOWN_MAX of `bundleCount`. */
  readonly bundles: readonly AffectedBundle[];
  readonly bundleCount: number;
  /** What is lost and what still works, in a sentence. */
  readonly meaning: string;
  /** What to run; null where there is nothing to do. */
  readonly hint: string | null;
}

export const FILES_SHOWN_MAX = 20;
export const BUNDLES_SHOWN_MAX = 10;

export type BareFinding = Pick<Finding, 'kind' | 'state' | 'key' | 'message' | 'meaning'> &
  Partial<Finding>;

/** A finding with what is not said left empty. */
export function finding(bare: BareFinding): Finding {
  const { files = [], bundles = [] } = bare;
  return {
    severity: 'damage',
    repo: null,
    hint: null,
    ...bare,
    files: files.slice(0, FILES_SHOWN_MAX),
    fileCount: bare.fileCount ?? files.length,
    lostCount: bare.lostCount ?? files.filter(({ served }) => !served).length,
    bundles: bundles.slice(0, BUNDLES_SHOWN_MAX),
    bundleCount: bare.bundleCount ?? bundles.length,
  };
}
