/** The LFS batch. Invariant: every object asked for is answered, once; an object left out would make the client wait for ever. */
import type { Digest } from '../../core/digest.ts';
import { randomHex } from '../../core/random.ts';
import { demand, noSuchRepo, READ, READ_OR_WRITE, WRITE } from '../access.ts';
import { type ActionMaker, createActionMaker, type TransferName } from '../actions.ts';
import { readJson } from '../body.ts';
import { OBJECT_STATUS } from '../http-status.ts';
import { LFS_TYPE, sendJson } from '../reply.ts';
import type { Call, Route } from '../route.ts';
import { BATCH_BODY_MAX_BYTES } from '../settings.ts';
import {
  type BatchRequest,
  parseBatchRequest,
  type RefusedObject,
  type WantedObject,
} from '../wire-batch.ts';

const BATCH_ID_SIZE_BYTES = 16;

export const BATCH_ROUTES: readonly Route[] = [
  {
    area: 'lfs',
    method: 'post',
    path: '/objects/batch',
    access: READ_OR_WRITE,
    summary: 'Git LFS batch: what to upload or download, and how',
    body: LFS_TYPE,
    answer: LFS_TYPE,
    run: batch,
  },
];

async function batch(call: Call): Promise<void> {
  const { limits } = call.deps.settings;
  const body = await readJson(call.request, { limitBytes: BATCH_BODY_MAX_BYTES, limits });
  const request = parseBatchRequest(body);
  // Which verb is needed is known only now.
  demand(request.operation === 'upload' ? WRITE : READ, call.caller, {
    repo: call.repo,
    oid: null,
  });
  const held = await heldSizes(call, request);
  const id = randomHex(call.deps.random, BATCH_ID_SIZE_BYTES);
  const wanted = request.objects.filter((object): object is WantedObject => !('refusal' in object));
  // The client starts an agent for every batch that names one, even where all its objects are here already.
  const moves = request.operation === 'download' || wanted.some(({ oid }) => !held.has(oid));
  const offered = request.transfers.includes('datamon');
  const transfer: TransferName = moves && offered ? 'datamon' : 'basic';
  const maker = createActionMaker(call, {
    operation: request.operation,
    transfer,
    batch: id,
    totalBytes: wanted.reduce((sum, { size }) => sum + size, 0),
  });
  if (transfer === 'datamon') {
    const { operation } = request;
    call.deps.batches.remember(id, { repo: call.repo, operation, objects: wanted });
  }
  const answer = request.operation === 'upload' ? uploadAnswer : downloadAnswer;
  const objects = request.objects.map((object) =>
    'refusal' in object ? refused(object) : answer(object, { call, held, maker }),
  );
  sendJson(call, { transfer, objects, hash_algo: 'sha256' });
}

interface Known {
  readonly call: Call;
  readonly held: ReadonlyMap<Digest, number>;
  readonly maker: ActionMaker;
}

/** Sizes of what this repo holds. A repo that does not exist holds nothing; only a writer is told that it may begin one. */
async function heldSizes(call: Call, request: BatchRequest): Promise<ReadonlyMap<Digest, number>> {
  const served = await call.deps.repos.find(call.repo);
  if (served === null) {
    if (request.operation === 'upload') return new Map();
    throw noSuchRepo(call.repo);
  }
  const oids = request.objects.flatMap((object) => ('refusal' in object ? [] : [object.oid]));
  const broken = request.operation === 'upload' ? 'absent' : 'listed';
  return await served.repository.blobs.has(oids, { broken });
}

function uploadAnswer(object: WantedObject, { call, held, maker }: Known): object {
  const { oid, size } = object;
  const { objectSizeMaxBytes } = call.deps.settings.limits;
  const known = held.get(oid);
  if (known === size) return { oid, size, authenticated: true };
  if (known !== undefined) {
    return withError(
      object,
      OBJECT_STATUS.invalid,
      `the object of this oid has ${known} bytes, not ${size}`,
    );
  }
  if (size > objectSizeMaxBytes) {
    return withError(
      object,
      OBJECT_STATUS.tooLarge,
      `${size} bytes are more than the ${objectSizeMaxBytes} taken here`,
    );
  }
  if (call.deps.space.isFull()) {
    return withError(
      object,
      OBJECT_STATUS.noSpace,
      'the store is full; ask whoever runs the server',
    );
  }
  return { oid, size, authenticated: true, actions: maker.actionsFor(object) };
}

function downloadAnswer(object: WantedObject, { held, maker }: Known): object {
  const { oid } = object;
  const size = held.get(oid);
  if (size === undefined)
    return withError(object, OBJECT_STATUS.missing, 'this repo has no such object');
  return { oid, size, authenticated: true, actions: maker.actionsFor({ oid, size }) };
}

const refused = (object: RefusedObject): object =>
  withError(object, OBJECT_STATUS.invalid, object.refusal);

function withError(
  object: { readonly oid: string; readonly size: number },
  code: number,
  message: string,
): object {
  const { oid, size } = object;
  return { oid, size, error: { code, message } };
}
