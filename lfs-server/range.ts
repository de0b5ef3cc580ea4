/** One byte range of a GET, as RFC 9110 has it: unreadable and multiple ranges are ignored, unsatisfiable ones refused. */

export type RangeAnswer =
  | { readonly kind: 'whole' }
  | { readonly kind: 'part'; readonly start: number; readonly end: number }
  | { readonly kind: 'unsatisfiable' };

/** Digits of any safe integer; longer ones are not worth reading. */
const RANGE_PATTERN = /^bytes=([0-9]{0,16})-([0-9]{0,16})$/;

/** `end` is exclusive. */
export function parseRange(header: string | undefined, sizeBytes: number): RangeAnswer {
  const match = header === undefined ? null : RANGE_PATTERN.exec(header.trim());
  const [, first = '', last = ''] = match ?? [];
  if (match === null || (first === '' && last === '')) return { kind: 'whole' };
  if (first === '') return suffix(Number(last), sizeBytes);
  const start = Number(first);
  if (last !== '' && Number(last) < start) return { kind: 'whole' };
  if (start >= sizeBytes) return { kind: 'unsatisfiable' };
  const end = last === '' ? sizeBytes : Math.min(Number(last) + 1, sizeBytes);
  return { kind: 'part', start, end };
}

function suffix(length: number, sizeBytes: number): RangeAnswer {
  if (length === 0 || sizeBytes === 0) return { kind: 'unsatisfiable' };
  return { kind: 'part', start: Math.max(0, sizeBytes - length), end: sizeBytes };
}
