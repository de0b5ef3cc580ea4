/** Parsers for values that came as JSON: each returns the typed value or throws INVALID naming the field. Unknown fields are ignored. */
import { type Digest, isDigest } from './digest.ts';
import { DatamonError } from './errors.ts';
import { type GitSha, isGitSha, type PushId, parsePushId } from './keys.ts';

/** `where` names the value in messages: `announcement.refs[2].gitNew`. */
export type Parse<T> = (value: unknown, where: string) => T;

/** Longest string accepted where nothing else is said. */
export const TEXT_LENGTH_MAX = 64 * 1024;
const SHOWN_LENGTH_MAX = 80;

function refuse(value: unknown, where: string, expected: string): never {
  const shown =
    typeof value === 'string' ? JSON.stringify(value.slice(0, SHOWN_LENGTH_MAX)) : kindOf(value);
  throw new DatamonError('INVALID', `${where} is ${shown}, not ${expected}`);
}

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (value === undefined) return 'absent';
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'number' || typeof value === 'boolean'
    ? String(value)
    : `an ${typeof value}`;
}

/** A string of at most `limit` UTF-16 units. */
export const textUpTo =
  (limit: number): Parse<string> =>
  (value, where) =>
    typeof value === 'string' && value.length <= limit
      ? value
      : refuse(value, where, `a string of at most ${limit} characters`);

export const text: Parse<string> = textUpTo(TEXT_LENGTH_MAX);

export const flag: Parse<boolean> = (value, where) =>
  typeof value === 'boolean' ? value : refuse(value, where, 'true or false');

/** A whole number from 0 to 2^53 − 1. */
export const count: Parse<number> = (value, where) =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
    ? value
    : refuse(value, where, 'a whole number from 0 to 2^53 − 1');

/** A count that those who wrote before it was thought of left out. */
export const countOrZero: Parse<number> = (value, where) =>
  value === undefined ? 0 : count(value, where);

export const digest: Parse<Digest> = (value, where) =>
  isDigest(value) ? value : refuse(value, where, 'a SHA-256 digest (64 lower-case hex digits)');

export const gitSha: Parse<GitSha> = (value, where) =>
  isGitSha(value) ? value : refuse(value, where, 'a git object id');

export const pushId: Parse<PushId> = (value, where) =>
  typeof value === 'string' ? parsePushId(value) : refuse(value, where, 'a push id');

/** A point in time as RFC 3339 text, kept as it is. */
export const time: Parse<string> = (value, where) =>
  typeof value === 'string' && value.length <= 40 && !Number.isNaN(Date.parse(value))
    ? value
    : refuse(value, where, 'a time (RFC 3339)');

export const nullable =
  <T>(parse: Parse<T>): Parse<T | null> =>
  (value, where) =>
    value === null ? null : parse(value, where);

export const listOf =
  <T>(parse: Parse<T>, limit = Number.POSITIVE_INFINITY): Parse<readonly T[]> =>
  (value, where) => {
    if (!Array.isArray(value)) return refuse(value, where, 'a list');
    if (value.length > limit) {
      throw new DatamonError(
        'TOO_LARGE',
        `${where} has ${value.length} entries, at most ${limit} are taken`,
      );
    }
    return value.map((each, index) => parse(each, `${where}[${index}]`));
  };

export const oneOf =
  <T extends string>(words: readonly T[]): Parse<T> =>
  (value, where) =>
    words.find((word) => word === value) ?? refuse(value, where, `one of ${words.join(', ')}`);

/** A JSON object whose fields are read one by one. */
export const object: Parse<{ readonly [key: string]: unknown }> = (value, where) =>
  value !== null && typeof value === 'object' && !Array.isArray(value)
    ? (value as { readonly [key: string]: unknown })
    : refuse(value, where, 'an object');

/** An object with exactly the fields of `T` taken over; each must be present. */
export const record =
  <T extends object>(fields: { readonly [K in keyof T]-?: Parse<T[K]> }): Parse<T> =>
  (value, where) => {
    const source = object(value, where);
    const parsed: { [key: string]: unknown } = {};
    for (const [key, parse] of Object.entries(fields) as [string, Parse<unknown>][]) {
      // Own fields only: `__proto__` and `constructor` of a hostile object are nobody's value.
      parsed[key] = parse(Object.hasOwn(source, key) ? source[key] : undefined, `${where}.${key}`);
    }
    return parsed as T;
  };
