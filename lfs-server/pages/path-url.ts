/** Paths of files in URLs, both ways. Bytes that are not UTF-8 stand as a segment `~<hex of the whole path>`, which no clean path needs. */
import { DatamonError } from '../../core/errors.ts';
import type { RawPath } from '../../core/meta/model.ts';
import { rawPathFromBytes, rawPathFromText, rawPathToText } from '../../core/meta/raw-path.ts';

const HEX_MARK = '~hex~';

/** The segments of a path, not yet escaped; none for the root. */
export function rawSegments(path: RawPath | ''): readonly string[] {
  if (path === '') return [];
  const text = rawPathToText(path);
  // `.` and `..` would be taken out of a URL by the browser.
  const isPlain = text?.split('/').every((part) => part !== '.' && part !== '..' && part !== '');
  if (text !== null && isPlain === true && !text.startsWith(HEX_MARK)) return text.split('/');
  return [HEX_MARK + Buffer.from(path, 'latin1').toString('hex')];
}

/** The path of unescaped URL segments. INVALID where they are none. */
export function pathOfSegments(segments: readonly string[]): RawPath | '' {
  const kept = segments.filter((segment) => segment !== '');
  const [first = ''] = kept;
  if (kept.length === 0) return '';
  if (!first.startsWith(HEX_MARK)) return rawPathFromText(kept.join('/'));
  const hex = first.slice(HEX_MARK.length);
  if (/^(?:[0-9a-f]{2})+$/.test(hex)) return rawPathFromBytes(Buffer.from(hex, 'hex'));
  throw new DatamonError('INVALID', 'the path in the address is not readable');
}
