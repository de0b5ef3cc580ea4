/** File locks, for git-lfs and for our own API. The owner is who calls, whatever a body says. */
import { hasCode } from '../../core/errors.ts';
import { indexLocks } from '../../core/meta/locks.ts';
import type { Lock } from '../../core/meta/model.ts';
import { rawPathFromText } from '../../core/meta/raw-path.ts';
import { object } from '../../core/shape.ts';
import { LOCK_CHECK, noSuchRepo, READ, WRITE } from '../access.ts';
import { readJson } from '../body.ts';
import { LFS_TYPE, sendJson } from '../reply.ts';
import { type Call, mayUse, param, query, type Route } from '../route.ts';
import {
  formatLock,
  type LockRequest,
  pageOfLocks,
  parseCursor,
  parseForce,
  parseLimit,
  parseLockRequest,
} from '../wire-locks.ts';

const LOCK_BODY_MAX_BYTES = 64 * 1024;
const lfs = { area: 'lfs', answer: LFS_TYPE } as const;
const api = { area: 'api', answer: 'application/json' } as const;

export const LOCK_ROUTES: readonly Route[] = [
  {
    ...lfs,
    method: 'get',
    path: '/locks',
    access: READ,
    query: ['path', 'id', 'cursor', 'limit', 'refspec'],
    summary: 'List locks',
    run: listLocks,
  },
  {
    ...lfs,
    method: 'post',
    path: '/locks',
    access: WRITE,
    body: LFS_TYPE,
    summary: 'Lock a file',
    run: lockFromGitLfs,
  },
  {
    ...lfs,
    method: 'post',
    path: '/locks/verify',
    access: LOCK_CHECK,
    body: LFS_TYPE,
    summary: 'Locks before a push: mine and theirs',
    run: checkLocks,
  },
  {
    ...lfs,
    method: 'post',
    path: '/locks/:id/unlock',
    access: WRITE,
    body: LFS_TYPE,
    summary: 'Unlock a file',
    run: unlockFromGitLfs,
  },
  {
    ...api,
    method: 'get',
    path: '/locks',
    access: READ,
    summary: 'All locks of the repo',
    run: allLocks,
  },
  {
    ...api,
    method: 'post',
    path: '/locks',
    access: WRITE,
    body: 'application/json',
    summary: 'Lock a path',
    run: lockFromApi,
  },
  {
    ...api,
    method: 'post',
    path: '/locks/:id/unlock',
    access: WRITE,
    body: 'application/json',
    summary: 'Unlock by id',
    run: unlockFromApi,
  },
];

/** Empty for a repo that does not exist yet: locks are asked for before the first push makes it. */
async function locksOf(call: Call): Promise<readonly Lock[]> {
  const served = await call.deps.repos.find(call.repo);
  return served === null ? [] : await served.repository.locks.list();
}

async function listLocks(call: Call): Promise<void> {
  const [path, id, ref] = [query(call, 'path'), query(call, 'id'), query(call, 'refspec')];
  const wanted = (await locksOf(call)).filter(
    (lock) =>
      (!path || lock.path === path) &&
      (!id || lock.id === id) &&
      (!ref || lock.ref === null || lock.ref === ref),
  );
  const page = pageOfLocks(wanted, {
    cursor: parseCursor(query(call, 'cursor')),
    limit: parseLimit(query(call, 'limit')),
  });
  sendJson(call, { locks: page.locks.map(formatLock), ...next(page.next) });
}

/** Whatever the branch: a file locked by somebody else is not to be pushed over. */
async function checkLocks(call: Call): Promise<void> {
  const { cursor, limit } = object(await readBody(call), 'the lock check');
  const page = pageOfLocks(await locksOf(call), {
    cursor: parseCursor(cursor),
    limit: parseLimit(limit),
  });
  const isOurs = ({ owner }: Lock) => owner === call.caller.subject;
  sendJson(call, {
    ours: page.locks.filter(isOurs).map(formatLock),
    theirs: page.locks.filter((lock) => !isOurs(lock)).map(formatLock),
    ...next(page.next),
  });
}

const next = (cursor: string | undefined): object =>
  cursor === undefined ? {} : { next_cursor: cursor };

const readBody = (call: Call): Promise<unknown> =>
  readJson(call.request, { limitBytes: LOCK_BODY_MAX_BYTES, limits: call.deps.settings.limits });

async function lock(call: Call, request: LockRequest): Promise<Lock> {
  const owner = call.caller.subject;
  const served = await call.deps.repos.ensure(call.repo, { createdBy: owner, remote: null });
  return await served.repository.locks.lock({ ...request, owner });
}

/** 409 carries the lock that is in the way. */
async function lockFromGitLfs(call: Call): Promise<void> {
  const request = parseLockRequest(await readBody(call));
  try {
    sendJson(call, { lock: formatLock(await lock(call, request)) }, 201);
  } catch (error) {
    if (!hasCode(error, 'LOCKED')) throw error;
    const holder = indexLocks(await locksOf(call))(rawPathFromText(request.path));
    const found = holder === undefined ? {} : { lock: formatLock(holder) };
    sendJson(call, { ...found, message: error.message, request_id: call.requestId }, 409);
  }
}

async function unlock(call: Call): Promise<Lock> {
  const force = parseForce(await readBody(call));
  const served = await call.deps.repos.find(call.repo);
  if (served === null) throw noSuchRepo(call.repo);
  const request = { id: param(call, 'id'), owner: call.caller.subject };
  // Forcing without the right to is asking like anybody: one's own lock goes, another's stays.
  return await served.repository.locks.unlock({
    ...request,
    force: force && mayUse(call, 'admin'),
  });
}

async function unlockFromGitLfs(call: Call): Promise<void> {
  sendJson(call, { lock: formatLock(await unlock(call)) });
}

async function allLocks(call: Call): Promise<void> {
  sendJson(call, { locks: await locksOf(call) });
}

async function lockFromApi(call: Call): Promise<void> {
  sendJson(call, { lock: await lock(call, parseLockRequest(await readBody(call))) }, 201);
}

async function unlockFromApi(call: Call): Promise<void> {
  sendJson(call, { lock: await unlock(call) });
}
