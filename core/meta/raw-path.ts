/**
 * Paths as git has them: raw bytes. A `RawPath` holds one byte per char (Latin-1), so comparing two with `<` compares their
 * bytes. Their JSON form is in `wire.ts`.
 */
import { isUtf8 } from 'node:buffer';
import { DatamonError } from '../errors.ts';
import type { RawPath } from './model.ts';

/** Linux's PATH_MAX without the final NUL; nothing longer can come out of a work tree. */
export const PATH_SIZE_MAX_BYTES = 4095;

export function rawPathFromBytes(bytes: Uint8Array): RawPath {
  const path = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
  return checkRawPath(path);
}

export function rawPathToBytes(path: RawPath): Buffer {
  return Buffer.from(path, 'latin1');
}

/** A path of text, as UTF-8. */
export function rawPathFromText(text: string): RawPath {
  if (/\p{Cs}/u.test(text)) throw new DatamonError('INVALID', 'a path of broken UTF-16');
  return checkRawPath(Buffer.from(text, 'utf8').toString('latin1'));
}

/** The path as text where its bytes are UTF-8, else null. */
export function rawPathToText(path: RawPath): string | null {
  const bytes = rawPathToBytes(path);
  return isUtf8(bytes) ? bytes.toString('utf8') : null;
}

/** Code units compare as bytes. */
export const comparePaths = (a: RawPath, b: RawPath): number => (a < b ? -1 : a > b ? 1 : 0);

function checkRawPath(path: string): RawPath {
  if (path === '' || path.includes('\0') || path.length > PATH_SIZE_MAX_BYTES) {
    throw new DatamonError('INVALID', `not a path: ${JSON.stringify(path.slice(0, 120))}`, {
      hint: `A path has 1 to ${PATH_SIZE_MAX_BYTES} bytes and no NUL.`,
    });
  }
  return path as RawPath;
}

const C_ESCAPES: Readonly<Record<string, string>> = {
  '\x07': '\\a',
  '\b': '\\b',
  '\t': '\\t',
  '\n': '\\n',
  '\v': '\\v',
  '\f': '\\f',
  '\r': '\\r',
  '"': '\\"',
  '\\': '\\\\',
};
// Control characters, and the marks that turn the direction of text: either could make a terminal show another name.
const UNSHOWABLE = /[\p{Cc}\p{Cs}\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069\u2028\u2029"\\]/u;

/**
 * A path as people read it: itself where it is harmless UTF-8, else in double quotes with C escapes as git prints it. No two
 * paths look alike.
 */
export function displayPath(path: RawPath): string {
  const text = rawPathToText(path);
  if (text !== null && !UNSHOWABLE.test(text)) return text;
  // Split into characters where there are any, else into bytes.
  let quoted = '';
  for (const char of text ?? path) {
    if (text === null ? isPlainByte(char) : !UNSHOWABLE.test(char)) quoted += char;
    else quoted += C_ESCAPES[char] ?? octal(char, text === null ? 'latin1' : 'utf8');
  }
  return `"${quoted}"`;
}

const isPlainByte = (char: string): boolean => char < '\x7f' && !UNSHOWABLE.test(char);

const octal = (char: string, encoding: 'latin1' | 'utf8'): string =>
  [...Buffer.from(char, encoding)].map((byte) => `\\${byte.toString(8).padStart(3, '0')}`).join('');
