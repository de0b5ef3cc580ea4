/** Pushes in the API: announced before git moves anything, recorded when a ref has moved, and what a batch asked for. */
import { DatamonError } from '../../core/errors.ts';
import { parsePushId } from '../../core/keys.ts';
import { parseAnnouncement, parseRefMove } from '../../core/meta/wire.ts';
import { oneOf, record } from '../../core/shape.ts';
import { BATCH_READ_OR_WRITE, noSuchRepo, READ, WRITE } from '../access.ts';
import { readJson } from '../body.ts';
import { sendJson } from '../reply.ts';
import { type Call, param, type Route } from '../route.ts';
import { HISTORY_BODY_MAX_BYTES } from '../settings.ts';
import { collectAsync } from './listing.ts';

const JSON_BODY = 'application/json';
const api = { area: 'api', answer: JSON_BODY } as const;

export const API_PUSH_ROUTES: readonly Route[] = [
  {
    ...api,
    method: 'post',
    path: '/pushes',
    access: WRITE,
    body: JSON_BODY,
    summary: 'Announce a push whose objects are durable',
    run: announce,
  },
  {
    ...api,
    method: 'get',
    path: '/pushes',
    access: READ,
    summary: 'Pushes announced and not done',
    run: pending,
  },
  {
    ...api,
    method: 'post',
    path: '/pushes/:push/moves',
    access: WRITE,
    body: JSON_BODY,
    summary: 'Record that a ref moved',
    run: recordMove,
  },
  {
    ...api,
    method: 'post',
    path: '/pushes/:push/done',
    access: WRITE,
    body: JSON_BODY,
    summary: 'Say how a push ended',
    run: settle,
  },
  {
    ...api,
    method: 'get',
    path: '/batches/:batch',
    access: BATCH_READ_OR_WRITE,
    summary: 'Members of a recent batch',
    run: batchMembers,
  },
];

const readBody = (call: Call): Promise<unknown> =>
  readJson(call.request, { limitBytes: HISTORY_BODY_MAX_BYTES, limits: call.deps.settings.limits });

async function historyOf(call: Call) {
  const served = await call.deps.repos.find(call.repo);
  if (served === null) throw noSuchRepo(call.repo);
  return served.repository.history;
}

async function announce(call: Call): Promise<void> {
  const announcement = parseAnnouncement(await readBody(call), 'announcement');
  const { remote } = announcement;
  const by = { createdBy: call.caller.subject, remote };
  const { repository } = await call.deps.repos.ensure(call.repo, by);
  await repository.history.announce(announcement);
  sendJson(call, { pushId: announcement.pushId }, 201);
}

async function pending(call: Call): Promise<void> {
  sendJson(call, { pushes: await collectAsync((await historyOf(call)).pending()) });
}

async function recordMove(call: Call): Promise<void> {
  const push = parsePushId(param(call, 'push'));
  const move = parseRefMove(await readBody(call), 'move');
  if (move.pushId !== push) {
    throw new DatamonError(
      'INVALID',
      `the body is about push ${move.pushId}, the URL about ${push}`,
    );
  }
  sendJson(call, { outcome: await (await historyOf(call)).recordMove(move) });
}

const parseDone = record({ outcome: oneOf(['confirmed', 'abandoned'] as const) });

async function settle(call: Call): Promise<void> {
  const push = parsePushId(param(call, 'push'));
  const { outcome } = parseDone(await readBody(call), 'body');
  await (await historyOf(call)).settle(push, outcome);
  sendJson(call, { pushId: push, outcome });
}

/** Only the batch's own token opens it: what a push or clone asks for is between the server and that client. */
function batchMembers(call: Call): void {
  const { action } = call.caller;
  const id = param(call, 'batch');
  const remembered = call.deps.batches.recall(id);
  if (action?.kind !== 'datamon') {
    throw new DatamonError('FORBIDDEN', 'a batch is shown to its own token only');
  }
  if (action.batch !== id || remembered === undefined || remembered.repo !== call.repo) {
    throw new DatamonError('NOT_FOUND', 'no such batch, or it was forgotten');
  }
  sendJson(call, { objects: remembered.objects });
}
