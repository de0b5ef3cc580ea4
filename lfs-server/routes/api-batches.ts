/** What a batch asked for, in the API: its members, and its small objects all in one answer. Only the batch's own token opens either. */
import { DatamonError } from '../../core/errors.ts';
import {
  encodeMembers,
  encodeObject,
  STREAM_SIZE_MAX_BYTES,
  STREAMED_SIZE_MAX_BYTES,
} from '../../core/meta/object-stream.ts';
import { BATCH_READ, BATCH_READ_OR_WRITE } from '../access.ts';
import type { RememberedBatch } from '../batch-memory.ts';
import { sendJson } from '../reply.ts';
import { type Call, param, type Route } from '../route.ts';
import { writeBytes } from '../send-bytes.ts';
import { served } from './served.ts';

const OCTETS = 'application/octet-stream';

export const API_BATCH_ROUTES: readonly Route[] = [
  {
    area: 'api',
    method: 'get',
    path: '/batches/:batch',
    access: BATCH_READ_OR_WRITE,
    answer: 'application/json',
    summary: 'Members of a recent batch',
    run: batchMembers,
  },
  {
    area: 'api',
    method: 'get',
    path: '/batches/:batch/objects',
    access: BATCH_READ,
    answer: OCTETS,
    summary: 'Small objects of a recent batch, many in one answer',
    run: batchObjects,
  },
];

function batchMembers(call: Call): void {
  sendJson(call, { objects: recalled(call).objects });
}

async function batchObjects(call: Call): Promise<void> {
  const { request, response } = call;
  const { objects: members } = recalled(call);
  const { ingest } = await served(call);
  response.setHeader('Content-Type', OCTETS);
  response.setHeader('Cache-Control', 'no-store');
  if (request.method === 'HEAD') {
    response.end();
    return;
  }
  response.setTimeout(call.deps.settings.limits.readerStallMaxMs);
  await writeBytes(response, encodeMembers(members));
  const oids = members.map(({ oid }) => oid);
  let sentBytes = 0;
  for await (const blob of ingest.readSmall(oids, STREAMED_SIZE_MAX_BYTES)) {
    sentBytes += blob.bytes.length;
    if (sentBytes > STREAM_SIZE_MAX_BYTES) break;
    await writeBytes(response, encodeObject(blob));
  }
  response.end();
}

/** What a push or clone asks for is between the server and that client. */
function recalled(call: Call): RememberedBatch {
  const { action } = call.caller;
  const id = param(call, 'batch');
  const remembered = call.deps.batches.recall(id);
  if (action?.kind !== 'datamon') {
    throw new DatamonError('FORBIDDEN', 'a batch is shown to its own token only');
  }
  if (action.batch !== id || remembered === undefined || remembered.repo !== call.repo) {
    throw new DatamonError('NOT_FOUND', 'no such batch, or it was forgotten');
  }
  return remembered;
}
