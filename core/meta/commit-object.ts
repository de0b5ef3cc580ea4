/**
 * Git commit objects, read from their raw bytes: whatever bytes git accepts parse, in whatever encoding; what is missing is
 * empty. Invariant: nothing here is trusted for identity, that is `commitId` of the bytes.
 */

import { isUtf8 } from 'node:buffer';
import { createHash } from 'node:crypto';
import { DatamonError } from '../errors.ts';
import { type GitSha, isGitSha } from '../keys.ts';

export interface Person {
  readonly name: string;
  readonly mail: string;
  /** RFC 3339 with the person's own offset, or null where the commit has no readable time. */
  readonly at: string | null;
}

export interface Trailer {
  readonly key: string;
  readonly value: string;
}

export interface CommitFacts {
  /** The tree's id; of a synthetic commit the root page of the bundle. */
  readonly tree: string;
  readonly parents: readonly GitSha[];
  readonly author: Person;
  readonly committer: Person;
  /** Without the final line break. */
  readonly message: string;
  /** The message's first paragraph as one line. */
  readonly subject: string;
  readonly trailers: readonly Trailer[];
  /** Values of `Datamon-Input:` trailers: what this version was made from. */
  readonly inputs: readonly string[];
}

const INPUT_TRAILER = 'datamon-input';
const NOBODY: Person = { name: '', mail: '', at: null };

/** The id git gives these bytes as a commit, in the object format of `like` (40 digits: SHA-1, 64: SHA-256). */
export function commitId(commitObject: Uint8Array, like: GitSha): GitSha {
  const algorithm = like.length === 40 ? 'sha1' : 'sha256';
  return createHash(algorithm)
    .update(`commit ${commitObject.length}\0`)
    .update(commitObject)
    .digest('hex') as GitSha;
}

/** Throws CORRUPT where the bytes do not even begin like a commit. */
export function parseCommit(commitObject: Uint8Array): CommitFacts {
  const bytes = Buffer.from(commitObject.buffer, commitObject.byteOffset, commitObject.length);
  // A blank line ends the headers; signatures and merged tags are continued by a leading space, so they hold none.
  const end = bytes.indexOf('\n\n');
  const headers = readHeaders(bytes.subarray(0, end < 0 ? bytes.length : end));
  const tree = headers.find(({ key }) => key === 'tree')?.value.toString('latin1');
  if (tree === undefined) throw new DatamonError('CORRUPT', 'a commit object without a tree');
  const encoding = first(headers, 'encoding')?.toString('latin1') ?? 'utf-8';
  const decode = (part: Buffer | undefined): string =>
    decodeText(part ?? Buffer.alloc(0), encoding);
  const message = end < 0 ? '' : decode(bytes.subarray(end + 2)).replace(/\n+$/, '');
  const trailers = readTrailers(message);
  return {
    tree,
    parents: headers
      .filter(({ key }) => key === 'parent')
      .map(({ value }) => value.toString('latin1'))
      .filter(isGitSha),
    author: readPerson(decode(first(headers, 'author'))),
    committer: readPerson(decode(first(headers, 'committer'))),
    message,
    subject: (message.trimStart().split(/\n[ \t]*\n/)[0] ?? '').replace(/\s*\n\s*/g, ' ').trim(),
    trailers,
    inputs: trailers
      .filter(({ key }) => key.toLowerCase() === INPUT_TRAILER)
      .map(({ value }) => value),
  };
}

export interface SyntheticCommit {
  readonly message: string;
  readonly author: { readonly name: string; readonly mail: string };
  readonly at: Date;
  readonly parents: readonly GitSha[];
  /** What stands where git has a tree id: the root page of the bundle. */
  readonly treeLabel: string;
}

