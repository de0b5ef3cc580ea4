/** Canonical JSON: one value, one text. Keys sorted by code unit, no spaces, no undefined, safe integers only. Sealed, it proves itself. */
import { digestOf } from './digest.ts';
import { DatamonError } from './errors.ts';

/** A digest in hex between two newlines. */
const SEAL_SIZE_BYTES = 66;

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

/** A value as it stands in a store: canonical JSON, then on a line of its own the digest of that text (docs/format.md §1). */
export function sealJson(value: Json): Buffer {
  const text = canonicalJson(value);
  return Buffer.from(`${text}\n${digestOf(text)}\n`, 'utf8');
}

/** The object in sealed bytes. CORRUPT, naming `what`, where a single bit is not as it was written. */
export function openSealedJson(bytes: Uint8Array, what: string): { [key: string]: unknown } {
  const end = bytes.length - SEAL_SIZE_BYTES;
  const text = bytes.subarray(0, Math.max(0, end));
  const seal = Buffer.from(bytes.subarray(Math.max(0, end))).toString('latin1');
  if (end < 0 || seal !== `\n${digestOf(text)}\n`) {
    throw new DatamonError('CORRUPT', `${what} is damaged: its bytes do not match their digest`);
  }
  return parseJsonObject(text, what);
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
