/** What a byte range means for an object of known size; the same for every backend. */
import { DatamonError } from '../errors.ts';
import type { ByteRange } from './backend.ts';

/** The bytes to read. A range may start at the end (no bytes) and end past it; INVALID where it starts past the end or is no range. */
export function resolveRange(
  range: ByteRange | undefined,
  sizeBytes: number,
  key: string,
): { readonly start: number; readonly end: number } {
  checkRange(range, key);
  const { start, end = sizeBytes } = range ?? { start: 0 };
  if (start > sizeBytes) {
    throw new DatamonError(
      'INVALID',
      `byte ${start} asked for of ${key}, which has ${sizeBytes} bytes`,
    );
  }
  return { start, end: Math.max(start, Math.min(end, sizeBytes)) };
}

/** INVALID for what is no range of any object. */
export function checkRange(range: ByteRange | undefined, key: string): void {
  if (range === undefined) return;
  const { start, end = start } = range;
  const legal = Number.isSafeInteger(start) && Number.isSafeInteger(end);
  if (!legal || start < 0 || end < start) {
    throw new DatamonError('INVALID', `not a byte range of ${key}: ${start} to ${range.end}`);
  }
}
