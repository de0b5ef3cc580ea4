/**
 * The model as JSON on the wire (docs/api.md §2): parsers for what arrives, formatters where the JSON differs from the
 * type. Everything but paths has the same shape in JSON as in `model.ts`, so `JSON.stringify` writes it.
 */

import { DatamonError } from '../errors.ts';
import {
  count,
  countOrZero,
  digest,
  flag,
  gitSha,
  listOf,
  nullable,
  oneOf,
  type Parse,
  pushId,
  record,
  text,
  textUpTo,
  time,
} from '../shape.ts';
import type {
  AnnouncedRef,
  Announcement,
  BranchEvent,
  BundleDescriptor,
  BundleRules,
  Entry,
  EntryKind,
  LabelEvent,
  Lock,
  MoveOutcome,
  Numbered,
  PushReceipt,
  RawPath,
  RefMove,
  RepoInfo,
  TreeTotals,
} from './model.ts';

/** A git commit object as base64; commits of more than 12 MiB are refused. */
const COMMIT_OBJECT_LENGTH_MAX = 16 * 1024 * 1024;

/** A path in JSON: a string where its bytes are UTF-8, else base64. */
export type WirePath = string | { readonly base64: string };

export function formatPath(path: RawPath): WirePath {
  const bytes = Buffer.from(path, 'latin1');
  const asText = bytes.toString('utf8');
  // A round trip, not `isUtf8` alone: a byte order mark at the start must survive too.
  return Buffer.from(asText, 'utf8').equals(bytes) ? asText : { base64: bytes.toString('base64') };
}

export const parsePath: Parse<RawPath> = (value, where) => {
  if (typeof value === 'string') {
    const bytes = Buffer.from(text(value, where), 'utf8');
    if (bytes.toString('utf8') === value) return bytes.toString('latin1') as RawPath;
    throw new DatamonError('INVALID', `${where} is not well-formed Unicode`);
  }
  const { base64 } = record<{ base64: string }>({ base64: text })(value, where);
  const bytes = Buffer.from(base64, 'base64');
  if (bytes.toString('base64') !== base64) {
    throw new DatamonError('INVALID', `${where}.base64 is not base64`);
  }
  return bytes.toString('latin1') as RawPath;
};

const ENTRY_KINDS: readonly EntryKind[] = [
  'lfs',
  'git',
  'symlink',
  'submodule',
  'directory',
  'external',
];

export type WireEntry = Omit<Entry, 'path'> & { readonly path: WirePath };

export function formatEntry(entry: Entry): WireEntry {
  return { ...entry, path: formatPath(entry.path) };
}

const parseEntryFields = record<Omit<Entry, 'reference'>>({
  path: parsePath,
  kind: oneOf(ENTRY_KINDS),
  executable: flag,
  oid: nullable(digest),
  sizeBytes: count,
});

const parseReference = record<{ reference: string | undefined }>({
  reference: (value, where) => (value === undefined ? undefined : text(value, where)),
});

export const parseEntry: Parse<Entry> = (value, where) => {
  const entry = parseEntryFields(value, where);
  const { reference } = parseReference(value, where);
  return reference === undefined ? entry : { ...entry, reference };
};

export const parseTotals: Parse<TreeTotals> = record<TreeTotals>({
  fileCount: count,
  sizeBytes: count,
});

export const parseRules: Parse<BundleRules> = record<BundleRules>({
  recorder: count,
  config: nullable(digest),
});

export const parseBundleDescriptor: Parse<BundleDescriptor> = record<BundleDescriptor>({
  tree: digest,
  totals: parseTotals,
  commit: gitSha,
  commitObject: textUpTo(COMMIT_OBJECT_LENGTH_MAX),
  rules: parseRules,
  pointerExtensions: listOf(text),
});

export const parsePushReceipt: Parse<PushReceipt> = record<PushReceipt>({
  newBytes: count,
  resumedBytes: countOrZero,
  storedBytes: count,
  packCount: count,
  requestCount: count,
  durationMs: count,
  reusedFrom: nullable(digest),
  measured: flag,
});

export const parseBranchEvent: Parse<BranchEvent> = record<BranchEvent>({
  branch: text,
  bundle: nullable(digest),
  gitOld: nullable(gitSha),
  gitNew: nullable(gitSha),
  totals: parseTotals,
  extraOids: nullable(digest),
  missing: listOf(digest),
  pushId,
  pushedBy: text,
  pushedAt: time,
  receipt: parsePushReceipt,
  gap: flag,
  forced: flag,
  lockViolations: listOf(text),
});

export const parseLabelEvent: Parse<LabelEvent> = record<LabelEvent>({
  label: text,
  bundle: nullable(digest),
  by: text,
  at: time,
});

/** `{"n":…,"event":…}`. */
export const parseNumbered = <T>(event: Parse<T>): Parse<Numbered<T>> =>
  record<Numbered<T>>({ n: count, event } as { n: Parse<number>; event: Parse<T> });

export const parseAnnouncedRef: Parse<AnnouncedRef> = record<AnnouncedRef>({
  ref: text,
  gitOld: nullable(gitSha),
  gitNew: gitSha,
  bundle: digest,
  totals: parseTotals,
  extraOids: nullable(digest),
  missing: listOf(digest),
  forced: flag,
});

export const parseAnnouncement: Parse<Announcement> = record<Announcement>({
  pushId,
  remote: text,
  refs: listOf(parseAnnouncedRef),
  pushedBy: text,
  receipt: parsePushReceipt,
});

export const parseRefMove: Parse<RefMove> = record<RefMove>({
  pushId,
  remote: text,
  ref: text,
  gitOld: nullable(gitSha),
  gitNew: nullable(gitSha),
  bundle: nullable(digest),
  totals: parseTotals,
  extraOids: nullable(digest),
  missing: listOf(digest),
  forced: flag,
  pushedBy: text,
  receipt: parsePushReceipt,
});

export const parseMoveOutcome: Parse<MoveOutcome> = oneOf<MoveOutcome>([
  'recorded',
  'already',
  'gap',
]);

export const parseLock: Parse<Lock> = record<Lock>({
  id: text,
  path: text,
  owner: text,
  lockedAt: time,
  ref: nullable(text),
});

export const parseRepoInfo: Parse<RepoInfo> = record<RepoInfo>({
  pool: text,
  remote: nullable(text),
  createdBy: text,
  createdAt: time,
});
