/** Locks on the wire of Git LFS: requests parsed, paths made canonical, lists cut into pages. */
import { DatamonError } from '../core/errors.ts';
import type { Lock } from '../core/meta/model.ts';
import { object, type Parse, textUpTo } from '../core/shape.ts';

const PATH_LENGTH_MAX = 4096;
const REF_LENGTH_MAX = 1024;
export const LOCK_LIST_COUNT_MAX = 1000;
export const LOCK_LIST_COUNT_DEFAULT = 100;

export interface WireLock {
  readonly id: string;
  readonly path: string;
  readonly locked_at: string;
  readonly owner: { readonly name: string };
}

export function formatLock(lock: Lock): WireLock {
  const { id, path, lockedAt, owner } = lock;
  return { id, path, locked_at: lockedAt, owner: { name: owner } };
}

export interface LockRequest {
  readonly path: string;
  readonly ref: string | null;
}

/** `{path, ref: {name}}` as LFS has it, or `{path, ref}` as our own API. */
export function parseLockRequest(value: unknown): LockRequest {
  const { path, ref } = object(value, 'the lock');
  return { path: parseLockPath(path, 'path'), ref: parseRef(ref, 'ref') };
}

/** One spelling per file, so that two people cannot lock it twice. */
const parseLockPath: Parse<string> = (value, where) => {
  const text = textUpTo(PATH_LENGTH_MAX)(value, where);
  const parts = text.split('/').filter((part) => part !== '' && part !== '.');
  const isInside = parts.length > 0 && !parts.includes('..') && !text.startsWith('/');
  if (isInside && !/\p{Cc}/u.test(text)) return parts.join('/');
  throw new DatamonError(
    'INVALID',
    `${where} is no path of a file in the repo: ${JSON.stringify(text.slice(0, 120))}`,
  );
};

export const parseRef: Parse<string | null> = (value, where) => {
  if (value === undefined || value === null) return null;
  if (typeof value === 'string') return textUpTo(REF_LENGTH_MAX)(value, where) || null;
  const { name } = object(value, where);
  return name === undefined || name === null
    ? null
    : textUpTo(REF_LENGTH_MAX)(name, `${where}.name`) || null;
};

export function parseForce(value: unknown): boolean {
  const { force } = object(value, 'the unlock');
  return force === true;
}

export interface LockPage {
  readonly locks: readonly Lock[];
  readonly next: string | undefined;
}

/** Locks in order of their ids from `cursor` on, so that pages stay right while locks come and go. */
export function pageOfLocks(
  locks: readonly Lock[],
  page: { readonly cursor: string | undefined; readonly limit: number },
): LockPage {
  const { cursor = '', limit } = page;
  const rest = locks.filter(({ id }) => id >= cursor).sort((a, b) => (a.id < b.id ? -1 : 1));
  return { locks: rest.slice(0, limit), next: rest[limit]?.id };
}

/** 0 and nothing mean the usual number. */
export function parseLimit(value: unknown): number {
  const limit = Number(value ?? 0);
  if (!Number.isSafeInteger(limit) || limit < 0) {
    throw new DatamonError('INVALID', 'limit is not a whole number');
  }
  return limit === 0 ? LOCK_LIST_COUNT_DEFAULT : Math.min(limit, LOCK_LIST_COUNT_MAX);
}

export function parseCursor(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value.slice(0, 64) : undefined;
}
