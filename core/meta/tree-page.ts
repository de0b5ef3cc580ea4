/**
 * The bytes of tree pages (docs/format.md §10). Invariant: one page, one text of bytes: `decodePage` refuses whatever
 * `encodePage` would not have written, so equal content means equal digest and the other way round.
 */
import { isUtf8 } from 'node:buffer';
import { DIGEST_SIZE_BYTES, type Digest, digestFromBytes, digestToBytes } from '../digest.ts';
import { DatamonError, hasCode } from '../errors.ts';
import type { Entry, EntryKind, RawPath, TreeTotals } from './model.ts';
import { displayPath, PATH_SIZE_MAX_BYTES } from './raw-path.ts';
import { ByteReader, varintBytes } from './varint.ts';

export const PAGE_ENTRY_COUNT_MAX = 4096;
/** A frame holds no more. */
export const PAGE_SIZE_MAX_BYTES = 16 * 1024 * 1024;
/** Four levels of pages of 64 list 16 million pages; more is damage. */
export const TREE_LEVEL_MAX = 15;
export const REFERENCE_SIZE_MAX_BYTES = 8192;
const MAGIC = Buffer.from('DTRE', 'ascii');
const VERSION = 1;
const HEADER_SIZE_BYTES = 12;
const KINDS = ['lfs', 'git', 'symlink', 'submodule', 'directory', 'external'] as const;
const FLAG_EXECUTABLE = 1;
const FLAG_OID = 2;
const FLAG_REFERENCE = 4;

/** A page as its parent lists it. */
export interface PageReference extends TreeTotals {
  readonly digest: Digest;
  readonly firstPath: RawPath;
}

export interface LeafPage {
  readonly level: 0;
  readonly entries: readonly Entry[];
}

export interface InnerPage {
  /** From 1; its children are of the level below. */
  readonly level: number;
  readonly children: readonly PageReference[];
}

export type TreePage = LeafPage | InnerPage;

export const isLeaf = (page: TreePage): page is LeafPage => page.level === 0;

/** What an entry adds to its tree's totals: submodules and empty directories are no files. */
export function entryTotals(entry: Entry): TreeTotals {
  const isFile = entry.kind !== 'submodule' && entry.kind !== 'directory';
  return { fileCount: isFile ? 1 : 0, sizeBytes: entry.sizeBytes };
}

export const addTotals = (a: TreeTotals, b: TreeTotals): TreeTotals => ({
  fileCount: a.fileCount + b.fileCount,
  sizeBytes: a.sizeBytes + b.sizeBytes,
});

export const NO_TOTALS: TreeTotals = { fileCount: 0, sizeBytes: 0 };

export function pageTotals(page: TreePage): TreeTotals {
  const parts = isLeaf(page) ? page.entries.map(entryTotals) : page.children;
  return parts.reduce(addTotals, NO_TOTALS);
}

/** Null for the one empty page. */
export function firstPathOf(page: TreePage): RawPath | null {
  return (isLeaf(page) ? page.entries[0]?.path : page.children[0]?.firstPath) ?? null;
}

/** Throws INVALID for what no page may hold: paths out of order or twice, an entry without its oid, numbers out of range. */
export function encodePage(page: TreePage): Buffer {
  const count = isLeaf(page) ? page.entries.length : page.children.length;
  checkShape(page.level, count, 'INVALID');
  const header = Buffer.alloc(HEADER_SIZE_BYTES);
  MAGIC.copy(header);
  header[4] = VERSION;
  header[5] = page.level;
  header.writeUInt32LE(count, 8);
  const parts: Uint8Array[] = [header];
  let previous: RawPath | null = null;
  const add = (path: RawPath, bytes: () => Buffer): void => {
    checkPath(previous, path, 'INVALID');
    parts.push(bytes());
    previous = path;
  };
  if (isLeaf(page)) for (const entry of page.entries) add(entry.path, () => encodeEntry(entry));
  else for (const child of page.children) add(child.firstPath, () => encodeChild(child));
  const bytes = Buffer.concat(parts);
  if (bytes.length <= PAGE_SIZE_MAX_BYTES) return bytes;
  throw new DatamonError(
    'TOO_LARGE',
    `a tree page of ${bytes.length} bytes: its paths are too long`,
  );
}

/** Throws CORRUPT for bytes that are no page, UNSUPPORTED for a page of a newer version. */
export function decodePage(bytes: Uint8Array): TreePage {
  const reader = new ByteReader(bytes, 'tree page');
  if (!MAGIC.equals(reader.take(4))) throw damaged('it is no tree page');
  const version = reader.byte();
  if (version !== VERSION) {
    throw new DatamonError('UNSUPPORTED', `a tree page of version ${version}`, {
      hint: 'A newer datamon wrote it. Update this one.',
    });
  }
  const level = reader.byte();
  if (reader.byte() !== 0 || reader.byte() !== 0)
    throw damaged('its header is not empty where it must be');
  const count = reader.uint32();
  checkShape(level, count, 'CORRUPT');
  const page = level === 0 ? decodeLeaf(reader, count) : decodeInner(reader, level, count);
  reader.end();
  return page;
}

/** Digests of the pages that a page lists; none for a leaf. INVALID for what is no page: it may come from anybody. */
export function childrenOf(bytes: Uint8Array): readonly Digest[] {
  try {
    const page = decodePage(bytes);
    return isLeaf(page) ? [] : page.children.map(({ digest }) => digest);
  } catch (error) {
    if (!hasCode(error, 'CORRUPT')) throw error;
    throw new DatamonError('INVALID', error.message, { cause: error });
  }
}

