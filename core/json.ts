/** Canonical JSON: one value, one text. Keys sorted by code unit, no spaces, no undefined, safe integers only. */
import { DatamonError } from './errors.ts';

export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [key: string]: Json };

export function canonicalJson(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (value !== null && typeof value === 'object') {
    const fields = Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, field]) => `${JSON.stringify(key)}:${canonicalJson(field)}`);
    return `{${fields.join(',')}}`;
  }
  if (typeof value === 'number' && !Number.isSafeInteger(value)) {
    throw new DatamonError('INVALID', `canonical JSON has no place for the number ${value}`);
  }
  if (value === undefined) throw new DatamonError('INVALID', 'canonical JSON has no undefined');
  return JSON.stringify(value);
}

/** Parses bytes as a JSON object, or throws CORRUPT naming `what`. */
export function parseJsonObject(bytes: Uint8Array, what: string): { [key: string]: unknown } {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    if (value !== null && typeof value === 'object' && !Array.isArray(value)) {
      return value as { [key: string]: unknown };
    }
  } catch (cause) {
    throw new DatamonError('CORRUPT', `${what} is not JSON`, { cause });
  }
  throw new DatamonError('CORRUPT', `${what} is not a JSON object`);
}
