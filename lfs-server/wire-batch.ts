/** Bodies of the LFS batch: what is asked for, parsed object by object so that one bad object never spoils the others. */
import type { Operation } from '../client/tokens.ts';
import { type Digest, isDigest } from '../core/digest.ts';
import { DatamonError } from '../core/errors.ts';
import { listOf, nullable, object, oneOf, type Parse, text, textUpTo } from '../core/shape.ts';
import { BATCH_OBJECT_COUNT_MAX } from './settings.ts';

const OID_SHOWN_MAX = 256;

export interface WantedObject {
  readonly oid: Digest;
  readonly size: number;
}

/** An object that cannot be answered with an action; `oid` and `size` as they came, as far as JSON can say them. */
export interface RefusedObject {
  readonly oid: string;
  readonly size: number;
  readonly refusal: string;
}

export interface BatchRequest {
  readonly operation: Operation;
  readonly transfers: readonly string[];
  /** Each oid once. */
  readonly objects: readonly (WantedObject | RefusedObject)[];
}

const parseOperation = oneOf<Operation>(['upload', 'download']);
const parseTransfers = listOf(textUpTo(100), 100);
const parseAlgorithm: Parse<string | null> = nullable(text);

/** INVALID, TOO_LARGE, and CONFLICT for another hash than SHA-256. */
export function parseBatchRequest(value: unknown): BatchRequest {
  const body = object(value, 'the batch');
  const algorithm = parseAlgorithm(own(body, 'hash_algo') ?? null, 'hash_algo');
  if (algorithm !== null && algorithm !== 'sha256') {
    const message = `objects are named by sha256 here, not ${JSON.stringify(algorithm.slice(0, 40))}`;
    throw new DatamonError('CONFLICT', message);
  }
  const objects = listOf(parseObject, BATCH_OBJECT_COUNT_MAX)(own(body, 'objects'), 'objects');
  const unique = new Map<string, WantedObject | RefusedObject>();
  for (const each of objects) if (!unique.has(each.oid)) unique.set(each.oid, each);
  return {
    operation: parseOperation(own(body, 'operation'), 'operation'),
    transfers: parseTransfers(own(body, 'transfers') ?? [], 'transfers'),
    objects: [...unique.values()],
  };
}

const parseObject: Parse<WantedObject | RefusedObject> = (value) => {
  const isObject = value !== null && typeof value === 'object' && !Array.isArray(value);
  const fields = isObject ? (value as { readonly [key: string]: unknown }) : {};
  const [oid, size] = [own(fields, 'oid'), own(fields, 'size')];
  const isSize = typeof size === 'number' && Number.isSafeInteger(size) && size >= 0;
  if (isDigest(oid) && isSize) return { oid, size };
  return {
    oid: typeof oid === 'string' ? oid.slice(0, OID_SHOWN_MAX) : '',
    size: isSize ? size : 0,
    refusal: isDigest(oid)
      ? 'the size is not a whole number from 0 to 2^53 − 1'
      : 'the oid is not 64 lower-case hex digits',
  };
};

/** Own fields only: `__proto__` and `constructor` are nobody's value. */
const own = (fields: { readonly [key: string]: unknown }, name: string): unknown =>
  Object.hasOwn(fields, name) ? fields[name] : undefined;