function encodeEntry(entry: Entry): Buffer {
  checkEntry(entry, 'INVALID');
  const path = Buffer.from(entry.path, 'latin1');
  const reference = entry.reference === undefined ? null : Buffer.from(entry.reference, 'utf8');
  const flags =
    (entry.executable ? FLAG_EXECUTABLE : 0) |
    (entry.oid === null ? 0 : FLAG_OID) |
    (reference === null ? 0 : FLAG_REFERENCE);
  return Buffer.concat([
    Buffer.from([KINDS.indexOf(entry.kind) + 1, flags]),
    varintBytes(entry.sizeBytes),
    ...(entry.oid === null ? [] : [digestToBytes(entry.oid)]),
    varintBytes(path.length),
    path,
    ...(reference === null ? [] : [varintBytes(reference.length), reference]),
  ]);
}

function encodeChild(child: PageReference): Buffer {
  return Buffer.concat([
    digestToBytes(child.digest),
    varintBytes(child.fileCount),
    varintBytes(child.sizeBytes),
    varintBytes(child.firstPath.length),
    Buffer.from(child.firstPath, 'latin1'),
  ]);
}

function decodeLeaf(reader: ByteReader, count: number): LeafPage {
  const entries: Entry[] = [];
  let previous: RawPath | null = null;
  for (let index = 0; index < count; index += 1) {
    const entry = decodeEntry(reader);
    checkPath(previous, entry.path, 'CORRUPT');
    checkEntry(entry, 'CORRUPT');
    entries.push(entry);
    previous = entry.path;
  }
  return { level: 0, entries };
}

function decodeEntry(reader: ByteReader): Entry {
  const kind = kindOf(reader.byte());
  const flags = reader.byte();
  if (flags > (FLAG_EXECUTABLE | FLAG_OID | FLAG_REFERENCE)) throw damaged(`it has flags ${flags}`);
  const sizeBytes = reader.varint();
  const oid = (flags & FLAG_OID) === 0 ? null : digestFromBytes(reader.take(DIGEST_SIZE_BYTES));
  const path = reader.latin1(PATH_SIZE_MAX_BYTES) as RawPath;
  const entry = { path, kind, executable: (flags & FLAG_EXECUTABLE) !== 0, oid, sizeBytes };
  if ((flags & FLAG_REFERENCE) === 0) return entry;
  const reference = reader.take(reader.varint());
  if (!isUtf8(reference)) throw damaged(`the reference of ${displayPath(path)} is not UTF-8`);
  return { ...entry, reference: reference.toString('utf8') };
}

function decodeInner(reader: ByteReader, level: number, count: number): InnerPage {
  const children: PageReference[] = [];
  let previous: RawPath | null = null;
  for (let index = 0; index < count; index += 1) {
    const digest = digestFromBytes(reader.take(DIGEST_SIZE_BYTES));
    const fileCount = reader.varint();
    const sizeBytes = reader.varint();
    const firstPath = reader.latin1(PATH_SIZE_MAX_BYTES) as RawPath;
    checkPath(previous, firstPath, 'CORRUPT');
    children.push({ digest, fileCount, sizeBytes, firstPath });
    previous = firstPath;
  }
  return { level, children };
}

function kindOf(byte: number): EntryKind {
  const kind = KINDS[byte - 1];
  if (kind === undefined) throw damaged(`it has an entry of kind ${byte}`);
  return kind;
}

type PageErrorCode = 'INVALID' | 'CORRUPT';

function checkShape(level: number, count: number, code: PageErrorCode): void {
  // Only an empty tree has an empty page.
  const least = level === 0 ? 0 : 1;
  if (level <= TREE_LEVEL_MAX && count >= least && count <= PAGE_ENTRY_COUNT_MAX) return;
  throw new DatamonError(code, `a tree page of level ${level} with ${count} entries`);
}

function checkPath(previous: RawPath | null, path: RawPath, code: PageErrorCode): void {
  const shown = () => displayPath(path.slice(0, 200) as RawPath);
  if (path === '' || path.length > PATH_SIZE_MAX_BYTES || path.includes('\0')) {
    throw new DatamonError(code, `a tree page with the path ${shown()}`);
  }
  if (previous === null || previous < path) return;
  const what = previous === path ? 'is listed twice' : `stands after ${displayPath(previous)}`;
  throw new DatamonError(code, `a tree page in which ${shown()} ${what}`);
}

function checkEntry(entry: Entry, code: PageErrorCode): void {
  const problem = entryProblem(entry);
  if (problem !== null) {
    throw new DatamonError(code, `the ${entry.kind} entry ${displayPath(entry.path)} ${problem}`);
  }
}

function entryProblem({ kind, oid, sizeBytes, reference }: Entry): string | null {
  if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 0) return `has the size ${sizeBytes}`;
  const mayLack = kind === 'submodule' || kind === 'directory' || kind === 'external';
  if (oid === null && !mayLack) return 'has no oid';
  if (oid !== null && (kind === 'submodule' || kind === 'directory')) return 'has an oid';
  if (reference === undefined) return null;
  if (/\p{Cs}/u.test(reference)) return 'has a reference of broken UTF-16';
  return Buffer.byteLength(reference) > REFERENCE_SIZE_MAX_BYTES
    ? 'has too long a reference'
    : null;
}

const damaged = (why: string): DatamonError =>
  new DatamonError('CORRUPT', `a tree page is damaged: ${why}`);