/** A commit object for a bundle made without git. Its id is of git's SHA-256 kind, so it meets no commit of a common clone. */
export function createSyntheticCommit(options: SyntheticCommit): {
  readonly commit: GitSha;
  readonly commitObject: Buffer;
} {
  if (!/^[0-9a-f]+$/.test(options.treeLabel)) {
    throw new DatamonError('INVALID', 'the tree of a synthetic commit is hex digits');
  }
  const { name, mail } = options.author;
  const person = `${harmless(name)} <${harmless(mail)}> ${unixSeconds(options.at)} +0000`;
  const text = [
    `tree ${options.treeLabel}`,
    ...options.parents.map((parent) => `parent ${parent}`),
    `author ${person}`,
    `committer ${person}`,
    '',
    `${options.message.replaceAll('\0', '').trimEnd()}\n`,
  ].join('\n');
  const commitObject = Buffer.from(text, 'utf8');
  return { commit: commitId(commitObject, '0'.repeat(64) as GitSha), commitObject };
}

interface Header {
  readonly key: string;
  readonly value: Buffer;
}

const first = (headers: readonly Header[], key: string): Buffer | undefined =>
  headers.find((header) => header.key === key)?.value;

function readHeaders(bytes: Buffer): Header[] {
  const headers: Header[] = [];
  for (let start = 0; start < bytes.length; ) {
    const newline = bytes.indexOf('\n', start);
    const line = bytes.subarray(start, newline < 0 ? bytes.length : newline);
    const space = line.indexOf(' ');
    // A line that starts with a space goes on with the header before it, and none of those is wanted here.
    if (space > 0) {
      headers.push({ key: line.toString('latin1', 0, space), value: line.subarray(space + 1) });
    }
    start += line.length + 1;
  }
  return headers;
}

/** In the encoding the commit names; where that is unknown or a lie, as UTF-8 if it is that, else byte for byte. */
function decodeText(bytes: Buffer, encoding: string): string {
  try {
    return new TextDecoder(encoding, { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return bytes.toString(isUtf8(bytes) ? 'utf8' : 'latin1');
  }
}

/** `Name <mail> seconds +hhmm`; git lets through a good deal less tidy lines. */
function readPerson(line: string): Person {
  if (line === '') return NOBODY;
  const open = line.indexOf('<');
  const close = line.lastIndexOf('>');
  if (open < 0 || close < open) return { ...NOBODY, name: line.trim() };
  const [, seconds, sign, hours, minutes] =
    /^\s*(-?\d{1,13})\s+([+-])(\d{2})(\d{2})\s*$/.exec(line.slice(close + 1)) ?? [];
  const name = line.slice(0, open).trim();
  const mail = line.slice(open + 1, close).trim();
  if (seconds === undefined) return { name, mail, at: null };
  const offsetMinutes = (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes));
  return { name, mail, at: localTime(Number(seconds), offsetMinutes) };
}

function localTime(seconds: number, offsetMinutes: number): string | null {
  const shifted = new Date((seconds + offsetMinutes * 60) * 1000);
  const year = shifted.getUTCFullYear();
  if (Number.isNaN(year) || year < 0 || year > 9999) return null;
  const sign = offsetMinutes < 0 ? '-' : '+';
  const two = (number: number): string => String(Math.floor(Math.abs(number))).padStart(2, '0');
  const offset = `${sign}${two(offsetMinutes / 60)}:${two(offsetMinutes % 60)}`;
  return shifted.toISOString().replace(/\.\d+Z$/, offset);
}

/** `Key: value` lines of the last paragraph, which must hold nothing else; a folded line goes on with the one before. */
function readTrailers(message: string): Trailer[] {
  const paragraphs = message.trimEnd().split(/\n[ \t]*\n/);
  const last = paragraphs.length > 1 ? paragraphs.at(-1) : undefined;
  const trailers: Trailer[] = [];
  for (const line of (last ?? '').replace(/\n[ \t]+/g, ' ').split('\n')) {
    const [, key, value] = /^([A-Za-z0-9][A-Za-z0-9-]*)[ \t]*:[ \t]*(.*)$/.exec(line) ?? [];
    if (key !== undefined && value !== undefined) trailers.push({ key, value: value.trim() });
    else if (!/^\(cherry picked from commit /.test(line)) return [];
  }
  return trailers;
}

const unixSeconds = (at: Date): number => Math.floor(at.getTime() / 1000);

/** Without what would end a name or a line of a commit. */
const harmless = (text: string): string => text.replace(/[<>\n\r\0]/g, ' ').trim();
