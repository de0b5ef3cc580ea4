/**
 * Git LFS pointer files. Invariant: `parsePointer` accepts what git-lfs itself decodes, and `formatPointer` writes the very
 * bytes git-lfs would. Beyond git-lfs it refuses sizes above 2^53 − 1 and files longer than a pointer may be, of which git-lfs
 * reads the start alone.
 */
import { type Digest, isDigest } from '../digest.ts';
import { DatamonError } from '../errors.ts';

/** Longer files are content, whatever they begin with; git-lfs reads no further either. */
export const POINTER_SIZE_MAX_BYTES = 1024;

const VERSION = 'https://git-lfs.github.com/spec/v1';
const VERSIONS: readonly string[] = [
  VERSION,
  'https://hawser.github.com/spec/v1',
  'http://git-media.io/v/2',
];
const HEADER = /git-media|hawser|git-lfs/;
const REQUIRED_KEYS = ['version', 'oid', 'size'] as const;
const EXTENSION_KEY = /^ext-([0-9])-([A-Za-z0-9_].*)$/s;
/** What Go's `bytes.TrimSpace` takes for space. */
const OUTER_SPACE =
  /^[\t-\r \x85\xA0\u1680\u2000-\u200A\u2028\u2029\u202F\u205F\u3000]+|[\t-\r \x85\xA0\u1680\u2000-\u200A\u2028\u2029\u202F\u205F\u3000]+$/g;

/** One `ext-<priority>-<name>` line: the file had this oid before the extension worked on it. */
export interface PointerExtension {
  readonly priority: number;
  readonly name: string;
  readonly oid: Digest;
}

export interface Pointer {
  readonly oid: Digest;
  readonly sizeBytes: number;
  /** Names of the extensions, by priority. */
  readonly extensions: readonly string[];
  /** The same in full, by priority. */
  readonly extensionLines: readonly PointerExtension[];
}

/** The pointer these bytes are, or null for any other file. No bytes are an empty file, which needs no object: null. */
export function parsePointer(bytes: Uint8Array): Pointer | null {
  if (bytes.length === 0 || bytes.length > POINTER_SIZE_MAX_BYTES) return null;
  const lines = readLines(Buffer.from(bytes).toString('utf8').replace(OUTER_SPACE, ''));
  if (lines === null || !VERSIONS.includes(lines.version)) return null;
  const oid = parseOid(lines.oid);
  const sizeBytes = parseSize(lines.size);
  const extensionLines = parseExtensions(lines.extensions);
  if (oid === null || sizeBytes === null || extensionLines === null) return null;
  return { oid, sizeBytes, extensions: extensionLines.map(({ name }) => name), extensionLines };
}

/** The pointer file of an object, as git-lfs writes it; nothing at all for an empty file. */
export function formatPointer(pointer: {
  readonly oid: Digest;
  readonly sizeBytes: number;
  readonly extensionLines?: readonly PointerExtension[];
}): Buffer {
  const { oid, sizeBytes, extensionLines = [] } = pointer;
  if (sizeBytes === 0) return Buffer.alloc(0);
  const text = [
    `version ${VERSION}`,
    ...extensionLines
      .toSorted((a, b) => a.priority - b.priority)
      .map((line) => `ext-${line.priority}-${line.name} sha256:${line.oid}`),
    `oid sha256:${oid}`,
    `size ${sizeBytes}`,
    '',
  ].join('\n');
  const bytes = Buffer.from(text, 'utf8');
  const read = parsePointer(bytes);
  if (read?.oid === oid && read.sizeBytes === sizeBytes) return bytes;
  throw new DatamonError('INVALID', `no pointer can be written for ${oid} of ${sizeBytes} bytes`);
}

interface PointerLines {
  version: string;
  oid: string;
  size: string;
  readonly extensions: Map<string, string>;
}

/** Version, oid and size in this order, extension lines anywhere before size; null where that is not what stands there. */
function readLines(text: string): PointerLines | null {
  if (!HEADER.test(text)) return null;
  const found: PointerLines = { version: '', oid: '', size: '', extensions: new Map() };
  let read = 0;
  for (const rawLine of text.split('\n')) {
    const line = rawLine.endsWith('\r') ? rawLine.slice(0, -1) : rawLine;
    if (line === '') continue;
    const space = line.indexOf(' ');
    const expected = REQUIRED_KEYS[read];
    if (space < 0 || expected === undefined) return null;
    const [key, value] = [line.slice(0, space), line.slice(space + 1)];
    if (key === expected) {
      found[expected] = value;
      read += 1;
    } else if (EXTENSION_KEY.test(key)) found.extensions.set(key, value);
    else return null;
  }
  return found;
}

function parseOid(value: string): Digest | null {
  const oid = value.startsWith('sha256:') ? value.slice('sha256:'.length) : '';
  return isDigest(oid) ? oid : null;
}

function parseSize(value: string): number | null {
  const size = /^[+-]?[0-9]+$/.test(value) ? Number(value) : -1;
  // `-0` is what Go's ParseInt reads as 0.
  return Number.isSafeInteger(size) && size >= 0 ? Math.abs(size) : null;
}

function parseExtensions(lines: ReadonlyMap<string, string>): PointerExtension[] | null {
  const extensions = new Map<number, PointerExtension>();
  for (const [key, value] of lines) {
    const [, priority, name] = EXTENSION_KEY.exec(key) ?? [];
    const oid = parseOid(value);
    if (oid === null || name === undefined || extensions.has(Number(priority))) return null;
    extensions.set(Number(priority), { priority: Number(priority), name, oid });
  }
  return [...extensions.values()].sort((a, b) => a.priority - b.priority);
}
