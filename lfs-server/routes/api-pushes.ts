/** Pushes in the API: announced before git moves anything, recorded when a ref has moved. */
import { DatamonError } from '../../core/errors.ts';
import { parsePushId } from '../../core/keys.ts';
import type { RefMove } from '../../core/meta/model.ts';
import type { History } from '../../core/meta/repository.ts';
import { parseAnnouncement, parseRefMove } from '../../core/meta/wire.ts';
import { oneOf, record } from '../../core/shape.ts';
import { READ, WRITE } from '../access.ts';
import { readJson } from '../body.ts';
import { refuseLocked } from '../push-locks.ts';
import { sendJson } from '../reply.ts';
import { type Call, param, type Route } from '../route.ts';
import { HISTORY_BODY_MAX_BYTES } from '../settings.ts';
import { collectAsync } from './listing.ts';
import { served } from './served.ts';

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
];

const readBody = (call: Call): Promise<unknown> =>
  readJson(call.request, { limitBytes: HISTORY_BODY_MAX_BYTES, limits: call.deps.settings.limits });

async function historyOf(call: Call): Promise<History> {
  return (await served(call)).repository.history;
}

async function announce(call: Call): Promise<void> {
  const parsed = parseAnnouncement(await readBody(call), 'announcement');
  const { isAnonymous, subject } = call.caller;
  // Whoever has a token pushes under its name, whatever the body says.
  const announcement = isAnonymous ? parsed : { ...parsed, pushedBy: subject };
  const by = { createdBy: subject, remote: announcement.remote };
  const { repository } = await call.deps.repos.ensure(call.repo, by);
  await refuseLocked(repository, announcement, subject);
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
  const history = await historyOf(call);
  const pushedBy = call.caller.isAnonymous ? move.pushedBy : await pusherOf(call, history, move);
  sendJson(call, { outcome: await history.recordMove({ ...move, pushedBy }) });
}

/** Anybody may see that a ref moved; the push stays that of who announced it. */
async function pusherOf(call: Call, history: History, { pushId }: RefMove): Promise<string> {
  for await (const announced of history.pending(pushId)) {
    if (announced.pushId === pushId) return announced.pushedBy;
  }
  return call.caller.subject;
}

const parseDone = record({ outcome: oneOf(['confirmed', 'abandoned'] as const) });

async function settle(call: Call): Promise<void> {
  const push = parsePushId(param(call, 'push'));
  const { outcome } = parseDone(await readBody(call), 'body');
  await (await historyOf(call)).settle(push, outcome);
  sendJson(call, { pushId: push, outcome });
}
